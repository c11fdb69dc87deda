//! Swin transformers, version 1 and 2, with torchvision's names and arithmetic.
//!
//! Between the patch embedding and the feature maps a token map lies as (n, rows, columns, channels):
//! linear layers and norms run over the last axis, windows are cut by index. Feature maps are the
//! stages' outputs before merging and without the final norm, as images.

use super::layers::{conv, layer_norm, linear};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::ops::{Conv2d, WindowAttention};
use crate::weights::Names;

/// Side of a patch: input pixels per token of the first stage.
const PATCH: usize = 4;

/// Tokens of the next stage's, per side.
const MERGE: usize = 2;

/// A Swin transformer's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Swin {
    /// Version 2: cosine attention, position bias from a small network, norms after the layers.
    pub v2: bool,
    /// Channels of the image.
    pub channels: usize,
    /// Side of a window in tokens.
    pub window: usize,
    /// The stages, finest first.
    pub stages: Vec<SwinStage>,
}

/// One stage of a Swin transformer.
#[derive(Debug, Clone, PartialEq)]
pub struct SwinStage {
    /// Channels of a token.
    pub width: usize,
    /// Heads.
    pub heads: usize,
    /// Blocks.
    pub depth: usize,
    /// Hidden channels of a block's layers.
    pub hidden: usize,
    /// Hidden channels of the network that gives version 2 its position bias.
    pub bias_hidden: usize,
}

impl Swin {
    /// Whether a Swin transformer's tensors lie under `prefix`.
    pub fn is_at(names: &Names, prefix: &str) -> bool {
        names.contains(&format!("{prefix}features.1.0.attn.qkv.weight"))
    }

    /// Reads the numbers off the shapes under `prefix`.
    ///
    /// # Errors
    /// `Weights` for shapes that no Swin transformer has.
    pub fn configure(names: &Names, prefix: &str) -> Result<Self> {
        let [_, channels, ..] = names.conv(&format!("{prefix}features.0.0.weight"))?;
        let first = format!("{prefix}features.1.0.attn.");
        let v2 = names.contains(&format!("{first}logit_scale"));
        let side = match v2 {
            true => names.extent(&format!("{first}relative_coords_table"), 1)?,
            false => names.extent(&format!("{first}relative_position_bias_table"), 0)?.isqrt(),
        };
        let mut stages = Vec::new();
        while names.contains(&format!("{prefix}features.{}.0.norm1.weight", 2 * stages.len() + 1)) {
            stages.push(SwinStage::configure(
                names,
                &format!("{prefix}features.{}", 2 * stages.len() + 1),
                v2,
            )?);
        }
        Ok(Self { v2, channels, window: side.div_ceil(2), stages })
    }

    /// Channels of the feature maps, finest first.
    pub fn widths(&self) -> Vec<usize> {
        self.stages.iter().map(|s| s.width).collect()
    }

    /// Whether a tensor is a part of the transformer that feature maps don't need, or can be derived.
    pub fn is_unused(name: &str) -> bool {
        name.ends_with("attn.relative_position_index")
            || ["norm.weight", "norm.bias", "head.weight", "head.bias"].contains(&name)
    }

    /// The feature maps of an image, finest first; parameters are asked for within the current scope.
    pub fn build<'b>(&self, b: &'b Builder, x: Var<'b>) -> Vec<Var<'b>> {
        let _scope = b.scope("features");
        let Some(first) = self.stages.first() else { return Vec::new() };
        let patches = conv(b, "0.0", x, first.width, PATCH, Conv2d::new(PATCH, 0));
        let mut x = layer_norm(b, "0.2", patches.permute(&[0, 2, 3, 1]));
        let mut maps = Vec::with_capacity(self.stages.len());
        for (s, stage) in self.stages.iter().enumerate() {
            if s > 0 {
                x = self.merge(b, &format!("{}", 2 * s), x, stage.width);
            }
            for block in 0..stage.depth {
                x = self.block(b, &format!("{}.{block}", 2 * s + 1), x, stage, block % 2 == 1);
            }
            maps.push(x.permute(&[0, 3, 1, 2]));
        }
        maps
    }

    /// Attention and two linear layers, each with its norm and added to what it saw.
    pub fn block<'b>(
        &self,
        b: &'b Builder,
        name: &str,
        x: Var<'b>,
        stage: &SwinStage,
        shifted: bool,
    ) -> Var<'b> {
        let _scope = b.scope(name);
        let layers = |x: Var<'b>| linear(b, "mlp.3", linear(b, "mlp.0", x, stage.hidden).gelu(), stage.width);
        let attend = |x: Var<'b>| {
            let _scope = b.scope("attn");
            self.attention(b, x, stage, shifted)
        };
        if self.v2 {
            let x = x.add(layer_norm(b, "norm1", attend(x)));
            x.add(layer_norm(b, "norm2", layers(x)))
        } else {
            let x = x.add(attend(layer_norm(b, "norm1", x)));
            x.add(layers(layer_norm(b, "norm2", x)))
        }
    }

    /// Attention of tokens (n, rows, columns, channels) within the windows of a stage; parameters are asked
    /// for within the current scope.
    pub fn attention<'b>(&self, b: &'b Builder, x: Var<'b>, stage: &SwinStage, shifted: bool) -> Var<'b> {
        let c = stage.width;
        let w = b.param("qkv.weight", &[3 * c, c]);
        let mut bias = b.param("qkv.bias", &[3 * c]);
        if self.v2 {
            // The keys' bias is always zero.
            let part = |k: usize| bias.slice(0, k * c..(k + 1) * c);
            bias = part(0).concat(&[part(1).scale(0.0), part(2)], 0);
        }
        let shift = if shifted { self.window / 2 } else { 0 };
        let attention = WindowAttention { heads: stage.heads, window: self.window, shift, cosine: self.v2 };
        let scale = self.v2.then(|| b.param("logit_scale", &[stage.heads, 1, 1]));
        // Tokens beyond the map's edge are zeros before this layer, so they hold its bias.
        let y =
            x.linear(w, Some(bias)).window_attention(attention, bias, self.position_bias(b, stage), scale);
        linear(b, "proj", y, c)
    }

    /// The position bias of every head and offset, (heads, (2·window - 1)²).
    fn position_bias<'b>(&self, b: &'b Builder, stage: &SwinStage) -> Var<'b> {
        const SCALE: f32 = 16.0;
        let side = 2 * self.window - 1;
        if !self.v2 {
            return b.param("relative_position_bias_table", &[side * side, stage.heads]).permute(&[1, 0]);
        }
        let offsets = b.param("relative_coords_table", &[1, side, side, 2]).reshape(&[side * side, 2]);
        let hidden = linear(b, "cpb_mlp.0", offsets, stage.bias_hidden).relu();
        let w = b.param("cpb_mlp.2.weight", &[stage.heads, stage.bias_hidden]);
        hidden.linear(w, None).sigmoid().scale(SCALE).permute(&[1, 0])
    }

    /// Squares of four tokens become one of `width` channels; a missing row or column is zeros.
    pub fn merge<'b>(&self, b: &'b Builder, name: &str, x: Var<'b>, width: usize) -> Var<'b> {
        let _scope = b.scope(name);
        let x = x.pad_axis(1, 0, x.dim(1) % MERGE).pad_axis(2, 0, x.dim(2) % MERGE);
        let [n, h, w, c] = [0, 1, 2, 3].map(|axis| x.dim(axis));
        // Channels in the order column, row within the square.
        let squares = x.reshape(&[n, h / MERGE, MERGE, w / MERGE, MERGE, c]).permute(&[0, 1, 3, 4, 2, 5]);
        let x = squares.reshape(&[n, h / MERGE, w / MERGE, MERGE * MERGE * c]);
        let reduction = b.param("reduction.weight", &[width, MERGE * MERGE * c]);
        match self.v2 {
            true => layer_norm(b, "norm", x.linear(reduction, None)),
            false => layer_norm(b, "norm", x).linear(reduction, None),
        }
    }
}

impl SwinStage {
    fn configure(names: &Names, stage: &str, v2: bool) -> Result<Self> {
        let first = format!("{stage}.0");
        let width = names.extent(&format!("{first}.norm1.weight"), 0)?;
        let heads = match v2 {
            true => names.extent(&format!("{first}.attn.logit_scale"), 0)?,
            false => names.extent(&format!("{first}.attn.relative_position_bias_table"), 1)?,
        };
        if heads == 0 || width % heads != 0 {
            return Err(Error::weights(format!("{stage}: {width} channels in {heads} heads")));
        }
        let bias_hidden = if v2 { names.extent(&format!("{first}.attn.cpb_mlp.0.weight"), 0)? } else { 0 };
        Ok(Self {
            width,
            heads,
            depth: names.count(&format!("{stage}.{{}}.norm1.weight")),
            hidden: names.extent(&format!("{first}.mlp.0.weight"), 0)?,
            bias_hidden,
        })
    }
}
