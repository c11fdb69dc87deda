//! What a checkpoint lacks, has too much, or has in another shape: all of it in one message.

use super::names::Names;
use crate::error::{Error, Result};
use crate::tensor::Shape;
use crate::util::nearest;

/// Tensors named per kind of mismatch; the others are counted.
const NAMED: usize = 4;

/// The differences between a checkpoint and a network.
#[derive(Debug, Default, Clone, PartialEq)]
pub struct WeightReport {
    /// Wanted, not there.
    pub missing: Vec<String>,
    /// There, not wanted.
    pub unexpected: Vec<String>,
    /// Name, shape in the file, shape wanted.
    pub misshapen: Vec<(String, Vec<usize>, Shape)>,
    /// There, not wanted, and of no consequence: scalars such as step counts.
    pub ignored: Vec<String>,
}

impl WeightReport {
    /// Compares names and shapes with the wanted ones; `unused` names may be there or not.
    pub fn compare<'a>(
        names: &Names,
        wanted: impl IntoIterator<Item = (&'a str, Shape)>,
        unused: impl Fn(&str) -> bool,
    ) -> Self {
        let mut report = Self::default();
        let mut known = std::collections::HashSet::new();
        for (name, shape) in wanted {
            known.insert(name.to_string());
            match names.shape(name) {
                None => report.missing.push(name.to_string()),
                Some(found) if *found != *shape => {
                    report.misshapen.push((name.to_string(), found.to_vec(), shape));
                }
                Some(_) => {}
            }
        }
        for (name, shape) in names.iter().filter(|(name, _)| !known.contains(*name) && !unused(name)) {
            let list = if shape.is_empty() { &mut report.ignored } else { &mut report.unexpected };
            list.push(name.to_string());
        }
        report
    }

    /// Warnings of what was ignored.
    ///
    /// # Errors
    /// `Weights` when anything is missing, unexpected or misshapen.
    pub fn into_warnings(self) -> Result<Vec<String>> {
        let mut parts = Vec::new();
        if !self.missing.is_empty() {
            let names = self.missing.iter().map(|name| {
                let hint = nearest(name, self.unexpected.iter().map(String::as_str));
                hint.map_or(name.clone(), |hint| format!("{name} (nearest: {hint})"))
            });
            parts.push(format!("{} missing: {}", self.missing.len(), listed(names)));
        }
        if !self.unexpected.is_empty() {
            parts.push(format!(
                "{} unexpected: {}",
                self.unexpected.len(),
                listed(self.unexpected.iter().cloned())
            ));
        }
        if !self.misshapen.is_empty() {
            let shapes = self.misshapen.iter().map(|(name, found, wanted)| {
                let found: Vec<String> = found.iter().map(usize::to_string).collect();
                format!("{name} is {}, {wanted} wanted", found.join("x"))
            });
            parts.push(format!("{} of another shape: {}", self.misshapen.len(), listed(shapes)));
        }
        if parts.is_empty() {
            return Ok(self
                .ignored
                .into_iter()
                .map(|name| format!("{name} is a scalar no layer uses"))
                .collect());
        }
        Err(Error::weights(format!("tensors do not fit the network; {}", parts.join("; "))))
    }
}

fn listed(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let mut text = names.take(NAMED).collect::<Vec<_>>().join(", ");
    if more > 0 {
        text.push_str(&format!(" and {more} more"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_reported_at_once() {
        let names = Names::new(
            [
                ("conv_frist.weight", vec![2]),
                ("conv_last.weight", vec![3, 1]),
                ("step", vec![]),
                ("mask", vec![1]),
            ]
            .map(|(name, shape)| (name.to_string(), shape)),
        );
        let shape = |dims: &[usize]| Shape::new(dims).unwrap();
        let wanted = [("conv_first.weight", shape(&[2])), ("conv_last.weight", shape(&[3, 2]))];
        let report = WeightReport::compare(&names, wanted, |name| name == "mask");
        let message = report.into_warnings().unwrap_err().to_string();
        assert_eq!(
            message,
            "tensors do not fit the network; 1 missing: conv_first.weight (nearest: conv_frist.weight); \
             1 unexpected: conv_frist.weight; 1 of another shape: conv_last.weight is 3x1, 3x2 wanted"
        );
    }

    #[test]
    fn scalars_are_only_warned_of() {
        let names = Names::new([("a".to_string(), vec![1]), ("n_averaged".to_string(), vec![])]);
        let report = WeightReport::compare(&names, [("a", Shape::new(&[1]).unwrap())], |_| false);
        assert_eq!(report.into_warnings().unwrap(), ["n_averaged is a scalar no layer uses"]);
    }
}
