//! Airfields: a runway with its markings, a taxiway, an apron with hangars.

use super::noise::{hash, next, unit, value};
use super::spectra::{Material, Plant};
use super::surface::{Cover, Surface};
use super::{cover_of, Frame};

/// Distance between possible airfields, metres.
const PITCH: f64 = 5200.0;

/// The airfields of a landscape; the one of the last point's cell is kept.
#[derive(Debug, Clone)]
pub struct Airfields {
    seed: u32,
    cell: (i32, i32),
    /// The runway's frame (u along it) and its half-length.
    near: Option<(Frame, f32)>,
}

impl Airfields {
    /// Airfields of a landscape.
    pub fn new(seed: u32) -> Self {
        Self { seed, cell: (i32::MIN, 0), near: None }
    }

    /// The airfield at a position, or `None` outside its fence.
    pub fn at(&mut self, x: f64, y: f64) -> Option<Surface> {
        let cell = ((x / PITCH).floor() as i32, (y / PITCH).floor() as i32);
        if cell != self.cell {
            (self.cell, self.near) = (cell, self.of_cell(cell));
        }
        let (frame, half) = self.near?;
        airfield(&frame, half, x, y)
    }

    fn of_cell(&self, (cx, cy): (i32, i32)) -> Option<(Frame, f32)> {
        let h = hash(self.seed ^ 0xa1f, cx, cy);
        if unit(h) > 0.45 {
            return None;
        }
        let at = |c: i32, j: u32| (f64::from(c) + 0.35 + 0.3 * f64::from(unit(j))) * PITCH;
        let frame = Frame::new(next(h ^ 0x33), at(cx, next(h)), at(cy, next(h ^ 1)));
        Some((frame, 780.0 + 380.0 * unit(next(h ^ 2))))
    }
}

fn airfield(frame: &Frame, half: f32, x: f64, y: f64) -> Option<Surface> {
    let (u, v) = frame.local(x, y);
    let (u, v) = (u as f32, v as f32);
    if u.abs() > half + 90.0 || !(-130.0..430.0).contains(&v) {
        return None;
    }
    let mown = ((v / 24.0).fract() * std::f32::consts::TAU).sin();
    let patch = value(0xa1e, x, y, 70.0).value;
    let mut surface = Surface::of(Cover::grown(Plant::Grass, 0.85, 0.5, 1.0 + 0.04 * mown + 0.06 * patch));
    paving(&mut surface, u, v, half);
    if v.abs() < 24.0 && u.abs() < half {
        markings(&mut surface, u, v, half);
    }
    buildings(&mut surface, frame, u, v);
    Some(surface)
}

fn strip(along: f32, half_length: f32, across: f32, half_width: f32) -> f32 {
    cover_of(half_length - along.abs()) * cover_of(half_width - across.abs())
}

fn paving(surface: &mut Surface, u: f32, v: f32, half: f32) {
    let taxi = strip(u, half - 8.0, v - 150.0, 9.0)
        .max(strip(u - (half - 20.0), 10.0, v - 75.0, 80.0))
        .max(strip(u + (half - 20.0), 10.0, v - 75.0, 80.0))
        .max(strip(u - 60.0, 9.0, v - 75.0, 80.0));
    surface.put(Cover::bare(Material::Asphalt, 1.1), taxi);
    surface.put(Cover::bare(Material::Concrete, 1.02), strip(u, 260.0, v - 225.0, 62.0));
    // Slabs of the apron.
    let joint = cover_of(0.5 - (u.rem_euclid(25.0) - 12.5).abs())
        .max(cover_of(0.5 - (v.rem_euclid(25.0) - 12.5).abs()));
    if surface.over.material == Material::Concrete {
        surface.over.bright *= 1.0 - 0.06 * joint;
    }
    let tyre = 1.0 - 0.14 * cover_of(9.0 - v.abs()) * cover_of(320.0 - (u.abs() - half + 380.0).abs());
    surface.put(Cover::bare(Material::Asphalt, 1.02 * tyre), strip(u, half, v, 22.5));
}

fn markings(surface: &mut Surface, u: f32, v: f32, half: f32) {
    let from_end = half - u.abs();
    let keys = cover_of(15.0 - (from_end - 22.0).abs())
        * cover_of(1.1 - (v.abs().rem_euclid(4.4) - 2.2).abs())
        * cover_of(20.0 - v.abs());
    let aim = cover_of(25.0 - (from_end - 330.0).abs()) * cover_of(3.4 - (v.abs() - 9.5).abs());
    let zone =
        cover_of(11.0 - (from_end.rem_euclid(150.0) - 60.0).abs()) * cover_of(1.7 - (v.abs() - 9.5).abs());
    let centre = cover_of(0.7 - v.abs())
        * cover_of(17.0 - (u.rem_euclid(60.0) - 30.0).abs())
        * cover_of(from_end - 60.0);
    let side = 0.5 * cover_of(0.8 - (v.abs() - 21.2).abs());
    let share = keys.max(aim).max(zone * f32::from(from_end < 640.0)).max(centre).max(side);
    if share > 0.0 && surface.alpha > 0.9 {
        surface.base = surface.over;
        surface.over = Cover::bare(Material::Paint, 1.0);
        surface.alpha = share;
    }
}

fn buildings(surface: &mut Surface, frame: &Frame, u: f32, v: f32) {
    let index = (u / 78.0).floor();
    let h = hash(frame.hash, index as i32, 5);
    let (lu, lv) = (u - (index + 0.5) * 78.0, v - 325.0);
    let built = cover_of((20.0 + 12.0 * unit(h) - lu.abs()).min(14.0 + 12.0 * unit(next(h)) - lv.abs()));
    if u.abs() < 310.0 && unit(next(h ^ 4)) < 0.8 {
        let material = if h & 1 == 0 { Material::Metal } else { Material::Concrete };
        surface.put(Cover::bare(material, 0.85 + 0.3 * unit(next(h ^ 2))), built);
    }
    // Parked aircraft: a fuselage and swept wings.
    let stand = (u / 48.0).floor();
    let (pu, pv) = (u - (stand + 0.5) * 48.0, v - 240.0);
    if u.abs() < 235.0 && unit(hash(frame.hash, stand as i32, 6)) < 0.45 {
        let hull = cover_of((2.0 - pu.abs()).min(18.0 - pv.abs()));
        let wing = cover_of((1.9 - (pv + 0.45 * pu.abs()).abs()).min(17.0 - pu.abs()));
        let tail = cover_of((1.4 - (pv + 15.0 + 0.3 * pu.abs()).abs()).min(6.0 - pu.abs()));
        surface.put(Cover::bare(Material::Paint, 1.05), hull.max(wing).max(tail));
    }
}
