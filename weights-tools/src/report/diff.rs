//! Comparison of two sets of weights: names, shapes, types, and the largest absolute difference.

use std::fmt;
use std::path::Path;

use serde_json::{json, Value as Json};

use super::{extents, shown};
use crate::checkpoint::Checkpoint;
use crate::dtype::{self, DType};
use crate::error::Result;
use crate::state_dict::StateDict;
use crate::tensor::TensorInfo;

/// What sets two files apart. Empty lists and zeros for equal ones.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// Keys the two sets were under; empty for none.
    pub wrappers: [String; 2],
    /// Names only the first has.
    pub only_first: Vec<String>,
    /// Names only the second has.
    pub only_second: Vec<String>,
    /// Tensors that both have and that differ, the largest difference first.
    pub changed: Vec<TensorDifference>,
    /// Tensors that are the same in name, shape, type and every value.
    pub same: usize,
}

/// How one tensor differs between two files.
#[derive(Debug, Clone, PartialEq)]
pub struct TensorDifference {
    /// Its name.
    pub name: String,
    /// Element types.
    pub dtypes: [DType; 2],
    /// Extents.
    pub shapes: [Vec<usize>; 2],
    /// Largest absolute difference; NaN against a number is infinite. `None` where shapes differ.
    pub max_abs: Option<f64>,
    /// Largest finite absolute value in the first: what `max_abs` is measured against.
    pub scale: f64,
}

/// Compares the sets of weights selected by `key` in two files of any container.
///
/// # Errors
/// Whatever opening or selecting refuses.
pub fn diff(first: &Path, second: &Path, key: Option<&str>) -> Result<Difference> {
    let (a, b) = (Checkpoint::open(first)?, Checkpoint::open(second)?);
    let (a, b) = (a.select(key)?, b.select(key)?);
    let missing = |from: &StateDict<'_>, to: &StateDict<'_>| {
        from.names().filter(|n| to.get(n).is_none()).map(str::to_string).collect()
    };
    let mut out = Difference {
        wrappers: [a.wrapper().to_string(), b.wrapper().to_string()],
        only_first: missing(&a, &b),
        only_second: missing(&b, &a),
        changed: Vec::new(),
        same: 0,
    };
    for x in a.tensors() {
        let Some(y) = b.get(&x.name) else { continue };
        match compare(&a, x, &b, y)? {
            Some(change) => out.changed.push(change),
            None => out.same += 1,
        }
    }
    let size = |d: &TensorDifference| d.max_abs.unwrap_or(f64::INFINITY);
    out.changed.sort_by(|x, y| size(y).total_cmp(&size(x)));
    Ok(out)
}

fn compare(
    a: &StateDict<'_>,
    x: &TensorInfo,
    b: &StateDict<'_>,
    y: &TensorInfo,
) -> Result<Option<TensorDifference>> {
    let mut change = TensorDifference {
        name: x.name.clone(),
        dtypes: [x.dtype, y.dtype],
        shapes: [x.shape.clone(), y.shape.clone()],
        max_abs: None,
        scale: 0.0,
    };
    if x.shape != y.shape {
        return Ok(Some(change));
    }
    let (p, q) = (a.checkpoint().bytes_of(x)?, b.checkpoint().bytes_of(y)?);
    if x.dtype == y.dtype && p == q {
        return Ok(None);
    }
    if let (Ok(p), Ok(q)) = (dtype::to_f64(x.dtype, &p), dtype::to_f64(y.dtype, &q)) {
        change.max_abs = Some(p.iter().zip(&q).map(|(&p, &q)| distance(p, q)).fold(0.0, f64::max));
        change.scale = p.iter().map(|v| v.abs()).filter(|v| v.is_finite()).fold(0.0, f64::max);
    }
    Ok(Some(change))
}

fn distance(p: f64, q: f64) -> f64 {
    if p == q || (p.is_nan() && q.is_nan()) {
        return 0.0;
    }
    let d = (p - q).abs();
    if d.is_nan() {
        f64::INFINITY
    } else {
        d
    }
}

impl Difference {
    /// Whether both hold the same names with the same shapes, types and values.
    pub fn is_none(&self) -> bool {
        self.only_first.is_empty() && self.only_second.is_empty() && self.changed.is_empty()
    }

    /// Largest absolute difference over all tensors; infinite where shapes differ or types cannot be compared.
    pub fn max_abs(&self) -> f64 {
        self.changed.iter().map(|c| c.max_abs.unwrap_or(f64::INFINITY)).fold(0.0, f64::max)
    }

    /// The same as JSON; an infinite difference is `null`.
    pub fn to_json(&self) -> Json {
        let changed: Vec<Json> = self
            .changed
            .iter()
            .map(|c| {
                json!({
                    "name": c.name,
                    "dtypes": c.dtypes.map(|d| d.torch_name()),
                    "shapes": c.shapes,
                    "max_abs": c.max_abs,
                    "scale": c.scale,
                })
            })
            .collect();
        json!({
            "equal": self.is_none(),
            "wrappers": self.wrappers,
            "only_first": self.only_first,
            "only_second": self.only_second,
            "changed": changed,
            "same": self.same,
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (sign, names) in [('-', &self.only_first), ('+', &self.only_second)] {
            for name in names {
                writeln!(f, "{sign} {}", shown(name))?;
            }
        }
        for change in &self.changed {
            writeln!(f, "~ {change}")?;
        }
        writeln!(
            f,
            "{} equal, {} changed, {} only in the first, {} only in the second",
            self.same,
            self.changed.len(),
            self.only_first.len(),
            self.only_second.len()
        )
    }
}

impl fmt::Display for TensorDifference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", shown(&self.name))?;
        let [a, b] = &self.shapes;
        if a != b {
            return write!(f, "  shape {} → {}", extents(a), extents(b));
        }
        let [x, y] = self.dtypes;
        if x != y {
            write!(f, "  {x} → {y}")?;
        }
        match self.max_abs {
            Some(max_abs) => {
                write!(f, "  largest difference {max_abs:.3e} (values up to {:.3e})", self.scale)
            }
            None => f.write_str("  bytes differ"),
        }
    }
}
