//! Pairs for training and for judging networks: a stack of eight dates at 10 m and the truth at 2.5 m.

use super::landscape::World;
use super::noise::{hash, next, unit};
use super::sensor::{halo, observe, tci, Acquisition, Raster, Survey};
use super::spectra::RGB;
use crate::tile::Rect;

/// Dates of a chip, drawn from a season of [`SEASON`] as a tile of a series has its clearest dates drawn.
pub const CHIP_DATES: usize = 8;
/// Dates of a season, five days apart.
const SEASON: usize = 10;

/// A training pair.
#[derive(Debug, Clone, PartialEq)]
pub struct Chip {
    /// `[date * 3 + rgb][y][x]`, 8-bit true colour, 0 = no data.
    pub low: Vec<u8>,
    /// `[rgb][y][x]` at four times the size.
    pub high: Vec<u8>,
}

/// The chip of a seed: a place drawn at random on land, a season, eight of its dates, now and then
/// a cloudy or cut one among them, in random order. `side` is in pixels of 10 m.
pub fn chip(seed: u64, side: usize) -> Chip {
    let mut h = hash(0xc41b, seed as i32, (seed >> 32) as i32);
    let mut draw = move || {
        h = next(h);
        unit(h)
    };
    let fine = Rect::of_size(4 * side, 4 * side);
    let start = 126.0 + 60.0 * draw();
    let middle = start + 2.5 * (SEASON as f32 - 1.0);
    let (survey, origin, high) = loop {
        let world = World::new(u64::from(next((draw() * 16_777_216.0) as u32 ^ seed as u32)));
        let metres = |v: f32| (f64::from(v) * 9_000.0).round() * 10.0;
        let origin = (300_000.0 + metres(draw()), 5_500_020.0 - metres(draw()));
        let survey = Survey::new(&world, origin, fine.grow(halo(10)), &|x, y| (x, y));
        let high = Survey::new(&world, origin, fine.grow(1), &|x, y| (x, y)).true_colour(middle);
        // Open sea teaches little: keep one chip in fifty of those without contrast.
        if contrast(&high) > 6.0 || draw() < 0.02 {
            break (survey, origin, high);
        }
    };
    let raster = Raster { origin, metres: 10, width: side, rect: Rect::of_size(side, side) };
    let mut low = Vec::with_capacity(side * side * 3 * CHIP_DATES);
    for index in order(&mut draw) {
        let mut date = acquisition(&mut draw, start + 5.0 * index as f32);
        let edge = if draw() < 0.03 { 0.1 + 0.8 * f64::from(draw()) } else { 2.0 };
        date.swath_end = Some(edge);
        for plane in observe(&survey, &raster, &date, &RGB) {
            low.extend(plane.iter().map(|&v| if v.is_nan() { 0 } else { tci(v) }));
        }
    }
    Chip { low, high: planar(&high) }
}

/// An acquisition of a day with the usual small differences between dates.
pub fn acquisition(draw: &mut impl FnMut() -> f32, day: f32) -> Acquisition {
    let mut spread = |width: f32| width * (draw() - 0.5);
    let shift = (f64::from(spread(0.6)), f64::from(spread(0.6)));
    let (gain, haze) = (1.0 + spread(0.04), spread(0.14));
    let cloudy = draw() < 0.05;
    let cloud_cover = if cloudy { 0.1 + 0.6 * draw() } else { 0.0 };
    Acquisition { seed: (draw() * 16_777_216.0) as u32, day, shift, gain, haze, cloud_cover, swath_end: None }
}

/// Eight dates of the season in random order.
fn order(draw: &mut impl FnMut() -> f32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..SEASON).collect();
    for i in (1..SEASON).rev() {
        order.swap(i, (draw() * (i + 1) as f32) as usize % (i + 1));
    }
    order.truncate(CHIP_DATES);
    order
}

fn contrast(interleaved: &[u8]) -> f64 {
    let n = interleaved.len().max(1) as f64;
    let mean = interleaved.iter().map(|&v| f64::from(v)).sum::<f64>() / n;
    (interleaved.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / n).sqrt()
}

fn planar(interleaved: &[u8]) -> Vec<u8> {
    (0..3).flat_map(|band| interleaved.iter().skip(band).step_by(3).copied()).collect()
}
