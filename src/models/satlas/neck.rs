//! Necks: feature pyramids, and enlargement of their finest map back to the image's size.

use super::super::layers::conv;
use crate::error::Result;
use crate::graph::{Builder, Var};
use crate::kernel::resize::ResizeMode;
use crate::ops::{Conv2d, ConvTranspose2d};
use crate::weights::Names;

/// A feature pyramid network: maps of one number of channels, each with those coarser than it added.
#[derive(Debug, Clone, PartialEq)]
pub struct Fpn {
    /// Channels of its maps.
    pub channels: usize,
    /// Maps it takes and gives.
    pub levels: usize,
    /// Whether the maps it took follow those it made.
    pub keeps: bool,
}

impl Fpn {
    /// Reads the numbers off the shapes under `prefix`; `None` when there is no pyramid.
    ///
    /// # Errors
    /// `Weights` for shapes that no pyramid has.
    pub fn configure(names: &Names, prefix: &str, keeps: bool) -> Result<Option<Self>> {
        let levels = names.count(&format!("{prefix}inner_blocks.{{}}.0.weight"));
        if levels == 0 {
            return Ok(None);
        }
        let [channels, ..] = names.conv(&format!("{prefix}inner_blocks.0.0.weight"))?;
        Ok(Some(Self { channels, levels, keeps }))
    }

    /// The pyramid of feature maps, finest first; parameters are asked for within the current scope.
    pub fn build<'b>(&self, b: &'b Builder, maps: &[Var<'b>]) -> Vec<Var<'b>> {
        let mut pyramid: Vec<Var<'b>> = Vec::with_capacity(self.levels);
        let mut coarser: Option<Var<'b>> = None;
        for (level, &map) in maps.iter().enumerate().take(self.levels).rev() {
            let inner = conv(b, &format!("inner_blocks.{level}.0"), map, self.channels, 1, Conv2d::default());
            let sum = match coarser {
                None => inner,
                Some(above) => inner.add(above.resize(ResizeMode::Nearest, [map.dim(2), map.dim(3)])),
            };
            coarser = Some(sum);
            pyramid.push(conv(b, &format!("layer_blocks.{level}.0"), sum, self.channels, 3, Conv2d::same(3)));
        }
        pyramid.reverse();
        if self.keeps {
            pyramid.extend_from_slice(maps);
        }
        pyramid
    }
}

/// Rounds of a convolution and an enlargement by two, from a map to the image's size.
#[derive(Debug, Clone, PartialEq)]
pub struct Upsample {
    /// Channels after each round.
    pub widths: Vec<usize>,
    /// Channels between a round's convolution and its enlargement.
    pub inner: Vec<usize>,
    /// From the coarsest map, joined in each round with the maps of its size; else from the finest.
    pub skip: bool,
}

/// Rounds from a map of a quarter of the image's side.
const ROUNDS_FROM_FINEST: usize = 2;

impl Upsample {
    /// Reads the numbers off the shapes under `prefix`; `None` when there is no enlargement.
    ///
    /// # Errors
    /// `Weights` for shapes that no enlargement has.
    pub fn configure(names: &Names, prefix: &str) -> Result<Option<Self>> {
        let rounds = names.count(&format!("{prefix}layers.{{}}.2.weight"));
        let mut upsample = Self { widths: Vec::new(), inner: Vec::new(), skip: rounds > ROUNDS_FROM_FINEST };
        for round in 0..rounds {
            let [inner, width, ..] = names.conv(&format!("{prefix}layers.{round}.2.weight"))?;
            upsample.inner.push(inner);
            upsample.widths.push(width);
        }
        Ok((rounds > 0).then_some(upsample))
    }

    /// The enlarged map; parameters are asked for within the current scope.
    pub fn build<'b>(&self, b: &'b Builder, maps: &[Var<'b>]) -> Option<Var<'b>> {
        let mut at = if self.skip { maps.len().checked_sub(1)? } else { 0 };
        let mut x = *maps.get(at)?;
        for (round, (&inner, &width)) in self.inner.iter().zip(&self.widths).enumerate() {
            if self.skip {
                let others: Vec<Var<'b>> = maps
                    .iter()
                    .enumerate()
                    .filter(|(k, map)| *k != at && map.dim(2) == x.dim(2))
                    .map(|(_, map)| *map)
                    .collect();
                at = maps.len();
                x = if others.is_empty() { x } else { x.concat(&others, 1) };
            }
            let y = conv(b, &format!("layers.{round}.0"), x, inner, 3, Conv2d::same(3)).relu();
            let scope = b.scope(&format!("layers.{round}.2"));
            let w = scope.param("weight", &[inner, width, 4, 4]);
            x = y
                .conv_transpose2d(w, Some(scope.param("bias", &[width])), ConvTranspose2d::doubling())
                .relu();
        }
        Some(x)
    }
}
