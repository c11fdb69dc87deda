//! Feature maps of several dates made one: image by image, so that no more than one date's are alive.

use super::super::layers::conv;
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::ops::Conv2d;
use crate::weights::Names;

/// How the maps of the dates of a group become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aggregation {
    /// The largest of the dates, element by element.
    Max,
    /// The mean of the dates.
    Mean,
    /// A hidden map that each date updates by some convolutions of this kernel.
    ConvRnn {
        /// Convolutions of one update.
        layers: usize,
        /// Side of their kernels.
        kernel: usize,
    },
    /// Convolutions over dates and pixels, each halving the number of dates.
    Conv3d {
        /// Convolutions.
        layers: usize,
    },
    /// Convolutions over dates, each halving their number.
    Conv1d {
        /// Convolutions.
        layers: usize,
    },
}

impl Aggregation {
    /// The one whose layers lie under `prefix`; without any, the one that `told` names, else the maximum.
    ///
    /// # Errors
    /// `Usage` for an unknown name, `Weights` for layers of another shape.
    pub fn configure(names: &Names, prefix: &str, told: Option<&str>) -> Result<Self> {
        let layers = |kind: &str| names.count(&format!("{prefix}{kind}_layers.0.{{}}.0.weight"));
        if names.has_prefix(&format!("{prefix}rnn_layers.")) {
            let [_, _, kernel, _] = names.conv(&format!("{prefix}rnn_layers.0.0.0.weight"))?;
            return Ok(Self::ConvRnn { layers: layers("rnn"), kernel });
        }
        if names.has_prefix(&format!("{prefix}conv3d_layers.")) {
            return Ok(Self::Conv3d { layers: layers("conv3d") });
        }
        if names.has_prefix(&format!("{prefix}conv1d_layers.")) {
            return Ok(Self::Conv1d { layers: layers("conv1d") });
        }
        match told {
            None | Some("max") => Ok(Self::Max),
            Some("mean") => Ok(Self::Mean),
            Some(other @ ("convrnn" | "conv3d" | "conv1d")) => {
                Err(Error::weights(format!("aggregation={other}, but the file has no layers for it")))
            }
            Some(other) => Err(Error::usage(format!(
                "aggregation={other} is none of max, mean, convrnn, conv3d, conv1d"
            ))),
        }
    }

    /// Its name in options.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Max => "max",
            Self::Mean => "mean",
            Self::ConvRnn { .. } => "convrnn",
            Self::Conv3d { .. } => "conv3d",
            Self::Conv1d { .. } => "conv1d",
        }
    }

    /// Feature maps of `frames` images by `features`, aggregated per group and joined along the
    /// channels. Groups list images; those that are not given are left out. Layers' parameters are
    /// asked for within the current scope.
    pub fn build<'b>(
        &self,
        b: &'b Builder,
        frames: usize,
        groups: &[Vec<usize>],
        features: impl Fn(usize) -> Vec<Var<'b>>,
    ) -> Vec<Var<'b>> {
        let mut sums: Vec<Sum<'b>> = groups.iter().map(|_| Sum::default()).collect();
        for frame in (0..frames).filter(|frame| groups.iter().flatten().any(|g| g == frame)) {
            let maps = features(frame);
            for (sum, _) in sums.iter_mut().zip(groups).filter(|(_, group)| group.contains(&frame)) {
                self.add(b, sum, &maps);
            }
        }
        let groups: Vec<Vec<Var<'b>>> = sums.into_iter().map(|sum| self.finish(b, sum)).collect();
        let Some((first, others)) = groups.split_first() else { return Vec::new() };
        if groups.iter().any(Vec::is_empty) {
            b.fail(Error::shape(format!("{frames} images leave a group without any")));
            return Vec::new();
        }
        let join = |(level, map): (usize, &Var<'b>)| {
            let same: Vec<Var<'b>> = others.iter().map(|maps| maps[level]).collect();
            if same.is_empty() {
                *map
            } else {
                map.concat(&same, 1)
            }
        };
        first.iter().enumerate().map(join).collect()
    }

    fn add<'b>(&self, b: &'b Builder, sum: &mut Sum<'b>, maps: &[Var<'b>]) {
        sum.dates += 1;
        if matches!(self, Self::Conv3d { .. } | Self::Conv1d { .. }) {
            sum.kept.push(maps.to_vec());
            return;
        }
        for (level, &map) in maps.iter().enumerate() {
            let before = sum.maps.get(level).copied();
            let after = match (self, before) {
                (Self::ConvRnn { layers, kernel }, before) => {
                    let hidden = before.unwrap_or_else(|| map.scale(0.0));
                    (0..*layers).fold(hidden.concat(&[map], 1), |x, k| {
                        let name = format!("rnn_layers.{level}.{k}.0");
                        conv(b, &name, x, map.dim(1), *kernel, Conv2d::same(*kernel)).relu()
                    })
                }
                (_, None) => map,
                (Self::Mean, Some(before)) => before.add(map),
                (_, Some(before)) => before.maximum(map),
            };
            match sum.maps.get_mut(level) {
                Some(place) => *place = after,
                None => sum.maps.push(after),
            }
        }
    }

    fn finish<'b>(&self, b: &'b Builder, sum: Sum<'b>) -> Vec<Var<'b>> {
        let (name, kernel, layers) = match self {
            Self::Mean => return sum.maps.iter().map(|map| map.scale(1.0 / sum.dates as f32)).collect(),
            Self::Max | Self::ConvRnn { .. } => return sum.maps,
            Self::Conv3d { layers } => ("conv3d_layers", 3, *layers),
            Self::Conv1d { layers } => ("conv1d_layers", 1, *layers),
        };
        let levels = sum.kept.first().map_or(0, Vec::len);
        let of_level = |level: usize| {
            let dates: Vec<Var<'b>> = sum.kept.iter().map(|maps| maps[level]).collect();
            let left = (0..layers)
                .fold(dates, |dates, k| over_dates(b, &format!("{name}.{level}.{k}.0"), &dates, kernel));
            left[0]
        };
        (0..levels).map(of_level).collect()
    }
}

/// What was made of the dates so far, finest level first.
#[derive(Default)]
struct Sum<'b> {
    dates: usize,
    maps: Vec<Var<'b>>,
    kept: Vec<Vec<Var<'b>>>,
}

/// A convolution of three taps over dates, stride 2, zeros beyond the first and last, with `kernel`²
/// pixels, and ReLU: one plain convolution of the dates it sees, joined along the channels.
fn over_dates<'b>(b: &'b Builder, name: &str, dates: &[Var<'b>], kernel: usize) -> Vec<Var<'b>> {
    const TAPS: usize = 3;
    let _scope = b.scope(name);
    let Some(c) = dates.first().map(|d| d.dim(1)) else { return Vec::new() };
    let pixels: &[usize] = if kernel > 1 { &[kernel, kernel] } else { &[] };
    let weight = b.param("weight", &[&[c, c, TAPS], pixels].concat());
    let bias = b.param("bias", &[c]);
    let tap = |k: usize| weight.slice(2, k..k + 1).reshape(&[c, c, kernel, kernel]);
    let date = |at: usize| {
        // Tap k sees date 2·at + k - 1.
        let seen: Vec<usize> = (0..TAPS).filter(|k| (1..=dates.len()).contains(&(2 * at + k))).collect();
        let joined = |all: Vec<Var<'b>>| all[0].concat(&all[1..], 1);
        let x = joined(seen.iter().map(|k| dates[2 * at + k - 1]).collect());
        x.conv2d(joined(seen.iter().map(|k| tap(*k)).collect()), Some(bias), Conv2d::same(kernel)).relu()
    };
    (0..dates.len().div_ceil(2)).map(date).collect()
}
