//! Attention within shifted windows of a token map (Swin transformers).

use super::{f32_of, u32_of, Call, Cost, Lie, OpDef, Reach};
use crate::kernel::attention::WindowAttentionParams;
use crate::kernel::Kernel;
use crate::tensor::{Layout, TensorSpec};
use crate::{Error, Result};

/// Attention of every token with those of its window. Inputs: queries, keys and values (n, rows,
/// columns, 3·c), what a token beyond the map's edge holds of them (3·c), the relative position bias
/// (heads, (2·window - 1)²), then the logarithms of the heads' factors (heads) if `cosine`. Gives
/// (n, rows, columns, c). See [`crate::kernel::attention`] for the formula.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowAttention {
    /// Heads.
    pub heads: usize,
    /// Side of a window.
    pub window: usize,
    /// How far windows are moved down and right; axes that fit into one window are not.
    pub shift: usize,
    /// Queries and keys are compared by their angle, as in Swin v2.
    pub cosine: bool,
}

impl WindowAttention {
    fn params(&self, x: &[usize]) -> Result<WindowAttentionParams> {
        let &[batch, rows, columns, channels] = x else {
            return Err(Error::shape(format!("{x:?} is no map of tokens (batch, rows, columns, channels)")));
        };
        let unit = 3 * self.heads;
        if unit == 0 || channels == 0 || channels % unit != 0 {
            return Err(Error::shape(format!(
                "{channels} channels for queries, keys, values of {} heads",
                self.heads
            )));
        }
        if self.window == 0 || self.window > 64 || self.shift >= self.window || batch * rows * columns == 0 {
            return Err(Error::shape(format!(
                "windows of {} moved by {} (at most 64) on {rows} x {columns} tokens",
                self.window, self.shift
            )));
        }
        let shift = |extent: usize| if extent <= self.window { 0 } else { self.shift as u32 };
        Ok(WindowAttentionParams {
            batch: u32_of(batch)?,
            size: [u32_of(rows)?, u32_of(columns)?],
            heads: u32_of(self.heads)?,
            head_dim: u32_of(channels / unit)?,
            window: self.window as u32,
            shift: [shift(rows), shift(columns)],
            cosine: u32::from(self.cosine),
            reserved: 0,
        })
    }
}

impl OpDef for WindowAttention {
    const NAME: &'static str = "window_attention";
    const LIE: Lie = Lie::Dense;

    fn infer(&self, ins: &[TensorSpec]) -> Result<TensorSpec> {
        let wanted = 3 + usize::from(self.cosine);
        let [x, pad, bias, scale @ ..] = ins else {
            return Err(Error::shape(format!("{} inputs given, {wanted} wanted", ins.len())));
        };
        let p = self.params(&x.shape)?;
        let vectors =
            pad.shape.numel() == 3 * p.channels() && bias.shape.numel() == self.heads * p.bias_len();
        if ins.len() != wanted || !vectors || scale.iter().any(|s| s.shape.numel() != self.heads) {
            let shapes: Vec<String> = ins.iter().map(|s| s.shape.to_string()).collect();
            return Err(Error::shape(format!(
                "attention of {} heads over {}",
                self.heads,
                shapes.join(", ")
            )));
        }
        f32_of(&x.shape.with(3, p.channels()))
    }

    fn reach(&self, _ins: &[TensorSpec], _out: &TensorSpec) -> Reach {
        Reach::Global
    }

    fn lower(&self, ins: &[Layout], _y: &Layout) -> Result<Vec<Call>> {
        let params = self.params(&ins[0].shape)?;
        Ok(vec![Call::of(Kernel::WindowAttention(params), 0..ins.len())])
    }

    fn cost(&self, ins: &[TensorSpec], out: &TensorSpec) -> Cost {
        let base = super::pointwise_cost(0, ins, out);
        let tokens = self.params(&ins[0].shape).map_or(0, |p| {
            let [rows, columns] = p.windows();
            p.batch as usize * rows * columns * p.tokens() * p.tokens()
        });
        let channels = out.shape.last().copied().unwrap_or(0);
        Cost { flops: 4 * (tokens * channels) as u64, ..base }
    }
}
