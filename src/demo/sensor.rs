//! The instrument: from the landscape at 2.5 m to what a band records at 10, 20 or 60 m on a date:
//! misregistration, point spread, sampling, air, clouds and their shadows, noise, the swath's edge.

use super::clouds::Clouds;
use super::landscape::World;
use super::noise::{hash, normal_at};
use super::spectra::{BANDS, RGB};
use super::surface::{Palette, Surface, AIR};
use super::TRUTH_METRES;
use crate::tile::Rect;

/// Standard deviation of the optics' Gaussian, in pixels of the band. With the detector's own width
/// (`sinc(1/2) = 0.64`) it leaves a contrast (MTF) of 0.2 at the Nyquist frequency.
const OPTICS: f64 = 0.486;

/// Reflectance at which ESA's true-colour image reaches 255.
pub const TCI_WHITE: f32 = 0.3558;

/// What sets one acquisition apart from another.
#[derive(Debug, Clone, PartialEq)]
pub struct Acquisition {
    /// Source of the date's noise and clouds.
    pub seed: u32,
    /// Day of the year: which plants are green.
    pub day: f32,
    /// Misregistration in pixels of 10 m, columns and rows.
    pub shift: (f64, f64),
    /// Factor on reflectance (calibration, illumination).
    pub gain: f32,
    /// Haze: factor on the air's own reflectance beyond the clear day's.
    pub haze: f32,
    /// Share of the sky under cloud, `0..1`.
    pub cloud_cover: f32,
    /// Where the swath ends: share of the product's width that has data in the first row, if it ends inside.
    pub swath_end: Option<f64>,
}

impl Acquisition {
    /// A perfect look at the landscape on a day: no shift, air as on a clear day, no cloud.
    pub fn clear(day: f32) -> Self {
        Self { seed: 0, day, shift: (0.0, 0.0), gain: 1.0, haze: 0.0, cloud_cover: 0.0, swath_end: None }
    }
}

/// From a product's metric coordinates to the landscape's (another UTM zone's are turned).
pub type ToWorld<'a> = &'a (dyn Fn(f64, f64) -> (f64, f64) + Sync);

/// The landscape under a window of a product, a surface a 2.5 m pixel.
#[derive(Debug, Clone)]
pub struct Survey {
    /// Pixels covered, on the product's 2.5 m grid.
    pub rect: Rect,
    surfaces: Vec<Surface>,
}

impl Survey {
    /// Surveys `rect` of the 2.5 m grid whose upper left corner is `origin`.
    pub fn new(world: &World, origin: (f64, f64), rect: Rect, to_world: ToWorld<'_>) -> Self {
        let place = |x: i64, y: i64| {
            let east = origin.0 + (x as f64 + 0.5) * TRUTH_METRES;
            to_world(east, origin.1 - (y as f64 + 0.5) * TRUTH_METRES)
        };
        let corners = [(rect.x0, rect.y0), (rect.x1, rect.y0), (rect.x0, rect.y1), (rect.x1, rect.y1)];
        let mut bounds = [f64::MAX, f64::MAX, f64::MIN, f64::MIN];
        for (x, y) in corners.map(|(x, y)| place(x, y)) {
            bounds = [bounds[0].min(x), bounds[1].min(y), bounds[2].max(x), bounds[3].max(y)];
        }
        let mut sampler = world.sampler(bounds);
        let mut surfaces = Vec::with_capacity(rect.area());
        for y in rect.y0..rect.y1 {
            surfaces.extend((rect.x0..rect.x1).map(|x| {
                let (east, north) = place(x, y);
                sampler.at(east, north)
            }));
        }
        Self { rect, surfaces }
    }

    /// Reflectance of every pixel in some bands, one plane a band.
    pub fn reflectance<const N: usize>(&self, day: f32, bands: &[usize; N]) -> [Vec<f32>; N] {
        let palette = Palette::of_day(day);
        let mut planes: [Vec<f32>; N] = std::array::from_fn(|_| Vec::with_capacity(self.surfaces.len()));
        for surface in &self.surfaces {
            for (plane, value) in planes.iter_mut().zip(palette.reflect(surface, bands)) {
                plane.push(value);
            }
        }
        planes
    }

    /// True colour of the landscape, `[y][x][rgb]` of the survey's rectangle without its rim of one pixel: the
    /// truth. It is what an instrument of four times finer pixels and relatively the same optics would record.
    pub fn true_colour(&self, day: f32) -> Vec<u8> {
        let planes = self.reflectance(day, &RGB).map(|plane| soften(&plane, self.rect.width()));
        let [r, g, b] = &planes;
        r.iter().zip(g).zip(b).flat_map(|((&r, &g), &b)| [tci(r), tci(g), tci(b)]).collect()
    }
}

/// Share of a pixel's light that the optics ([`OPTICS`]) throw onto each neighbour along an axis.
const SPILL: f32 = 0.12;

/// The optics at 2.5 m. Drops a rim of one pixel.
fn soften(plane: &[f32], width: usize) -> Vec<f32> {
    let three = |a: f32, b: f32, c: f32| b + SPILL * (a - 2.0 * b + c);
    let across = |line: &[f32]| -> Vec<f32> {
        line.windows(3)
            .map(|w| w.first().zip(w.get(1)).zip(w.get(2)).map_or(0.0, |((a, b), c)| three(*a, *b, *c)))
            .collect()
    };
    let lines: Vec<Vec<f32>> = plane.chunks_exact(width.max(1)).map(across).collect();
    let down = |w: &[Vec<f32>]| -> Vec<f32> {
        let [a, b, c] = w else { return Vec::new() };
        a.iter().zip(b).zip(c).map(|((a, b), c)| three(*a, *b, *c)).collect()
    };
    lines.windows(3).flat_map(down).collect()
}

/// ESA's 8-bit true-colour value of a reflectance; 0 is kept for no data.
pub fn tci(reflectance: f32) -> u8 {
    (reflectance * (255.0 / TCI_WHITE)).round().clamp(1.0, 255.0) as u8
}

/// Pixels of 2.5 m around a window that its observation at `metres` reads.
pub fn halo(metres: u32) -> i64 {
    let ratio = f64::from(metres) / TRUTH_METRES;
    (ratio * (0.5 + 3.0 * OPTICS)).ceil() as i64 + 8
}

/// The point spread of optics and detector along one axis: weights of the 2.5 m pixels around a pixel.
struct Spread {
    ratio: i64,
    /// First weight's pixel, relative to the band pixel's first.
    first: i64,
    weights: Vec<f32>,
}

impl Spread {
    fn new(metres: u32, shift: f64) -> Self {
        let ratio = f64::from(metres) / TRUTH_METRES;
        let sigma = OPTICS * ratio;
        let centre = 0.5 * ratio + shift * 10.0 / TRUTH_METRES;
        let reach = 0.5 * ratio + 3.0 * sigma;
        let (first, last) = ((centre - reach).floor() as i64, (centre + reach).ceil() as i64);
        let weight = |i: i64| {
            let d = i as f64 + 0.5 - centre;
            normal_cdf((d + 0.5 * ratio) / sigma) - normal_cdf((d - 0.5 * ratio) / sigma)
        };
        let weights: Vec<f64> = (first..last).map(weight).collect();
        let sum: f64 = weights.iter().sum();
        Self { ratio: ratio as i64, first, weights: weights.iter().map(|w| (w / sum) as f32).collect() }
    }

    /// Sum of `line` under the spread of band pixel `i`; `line[0]` is 2.5 m pixel `start`.
    fn sum(&self, line: impl Fn(usize) -> f32, start: i64, i: i64) -> f32 {
        let first = (i * self.ratio + self.first - start) as usize;
        self.weights.iter().enumerate().map(|(k, w)| w * line(first + k)).sum()
    }
}

/// Distribution function of the normal law (Abramowitz and Stegun 7.1.26, error below 1e-7).
fn normal_cdf(x: f64) -> f64 {
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * z);
    let poly = t
        * (0.254_829_592
            + t * (-0.284_496_736 + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let erf = 1.0 - poly * (-z * z).exp();
    0.5 * (1.0 + erf.copysign(x))
}

/// A grid that is observed: its place and size.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Raster {
    /// Upper left corner, metres east and north in the product's zone.
    pub origin: (f64, f64),
    /// Pixel size, metres.
    pub metres: u32,
    /// Columns of the whole product.
    pub width: usize,
    /// The window to observe, in pixels of the band.
    pub rect: Rect,
}

/// What some bands of one pixel size record of a window: reflectance planes, `NaN` where there is no data.
/// The survey must cover the window and [`halo`] pixels round it.
pub fn observe<const N: usize>(
    survey: &Survey,
    raster: &Raster,
    date: &Acquisition,
    bands: &[usize; N],
) -> [Vec<f32>; N] {
    let fine = survey.reflectance(date.day, bands);
    let clouds = Clouds::new(date);
    let mut planes = fine.map(|plane| spread(&plane, survey, raster, date.shift));
    let (width, metres) = (raster.rect.width(), f64::from(raster.metres));
    for index in 0..raster.rect.area() {
        let column = raster.rect.x0 + (index % width) as i64;
        let row = raster.rect.y0 + (index / width) as i64;
        let east = raster.origin.0 + (column as f64 + 0.5) * metres;
        let sky = clouds.at(east, raster.origin.1 - (row as f64 + 0.5) * metres);
        let seen = has_data(date, raster, column, row);
        for (plane, &band) in planes.iter_mut().zip(bands) {
            if let Some(value) = plane.get_mut(index) {
                let air = AIR.get(band).copied().unwrap_or(0.0);
                let hazy = (*value - air) * date.gain * (1.0 - 0.15 * date.haze) + air * (1.0 + date.haze);
                let clear = sky.over(hazy, air);
                let sigma = 0.0009 + 0.004 * clear;
                let noise = normal_at(hash(date.seed, band as i32, 0x6e), column as i32, row as i32);
                *value = if seen { clear + sigma * noise } else { f32::NAN };
            }
        }
    }
    planes
}

fn has_data(date: &Acquisition, raster: &Raster, column: i64, row: i64) -> bool {
    // Sentinel-2's swath runs about 12 degrees off the grid's north.
    let Some(end) = date.swath_end else { return true };
    (column as f64 + 0.5) + 0.21 * (row as f64 + 0.5) < end * raster.width as f64
}

fn spread(plane: &[f32], survey: &Survey, raster: &Raster, shift: (f64, f64)) -> Vec<f32> {
    let (across, down) = (Spread::new(raster.metres, shift.0), Spread::new(raster.metres, shift.1));
    let (fine_width, width) = (survey.rect.width(), raster.rect.width());
    let at = |plane: &[f32], i: usize| plane.get(i).copied().unwrap_or(0.0);
    let mut narrow = Vec::with_capacity(survey.rect.height() * width);
    for line in plane.chunks_exact(fine_width.max(1)) {
        narrow
            .extend((raster.rect.x0..raster.rect.x1).map(|x| across.sum(|i| at(line, i), survey.rect.x0, x)));
    }
    let mut out = Vec::with_capacity(raster.rect.area());
    for y in raster.rect.y0..raster.rect.y1 {
        out.extend((0..width).map(|x| down.sum(|i| at(&narrow, i * width + x), survey.rect.y0, y)));
    }
    out
}

/// Names of the bands of one pixel size, as indices into `spectra::BANDS`.
pub fn bands_at(metres: u32) -> Vec<usize> {
    (0..BANDS.len()).filter(|&b| super::BAND_METRES.get(b) == Some(&metres)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spread_leaves_a_fifth_of_the_contrast_at_nyquist() {
        let spread = Spread::new(10, 0.0);
        // A wave of two band pixels = 8 fine pixels, seen at its crest.
        let crest = |i: usize| {
            let x = i as f64 + 0.5 - 200.0 - 2.0;
            (x * std::f64::consts::TAU / 8.0).cos() as f32
        };
        let seen = spread.sum(crest, 0, 50);
        assert!((0.17..0.23).contains(&seen), "{seen}");
    }

    #[test]
    fn a_shift_moves_the_image_by_that_many_pixels() {
        let ramp = |i: usize| i as f32;
        let still = Spread::new(10, 0.0).sum(ramp, 0, 20);
        let moved = Spread::new(10, 0.3).sum(ramp, 0, 20);
        assert!((moved - still - 1.2).abs() < 0.01, "{}", moved - still);
    }

    #[test]
    fn windows_of_an_observation_agree_with_the_whole() {
        let world = World::new(5);
        let origin = (300_000.0, 5_500_020.0);
        let date =
            Acquisition { seed: 4, shift: (0.31, -0.2), cloud_cover: 0.4, ..Acquisition::clear(160.0) };
        let look = |rect: Rect| {
            let fine = rect.scale_up(4).grow(halo(10));
            let survey = Survey::new(&world, origin, fine, &|x, y| (x, y));
            observe(&survey, &Raster { origin, metres: 10, width: 64, rect }, &date, &RGB)
        };
        let (whole, part) = (look(Rect::at(0, 0, 40, 30)), look(Rect::at(13, 7, 9, 11)));
        for band in 0..3 {
            for y in 0..11 {
                for x in 0..9 {
                    let (a, b) = (whole[band][(y + 7) * 40 + x + 13], part[band][y * 9 + x]);
                    assert!((a - b).abs() < 1e-6, "{a} {b}");
                }
            }
        }
    }
}
