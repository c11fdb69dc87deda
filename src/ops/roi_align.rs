//! Pooling of boxes out of a pyramid of feature maps.

use super::{f32_of, image, u32_of, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::boxes::ROW;
use crate::kernel::roi_align::{RoiAlignParams, MAX_LEVELS};
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec};
use crate::{Error, Result};

/// Boxes of rows (n, k, 6) as images of `size`² bins, (n · k, channels, size, size). Inputs: rows, then
/// maps of one number of channels, finest first. See [`crate::kernel::roi_align`] for the formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoiAlign {
    /// Bins along either side.
    pub size: usize,
    /// Samples of a bin along either side.
    pub samples: usize,
    /// Rows and columns of the image that boxes are measured in.
    pub image: [usize; 2],
}

impl RoiAlign {
    fn params(&self, shapes: &[&[usize]]) -> Result<RoiAlignParams> {
        let [rows, maps @ ..] = shapes else { return Err(Error::shape("boxes pooled out of no maps")) };
        let (&[batch, rois, ROW], 1..=MAX_LEVELS) = (*rows, maps.len()) else {
            return Err(Error::shape(format!("boxes {rows:?} pooled out of {} maps", maps.len())));
        };
        let mut params = RoiAlignParams {
            batch: u32_of(batch)?,
            rois: u32_of(rois)?,
            channels: 0,
            size: u32_of(self.size)?,
            samples: u32_of(self.samples)?,
            levels: maps.len() as u32,
            maps: [[0; 2]; MAX_LEVELS],
            shifts: [0; MAX_LEVELS],
            reserved: 0,
        };
        for (level, map) in maps.iter().enumerate() {
            let &[n, channels, h, w] = *map else {
                return Err(Error::shape(format!("{map:?} is no batch of images")));
            };
            if n != batch || h * w * channels == 0 || (level > 0 && channels as u32 != params.channels) {
                return Err(Error::shape(format!("boxes {rows:?} pooled out of {maps:?}")));
            }
            params.channels = u32_of(channels)?;
            params.maps[level] = [u32_of(h)?, u32_of(w)?];
            params.shifts[level] = (self.image[0] as f64 / h as f64).log2().round().max(0.0) as u32;
        }
        if self.size == 0 || self.size > 256 || self.samples == 0 || self.samples > 16 {
            return Err(Error::shape(format!("{}² bins of {}² samples", self.size, self.samples)));
        }
        Ok(params)
    }
}

impl OpDef for RoiAlign {
    const NAME: &'static str = "roi_align";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let shapes: Vec<&[usize]> = ins.iter().map(|s| &*s.shape).collect();
        let p = self.params(&shapes)?;
        let [_, channels, ..] = image(&ins[1].shape)?;
        f32_of(&[p.batch as usize * p.rois as usize, channels, self.size, self.size])
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Global
    }

    fn lower(&self, ins: &[Layout], _y: &Layout) -> Result<Vec<Call>> {
        let shapes: Vec<&[usize]> = ins.iter().map(|l| &*l.shape).collect();
        Ok(vec![Call::of(Kernel::RoiAlign(self.params(&shapes)?), 0..ins.len())])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        super::pointwise_cost(8 * (self.samples * self.samples) as u64, ins, out)
    }
}
