//! How one image axis is cut into tiles of constant length: origins, the part each tile answers for,
//! and the ramps by which neighbours hand over.
//!
//! All positions are input pixels; an output of scale `s` multiplies them.

use crate::error::{Error, Result};

/// What becomes of the pixels that two tiles share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blend {
    /// A hard cut in the middle of the overlap.
    Crop,
    /// Linear ramps that sum to one.
    Linear,
    /// Raised-cosine ramps that sum to one.
    Cosine,
}

/// One tile on one axis.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// First input pixel read.
    pub origin: i64,
    /// Hand-over from the tile before, as a half-open range; empty for a hard cut.
    pub enter: (i64, i64),
    /// Hand-over to the tile after.
    pub leave: (i64, i64),
}

impl Span {
    /// Pixels to which this tile contributes.
    pub fn active(&self) -> (i64, i64) {
        (self.enter.0, self.leave.1)
    }
}

/// An axis cut into tiles.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Axis {
    /// Image length in pixels.
    pub length: usize,
    /// Length of every tile. Tiles may reach past `length` by less than the alignment.
    pub tile: usize,
    /// The tiles, in order.
    pub spans: Vec<Span>,
}

impl Axis {
    /// Cuts `length` pixels into tiles of `tile` that share at least `overlap` pixels with each neighbour;
    /// origins and lengths are multiples of `align`. The last tile is shifted inwards; a tile longer than the
    /// image shrinks to it. Neighbours hand over within the middle half of what they share (`Blend::Crop`: at
    /// its middle). Hand-overs never meet: they are at most half a step wide.
    ///
    /// # Errors
    /// `Usage` when the overlap leaves no step, or a size is zero.
    pub fn new(length: usize, tile: usize, overlap: usize, align: usize, blend: Blend) -> Result<Self> {
        let align = align.max(1);
        if length == 0 || tile == 0 {
            return Err(Error::usage(format!("an image of {length} pixels in tiles of {tile}")));
        }
        let padded = length.next_multiple_of(align);
        let tile = tile.next_multiple_of(align).min(padded);
        if tile < padded && overlap >= tile {
            return Err(Error::usage(format!(
                "an overlap of {overlap} px leaves nothing of a tile of {tile} px; raise --tile or lower --overlap"
            )));
        }
        let step = ((tile - overlap.min(tile - 1)) / align * align).max(align) as i64;
        let last = (padded - tile) as i64;
        let mut origins: Vec<i64> = (0..).map(|i| i * step).take_while(|o| *o < last).collect();
        origins.push(last);

        let cuts: Vec<(i64, i64)> = origins
            .windows(2)
            .map(|pair| {
                let (from, to) = (pair[1], pair[0] + tile as i64);
                let shared = (overlap as i64).min(step);
                let middle = from + (to - from) / 2;
                match blend {
                    Blend::Crop => (middle, middle),
                    Blend::Linear | Blend::Cosine => (middle - shared / 4, middle + shared / 4),
                }
            })
            .collect();
        let end = (length as i64, length as i64);
        let spans = origins
            .iter()
            .enumerate()
            .map(|(i, &origin)| Span {
                origin,
                enter: if i == 0 { (0, 0) } else { cuts[i - 1] },
                leave: cuts.get(i).copied().unwrap_or(end),
            })
            .collect();
        Ok(Self { length, tile, spans })
    }

    /// Pixels computed over pixels wanted, at least 1.
    pub fn redundancy(&self) -> f64 {
        (self.tile * self.spans.len()) as f64 / self.length as f64
    }

    /// Contribution of tile `i` to each output pixel of its active range, at `scale` output pixels an input
    /// pixel. The weights of all tiles at a pixel sum to one.
    pub fn weights(&self, i: usize, scale: usize, blend: Blend) -> Vec<f32> {
        let span = &self.spans[i];
        let s = scale as i64;
        let (from, to) = span.active();
        (from * s..to * s)
            .map(|p| ramp(p, span.enter, s, blend) * (1.0 - ramp(p, span.leave, s, blend)))
            .collect()
    }
}

/// 0 before the hand-over, 1 after it.
fn ramp(p: i64, (from, to): (i64, i64), scale: i64, blend: Blend) -> f32 {
    let (from, to) = (from * scale, to * scale);
    if p < from {
        return 0.0;
    }
    if p >= to {
        return 1.0;
    }
    let t = (p - from) as f32 + 0.5;
    let t = t / (to - from) as f32;
    match blend {
        Blend::Crop | Blend::Linear => t,
        Blend::Cosine => 0.5 - 0.5 * (std::f32::consts::PI * t).cos(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn weights_sum_to_one_and_tiles_stay_inside(
            length in 1usize..3000, tile in 8usize..400, overlap in 0usize..64, align in 1usize..9, b in 0..3
        ) {
            let blend = [Blend::Crop, Blend::Linear, Blend::Cosine][b as usize];
            prop_assume!(overlap + align < tile);
            let axis = Axis::new(length, tile, overlap, align, blend).unwrap();
            let scale = 4;
            let mut sum = vec![0f32; length * scale];
            for (i, span) in axis.spans.iter().enumerate() {
                prop_assert_eq!(span.origin as usize % align, 0);
                prop_assert!(span.origin as usize + axis.tile <= length.next_multiple_of(align));
                prop_assert!(span.origin <= span.enter.0 && span.leave.1 <= span.origin + axis.tile as i64);
                let from = span.active().0 as usize * scale;
                for (k, w) in axis.weights(i, scale, blend).into_iter().enumerate() {
                    sum[from + k] += w;
                }
            }
            for s in sum {
                prop_assert!((s - 1.0).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_tile_larger_than_the_image_is_the_image() {
        let axis = Axis::new(50, 128, 16, 1, Blend::Linear).unwrap();
        assert_eq!(axis.tile, 50);
        assert_eq!(axis.spans.len(), 1);
        assert_eq!(axis.spans[0].active(), (0, 50));
    }

    #[test]
    fn a_hard_cut_leaves_the_whole_halo_on_both_sides() {
        let axis = Axis::new(1000, 200, 80, 1, Blend::Crop).unwrap();
        for pair in axis.spans.windows(2) {
            let cut = pair[0].leave.0;
            assert!(cut - pair[1].origin >= 40);
            assert!(pair[0].origin + 200 - cut >= 40);
        }
    }
}
