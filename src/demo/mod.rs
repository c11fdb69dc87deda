//! A procedural Sentinel-2 time series: a landscape known at 2.5 m, a sensor that sees it at 10, 20 and
//! 60 m on several dates, and products written as the real ones are. Uses `raster` and `tile`, never networks.

mod airfield;
mod chips;
mod clouds;
mod fields;
mod landscape;
mod layers;
mod metadata;
mod noise;
mod picture;
mod product;
pub mod report;
mod roads;
mod schedule;
mod sensor;
mod spectra;
mod surface;
mod terrain;
mod town;

pub use chips::{chip, Chip};
pub use landscape::{Sampler, World};
pub use product::{make, truth, Made};
pub use schedule::{DemoSpec, Pass, TILE_SIDE};
pub use sensor::{bands_at, halo, observe, tci, Acquisition, Raster, Survey, TCI_WHITE};
pub use spectra::{Spectrum, BANDS, BAND_METRES, RGB};
pub use surface::{Palette, Surface};

/// The small weights that are part of the program (`docs/demo-weights.md` says what they are), a `.pth` file.
pub static WEIGHTS: &[u8] = include_bytes!("../../assets/demo/rrdb_8s2_demo.pth");

/// Side of a pixel of the truth, metres.
pub const TRUTH_METRES: f64 = 2.5;

/// Where shadows fall: metres east and north for a metre of height (sun in the south-south-east, 60° high).
const SHADOW: (f32, f32) = (-0.244, 0.523);

/// Share of a truth pixel inside an edge at a signed distance (metres, positive inside).
fn cover_of(distance: f32) -> f32 {
    (distance * (1.0 / TRUTH_METRES as f32) + 0.5).clamp(0.0, 1.0)
}

/// A rotated metric frame: of a district's fields, a town's streets, a runway.
#[derive(Debug, Clone, Copy)]
struct Frame {
    hash: u32,
    x: f64,
    y: f64,
    cos: f64,
    sin: f64,
}

impl Frame {
    /// The frame at an origin, turned by an angle drawn from the hash.
    fn new(hash: u32, x: f64, y: f64) -> Self {
        let angle = f64::from(noise::unit(noise::next(hash ^ 0xa7))) * std::f64::consts::PI;
        Self { hash, x, y, cos: angle.cos(), sin: angle.sin() }
    }

    fn local(&self, x: f64, y: f64) -> (f64, f64) {
        self.rotate(x - self.x, y - self.y)
    }

    fn rotate(&self, dx: f64, dy: f64) -> (f64, f64) {
        (dx * self.cos + dy * self.sin, dy * self.cos - dx * self.sin)
    }

    fn world(&self, u: f64, v: f64) -> (f64, f64) {
        (self.x + u * self.cos - v * self.sin, self.y + u * self.sin + v * self.cos)
    }
}
