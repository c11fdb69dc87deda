//! What a network eats and gives: frames, bands, their order and scaling, tile alignment, overlap.

use std::ops::RangeInclusive;

use crate::kernel::samples::ChannelScale;

/// How pixels become network input: `(v - zero) / divisor`, clipped to 0..1 where `clip` is set.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scaling {
    /// The file's number that becomes 0.
    pub zero: f32,
    /// Divides what is above it.
    pub divisor: f32,
    /// Whether the quotient is clipped to 0..1.
    pub clip: bool,
}

impl Scaling {
    /// The same as kernels compute it.
    pub fn scale(self) -> ChannelScale {
        let (least, most) = if self.clip { (0.0, 1.0) } else { (f32::NEG_INFINITY, f32::INFINITY) };
        ChannelScale { zero: self.zero, gain: 1.0 / self.divisor, least, most }
    }

    /// That of 8-bit samples, whatever the band: networks of this kind keep their images in bytes that are
    /// divided by 255.
    pub const BYTES: Self = Self { zero: 0.0, divisor: 255.0, clip: false };
    /// 16-bit reflectance of Sentinel-2: 8160 is 32·255.
    const REFLECTANCE: Self = Self { zero: 0.0, divisor: 8160.0, clip: true };
    /// Amplitudes of Sentinel-1.
    const AMPLITUDE: Self = Self { zero: 0.0, divisor: 255.0, clip: true };
    /// Reflectances that stand in for true colour: what Satlas's successors give the networks where there is no
    /// true-colour image.
    const COLOUR: Self = Self { zero: 0.0, divisor: 3000.0, clip: true };
    /// Digital numbers of Landsat 8 and 9: 16320 is 64·255.
    const LANDSAT: Self = Self { zero: 4000.0, divisor: 16320.0, clip: true };
}

/// Bands of Landsat 8 and 9 as the published networks take them.
pub const LANDSAT_BANDS: [&str; 11] = ["b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9", "b10", "b11"];

/// True colour made of three reflectance bands, for scenes without a true-colour image.
const MADE_COLOUR: (&str, [&str; 3]) = ("rgb", ["b04", "b03", "b02"]);

/// One entry of `s2_bands`.
#[derive(Debug, Clone, PartialEq)]
pub struct Band {
    /// Lower-case name: `tci`, `rgb`, `b02`, `b8a`.
    pub name: String,
    /// Three for `tci` and `rgb`, else one.
    pub channels: usize,
    /// Pixels to network input.
    pub scaling: Scaling,
}

impl Band {
    /// The band of that name: the 8-bit true-colour image, what stands in for it, a polarisation of Sentinel-1, or
    /// a 16-bit reflectance of Sentinel-2.
    pub fn new(name: &str) -> Self {
        let name = name.trim().to_ascii_lowercase();
        Self {
            channels: if is_colour(&name) { 3 } else { 1 },
            scaling: match name.as_str() {
                "tci" => Scaling::BYTES,
                name if name == MADE_COLOUR.0 => Scaling::COLOUR,
                "vv" | "vh" | "hh" | "hv" => Scaling::AMPLITUDE,
                _ => Scaling::REFLECTANCE,
            },
            name,
        }
    }

    /// Names of the images it is read from.
    pub fn sources(&self) -> Vec<String> {
        match self.name == MADE_COLOUR.0 {
            true => MADE_COLOUR.1.map(String::from).to_vec(),
            false => vec![self.name.clone()],
        }
    }

    /// Bands in channel order: true colour first wherever it was listed, the others as listed. All eleven bands of
    /// Landsat, and no others, are Landsat's.
    pub fn ordered(names: &[String]) -> Vec<Self> {
        let mut bands: Vec<Self> = names.iter().map(|n| Self::new(n)).collect();
        if bands.iter().map(|b| b.name.as_str()).eq(LANDSAT_BANDS) {
            bands.iter_mut().for_each(|b| b.scaling = Scaling::LANDSAT);
        }
        bands.sort_by_key(|b| !is_colour(&b.name));
        bands
    }
}

/// Whether a band holds red, green and blue.
fn is_colour(name: &str) -> bool {
    name == "tci" || name == MADE_COLOUR.0
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
    /// Tiles of a scene begin and end on multiples of this.
    pub step: usize,
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
        assert_eq!(bands[0].scaling, Scaling { zero: 0.0, divisor: 255.0, clip: false });
        assert_eq!(bands[1].scaling, Scaling { zero: 0.0, divisor: 8160.0, clip: true });
        let made = &Band::ordered(&["b05".into(), "rgb".into()])[0];
        assert_eq!((made.sources().join(" ").as_str(), made.channels), ("b04 b03 b02", 3));
        assert_eq!(made.scaling, Scaling { zero: 0.0, divisor: 3000.0, clip: true });
    }

    #[test]
    fn sensors_are_told_by_their_bands() {
        let scaling = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
            Band::ordered(&names).iter().map(|b| (b.scaling.zero, b.scaling.divisor)).collect::<Vec<_>>()
        };
        assert_eq!(scaling(&["vh", "VV"]), [(0.0, 255.0); 2]);
        assert_eq!(scaling(&LANDSAT_BANDS), [(4000.0, 16320.0); 11]);
        assert_eq!(scaling(&LANDSAT_BANDS[..4]), [(0.0, 8160.0); 4]);
    }
}
