//! Farmland: parcels cut from a district's blocks, their crops, rows, hedges and tracks; pivot irrigation.

use super::noise::{fbm, hash, nearest_point, next, smoothstep, unit, value};
use super::spectra::{Material, Plant};
use super::surface::{Cover, Surface};
use super::{cover_of, Frame};

/// A parcel of farmland, seen from one point in it.
struct Parcel {
    hash: u32,
    /// Position in the parcel's frame, metres.
    u: f64,
    v: f64,
    /// Distance to the nearest side, metres.
    edge: f32,
    /// Whether that side belongs to the block (a farm track runs along it).
    outer: bool,
    /// Whether rows run along `u`.
    along_u: bool,
}

/// A parcel's sides in its district's frame, kept while points stay inside.
#[derive(Debug, Clone, Default)]
pub struct Parcels {
    district: u32,
    hash: u32,
    /// West, east, south, north.
    sides: [f64; 4],
    block: [f64; 4],
}

impl Parcels {
    /// Farmland at a position; `frame` is the district's.
    pub fn farmland(&mut self, frame: &Frame, x: f64, y: f64, arid: f32) -> Surface {
        let parcel = self.at(frame, x, y);
        let mut surface = crop(&parcel, x, y, arid);
        let style = unit(next(parcel.hash ^ 0x51));
        if parcel.outer {
            let track = Cover::bare(Material::PaleSoil, 0.95 + 0.2 * style);
            surface.put(track, cover_of(2.2 - parcel.edge));
        } else if style < 0.3 && arid < 0.4 {
            hedge(&mut surface, &parcel, x, y);
        } else {
            let margin = Cover::grown(Plant::Grass, 0.75, style, 0.95);
            surface.put(margin, cover_of(1.4 - parcel.edge));
        }
        surface
    }

    fn at(&mut self, frame: &Frame, x: f64, y: f64) -> Parcel {
        let (u, v) = frame.local(x, y);
        if self.district != frame.hash || inside(&self.sides, u, v) < 0.0 {
            self.split(frame, u, v);
        }
        let edge = inside(&self.sides, u, v);
        let outer = inside(&self.block, u, v) - edge < 0.5;
        let along_u = self.sides[1] - self.sides[0] > self.sides[3] - self.sides[2];
        Parcel { hash: self.hash, u, v, edge: edge as f32, outer, along_u }
    }

    /// Cuts the block at a position in two, again and again, as inheritance does.
    fn split(&mut self, frame: &Frame, u: f64, v: f64) {
        let size = 0.7 + 0.9 * f64::from(unit(next(frame.hash ^ 0xb10c)));
        let (width, height) = (640.0 * size, 440.0 * size);
        let (bx, by) = ((u / width).floor(), (v / height).floor());
        let mut h = hash(frame.hash, bx as i32, by as i32);
        let mut sides = [bx * width, (bx + 1.0) * width, by * height, (by + 1.0) * height];
        self.block = sides;
        for level in 0..6 {
            h = next(h);
            let (w, t) = (sides[1] - sides[0], sides[3] - sides[2]);
            if w * t < 9_000.0 || (level > 1 && unit(h) < 0.30) {
                break;
            }
            h = next(h);
            let axis = if w > 0.9 * t { 0 } else { 2 };
            let cut = sides[axis] + (0.32 + 0.36 * f64::from(unit(h))) * (sides[axis + 1] - sides[axis]);
            let below = [u, v][axis / 2] < cut;
            sides[axis + usize::from(below)] = cut;
            h = next(h ^ u32::from(below));
        }
        (self.district, self.hash, self.sides) = (frame.hash, h, sides);
    }
}

/// Signed distance to the nearest side, positive inside.
fn inside(sides: &[f64; 4], u: f64, v: f64) -> f64 {
    (u - sides[0]).min(sides[1] - u).min(v - sides[2]).min(sides[3] - v)
}

fn hedge(surface: &mut Surface, parcel: &Parcel, x: f64, y: f64) {
    let gap = value(0x4ed6, x, y, 35.0).value;
    let (distance, crown) = nearest_point(0x4ed7, x, y, 8.0);
    let half = 3.2 + 2.0 * gap;
    let bright = 0.75 + 0.25 * unit(crown) - 0.25 * distance;
    surface.put(Cover::grown(Plant::Broadleaf, 1.0, unit(next(crown)), bright), cover_of(half - parcel.edge));
}

fn crop(parcel: &Parcel, x: f64, y: f64, arid: f32) -> Surface {
    let h = next(parcel.hash ^ 0xc209);
    let (kind, phase, tone) = (unit(h), unit(next(h)), unit(next(next(h))));
    let (across, along) = if parcel.along_u { (parcel.v, parcel.u) } else { (parcel.u, parcel.v) };
    // Soil moisture and growth differ within a parcel, in streaks along the rows.
    let patch = fbm(parcel.hash, along * 0.5, across, 90.0, 3, 0.55).value;
    let grain = value(parcel.hash ^ 7, along * 0.4, across, 9.0).value;
    let bright = (0.86 + 0.3 * tone) * (1.0 + 0.10 * patch + 0.03 * grain);
    let soil = if unit(next(h ^ 5)) < 0.35 + 0.5 * arid { Material::PaleSoil } else { Material::Soil };
    let growth = 1.0 - 0.25 * smoothstep(-0.1, 0.8, patch) - 0.45 * arid * tone;
    let mut surface = match kind {
        k if k < 0.28 => Surface::of(Cover::grown(Plant::Cereal, growth, phase, bright)),
        k if k < 0.47 => with_soil(Plant::Maize, soil, growth, phase, bright),
        k if k < 0.57 => with_soil(Plant::Beet, soil, growth, phase, bright),
        k if k < 0.67 => Surface::of(Cover::grown(Plant::Rape, growth, phase, bright)),
        k if k < 0.86 => return meadow(parcel, x, y, growth, phase, bright),
        k if k < 0.92 => Surface::of(Cover::bare(soil, bright)),
        k if k < 0.96 => return orchard(parcel, across, along, soil, bright),
        _ => return wood(x, y, phase, 1.0),
    };
    rows(&mut surface, parcel, across, tone);
    surface
}

fn with_soil(plant: Plant, soil: Material, leaves: f32, phase: f32, bright: f32) -> Surface {
    Surface::of(Cover { material: soil, plant, leaves, phase, bright })
}

/// Sowing rows as the eye sees them from above, and the sprayer's wheel tracks.
fn rows(surface: &mut Surface, parcel: &Parcel, across: f64, tone: f32) {
    let period = 10.0 + 8.0 * f64::from(tone);
    let wave = ((across / period).fract() * std::f64::consts::TAU).sin() as f32;
    surface.tint(1.0 + 0.035 * wave);
    let swath = 27.0 + 12.0 * f64::from(unit(next(parcel.hash ^ 0x77)));
    let offset = (across.rem_euclid(swath) - 0.5 * swath).abs() as f32;
    surface.base.leaves *= 1.0 - 0.5 * cover_of(1.0 - offset);
    let headland = cover_of(14.0 - parcel.edge);
    surface.tint(1.0 - 0.05 * headland);
}

fn meadow(parcel: &Parcel, x: f64, y: f64, growth: f32, phase: f32, bright: f32) -> Surface {
    let mottled = value(parcel.hash, x, y, 22.0).value;
    let mut surface = Surface::of(Cover::grown(Plant::Grass, growth, phase, bright * (1.0 + 0.05 * mottled)));
    let (distance, crown) = nearest_point(parcel.hash ^ 0x7ee, x, y, 34.0);
    if unit(crown) < 0.18 {
        let bright = 0.85 - 0.3 * distance;
        let tree = Cover::grown(Plant::Broadleaf, 1.0, unit(next(crown)), bright);
        surface.put(tree, cover_of((0.12 + 0.06 * unit(next(crown)) - distance) * 34.0));
    }
    surface
}

fn orchard(parcel: &Parcel, across: f64, along: f64, soil: Material, bright: f32) -> Surface {
    let mut surface = with_soil(Plant::Grass, soil, 0.55, 0.5, bright);
    let (row, step) = (9.0, if parcel.hash & 1 == 0 { 1e9 } else { 9.0 });
    let du = (across.rem_euclid(row) - 0.5 * row) as f32;
    let dv = (along.rem_euclid(step) - 0.5 * step) as f32;
    let distance = if step > 1e6 { du.abs() } else { du.hypot(dv) };
    let crowns = Cover::grown(Plant::Broadleaf, 0.95, 0.5, 0.85);
    surface.put(crowns, cover_of(2.3 - distance));
    surface
}

/// Closed canopy: crowns with their lit tops and dark gaps. `mix` in `0..1` is the share of broad-leaved
/// stands.
pub fn wood(x: f64, y: f64, phase: f32, mix: f32) -> Surface {
    let (distance, crown) = nearest_point(0xf0e5, x, y, 9.0);
    let stand = value(0xf0e6, x, y, 160.0).value;
    let bright = (1.10 - 0.30 * distance) * (0.95 + 0.12 * unit(crown)) * (1.0 + 0.10 * stand);
    let plant = if stand * 0.5 + 0.5 < mix { Plant::Broadleaf } else { Plant::Conifer };
    Surface::of(Cover::grown(plant, 1.0, 0.7 * phase + 0.3 * unit(next(crown)), bright))
}

/// Scrub and dry grass with a pivot-irrigated circle where the lattice has one.
pub fn irrigated(seed: u32, x: f64, y: f64) -> Surface {
    const PITCH: f64 = 820.0;
    let (cx, cy) = ((x / PITCH).floor(), (y / PITCH).floor());
    let h = hash(seed ^ 0x914, cx as i32, cy as i32);
    let (u, v) = (x - (cx + 0.5) * PITCH, y - (cy + 0.5) * PITCH);
    let radius = (u.hypot(v)) as f32;
    let patch = fbm(seed ^ 0x915, x, y, 240.0, 4, 0.55).value;
    let dry = Cover { leaves: 0.22, phase: 0.2, ..Cover::grown(Plant::Grass, 0.2, 0.2, 1.0 + 0.16 * patch) };
    let mut surface = Surface::of(Cover { material: Material::PaleSoil, ..dry });
    let reach = 392.0;
    if unit(h) < 0.82 && radius < reach + 4.0 {
        let angle = (v.atan2(u) as f32 / std::f32::consts::TAU + unit(next(h))).rem_euclid(1.0);
        let sectors = 1 + (h >> 5) % 3;
        let part = hash(h, (angle * sectors as f32) as i32, 1);
        let plant = [Plant::Beet, Plant::Maize, Plant::Cereal, Plant::Rape, Plant::Beet][(part % 5) as usize];
        let rings = ((radius / 49.0).fract() * std::f32::consts::TAU).sin();
        let streak = value(part, f64::from(radius), f64::from(angle) * 900.0, 30.0).value;
        let bright = (0.88 + 0.25 * unit(part)) * (1.0 + 0.05 * streak + 0.02 * rings);
        surface.put(Cover::grown(plant, 0.95, unit(next(part)), bright), cover_of(reach - radius));
        // Each span's wheels leave a bare ring.
        let wheel = ((radius + 24.5).rem_euclid(49.0) - 24.5).abs();
        surface.over.leaves *= 1.0 - 0.45 * cover_of(1.2 - wheel);
    }
    surface
}
