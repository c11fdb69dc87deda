//! Districts of the countryside (jittered Voronoi cells) and the roads that run along their borders.

use super::noise::{hash, next, unit, value};
use super::spectra::{Material, Plant};
use super::surface::{Cover, Surface};
use super::{cover_of, Frame};

/// Distance between the centres of districts, metres.
const PITCH: f64 = 1150.0;

/// The centres around one cell of the lattice, kept while points stay in that cell.
#[derive(Debug, Clone)]
pub struct Districts {
    seed: u32,
    cell: (i32, i32),
    centres: Vec<Frame>,
}

/// Where a point lies among the districts.
pub struct Place {
    /// The district's own frame.
    pub frame: Frame,
    /// Distance to the nearest border, metres.
    pub border: f32,
    /// Position along that border, metres.
    pub along: f32,
    /// Hash shared by both sides of the border.
    pub pair: u32,
}

impl Districts {
    /// Districts of a landscape.
    pub fn new(seed: u32) -> Self {
        Self { seed, cell: (i32::MIN, 0), centres: Vec::with_capacity(25) }
    }

    /// The district at a position.
    pub fn at(&mut self, x: f64, y: f64) -> Place {
        let cell = ((x / PITCH).floor() as i32, (y / PITCH).floor() as i32);
        if cell != self.cell {
            self.gather(cell);
        }
        let distance = |c: &Frame| (c.x - x).powi(2) + (c.y - y).powi(2);
        let (mut first, mut second) = ((f64::MAX, 0), (f64::MAX, 0));
        for (index, centre) in self.centres.iter().enumerate() {
            let d = distance(centre);
            if d < first.0 {
                second = first;
                first = (d, index);
            } else if d < second.0 {
                second = (d, index);
            }
        }
        let (a, b) = (self.centres[first.1], self.centres[second.1]);
        let (dx, dy) = (b.x - a.x, b.y - a.y);
        let gap = (dx * dx + dy * dy).sqrt().max(1.0);
        Place {
            frame: a,
            border: ((second.0 - first.0) / (2.0 * gap)) as f32,
            along: (((x - a.x) * -dy + (y - a.y) * dx) / gap) as f32,
            pair: hash(self.seed, (a.hash ^ b.hash) as i32, 0x0ad),
        }
    }

    fn gather(&mut self, cell: (i32, i32)) {
        self.cell = cell;
        self.centres.clear();
        for dy in -2..=2 {
            for dx in -2..=2 {
                let h = hash(self.seed, cell.0 + dx, cell.1 + dy);
                let at = |c: i32, j: f32| (f64::from(c) + 0.15 + 0.7 * f64::from(j)) * PITCH;
                let (x, y) = (at(cell.0 + dx, unit(h)), at(cell.1 + dy, unit(next(h))));
                self.centres.push(Frame::new(next(h ^ 0xd15), x, y));
            }
        }
        self.drop_far();
    }

    /// Keeps the centres that can be nearest or second nearest to a point of the cell.
    fn drop_far(&mut self) {
        let (x, y) = ((f64::from(self.cell.0) + 0.5) * PITCH, (f64::from(self.cell.1) + 0.5) * PITCH);
        let distance = |c: &Frame| (c.x - x).hypot(c.y - y);
        self.centres.sort_by(|a, b| distance(a).total_cmp(&distance(b)));
        let Some(second) = self.centres.get(1).map(distance) else { return };
        self.centres.retain(|c| distance(c) <= second + std::f64::consts::SQRT_2 * PITCH);
    }
}

/// Draws the border's road, if it has one. Returns whether the point lies on a paved road.
pub fn road(surface: &mut Surface, place: &Place, x: f64, y: f64) -> bool {
    let class = unit(place.pair);
    if place.border > 17.0 || class > 0.92 {
        return false;
    }
    let wear = 1.0 + 0.04 * value(0x40ad, x, y, 40.0).value;
    if class < 0.16 {
        motorway(surface, place, wear);
        return place.border < 13.0;
    }
    if class < 0.72 {
        let half = if class < 0.4 { 4.6 } else { 3.2 };
        surface.put(Cover::grown(Plant::Grass, 0.6, 0.4, 1.1), cover_of(half + 2.2 - place.border));
        surface.put(Cover::bare(Material::Asphalt, wear), cover_of(half - place.border));
        let dash = if place.along.rem_euclid(26.0) < 16.0 { 1.0 } else { 0.0 };
        mark(surface, dash * stripe(place.border, 0.0, 0.35));
        return place.border < half;
    }
    surface.put(Cover::bare(Material::PaleSoil, 1.05 * wear), cover_of(2.4 - place.border));
    false
}

/// Share of a pixel's width taken by a stripe of the given half-width at an offset.
fn stripe(distance: f32, at: f32, half: f32) -> f32 {
    let reach = (distance - at).abs();
    if reach < 1.25 + half {
        (2.0 * half / 2.5).min(1.0) * (1.0 - (reach / (1.25 + half)).powi(4))
    } else {
        0.0
    }
}

fn mark(surface: &mut Surface, share: f32) {
    if share > 0.0 && surface.alpha > 0.9 {
        let road = surface.over;
        surface.base = road;
        surface.over = Cover::bare(Material::Paint, 1.0);
        surface.alpha = share.min(1.0);
    }
}

/// Two carriageways of two lanes and a hard shoulder, a green median between.
fn motorway(surface: &mut Surface, place: &Place, wear: f32) {
    let d = place.border;
    surface.put(Cover::grown(Plant::Grass, 0.7, 0.4, 1.0), cover_of(16.5 - d));
    let carriageway = cover_of(13.0 - d) * cover_of(d - 2.0);
    surface.put(Cover::bare(Material::Asphalt, 1.04 * wear), carriageway);
    let dash = if place.along.rem_euclid(18.0) < 6.0 { 1.0 } else { 0.25 };
    mark(surface, stripe(d, 2.6, 0.3) + stripe(d, 10.2, 0.3) + dash * stripe(d, 6.4, 0.3));
    let slot = (place.along / 14.0).floor() as i32;
    let car = hash(place.pair, slot, (d / 5.0) as i32);
    if unit(car) < 0.10 && carriageway > 0.99 {
        let length = 2.2 + 4.0 * unit(next(car));
        let near = cover_of(length - (place.along.rem_euclid(14.0) - 7.0).abs());
        let lane = cover_of(1.3 - (d - if d < 6.4 { 4.5 } else { 8.3 }).abs());
        surface.put(Cover::bare(Material::Metal, 0.7 + 0.5 * unit(next(car ^ 1))), near * lane);
    }
}
