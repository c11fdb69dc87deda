//! What a network eats and gives: frames, bands, their order and scaling, tile alignment, overlap.

use std::ops::RangeInclusive;

/// How pixels become network input: `clamp(v / divisor)` to 0..1 where `clip` is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// Divides the file's numbers.
    pub divisor: f32,
    /// Whether the quotient is clipped to 0..1.
    pub clip: bool,
}

/// One entry of `s2_bands`.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Lower-case name: `tci`, `b02`, `b8a`.
    pub name: String,
    /// Three for `tci`, else one.
    pub channels: usize,
    /// Pixels to network input.
    pub scaling: Scaling,
}

impl Band {
    /// The band of that name: the 8-bit true-colour image is divided by 255, any other band's
    /// 16-bit reflectance by 8160 (= 32·255) and clipped to 0..1.
    pub fn new(name: &str) -> Self {
        let name = name.trim().to_ascii_lowercase();
        let tci = name == "tci";
        Self {
            channels: if tci { 3 } else { 1 },
            scaling: if tci {
                Scaling { divisor: 255.0, clip: false }
            } else {
                Scaling { divisor: 8160.0, clip: true }
            },
            name,
        }
    }

    /// Bands in channel order: `tci` first wherever it was listed, the others as listed.
    pub fn ordered(names: &[String]) -> Vec<Self> {
        let mut bands: Vec<Self> = names.iter().map(|n| Self::new(n)).collect();
        bands.sort_by_key(|b| b.name != "tci");
        bands
    }
}

/// How frames lie in the input tensor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frames {
    /// `[N, T·C, H, W]`, channel `t·C + c`.
    Stacked,
    /// `[N, T, C, H, W]`.
    Apart,
}

/// What a network's input must be.
#[derive(Debug, Clone, PartialEq)]
pub struct InputSpec {
    /// Numbers of frames (dates) the network runs on.
    pub frames: RangeInclusive<usize>,
    /// Number of frames it was made for.
    pub default_frames: usize,
    /// Channels of one frame.
    pub channels: usize,
    /// The frame's bands in channel order; empty when neither tensors nor options tell.
    pub bands: Vec<Band>,
    /// Where the frame axis is.
    pub layout: Frames,
    /// Height and width must be multiples of this.
    pub multiple: usize,
    /// Smallest height and width (reflection needs a neighbour).
    pub min_side: usize,
}

impl InputSpec {
    /// Extents of the input tensor for a batch of `n`, `frames` dates and one tile.
    pub fn dims(&self, n: usize, frames: usize, height: usize, width: usize) -> Vec<usize> {
        match self.layout {
            Frames::Stacked => vec![n, frames * self.channels, height, width],
            Frames::Apart => vec![n, frames, self.channels, height, width],
        }
    }
}

/// What a network's output is: an image `[N, channels, scale·H, scale·W]`, nominally 0..1, unclamped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OutputSpec {
    /// Channels, red first; 0 when the network's results are no image of this kind.
    pub channels: usize,
    /// Output pixels per input pixel along each side.
    pub scale: usize,
}

/// Input pixels a tile is widened by on each side when nothing else is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overlap {
    /// All that the network can see: tiles equal the whole image.
    Exact,
    /// This many; the seam error is the family's own, measured.
    Pixels(usize),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tci_comes_first_and_keeps_three_channels() {
        let bands = Band::ordered(&["b08".into(), "TCI".into(), "b05".into()]);
        let names: Vec<_> = bands.iter().map(|b| b.name.as_str()).collect();
        assert_eq!(names, ["tci", "b08", "b05"]);
        assert_eq!(bands.iter().map(|b| b.channels).sum::<usize>(), 5);
        assert_eq!(bands[0].scaling, Scaling { divisor: 255.0, clip: false });
        assert_eq!(bands[1].scaling, Scaling { divisor: 8160.0, clip: true });
    }
}
