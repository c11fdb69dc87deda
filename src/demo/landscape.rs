//! The procedural landscape: a pure function of a seed and metric coordinates, made at any point or window
//! without its surroundings.

use super::airfield::Airfields;
use super::fields::{irrigated, wood, Parcels};
use super::noise::{fbm, hash, nearest_point, next, smoothstep, unit, value};
use super::roads::{road, Districts, Place};
use super::spectra::{Material, Plant};
use super::surface::{Cover, Surface};
use super::terrain::{Lattice, Terrain};
use super::town::town;
use super::{cover_of, Frame};

/// A landscape. Coordinates are metres east and north in the main UTM zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct World {
    seed: u32,
}

/// Evaluates a landscape point after point, keeping what neighbours share. One per thread.
#[derive(Debug, Clone)]
pub struct Sampler {
    seed: u32,
    terrain: Lattice,
    districts: Districts,
    parcels: Parcels,
    towns: Towns,
    airfields: Airfields,
}

/// Distance between the centres of towns, metres.
const TOWN_PITCH: f64 = 2900.0;

#[derive(Debug, Clone)]
struct Towns {
    cell: (i32, i32),
    /// Street frame and radius (metres) of the towns around the cell.
    near: Vec<(Frame, f32)>,
}

impl World {
    /// The landscape of a seed.
    pub fn new(seed: u64) -> Self {
        Self { seed: hash(0x5a7e, seed as i32, (seed >> 32) as i32) }
    }

    /// A sampler that is fast inside a box of coordinates (west, south, east, north).
    pub fn sampler(&self, bounds: [f64; 4]) -> Sampler {
        Sampler {
            seed: self.seed,
            terrain: Lattice::new(self.seed, bounds),
            districts: Districts::new(self.seed ^ 0xd15),
            parcels: Parcels::default(),
            towns: Towns { cell: (i32::MIN, 0), near: Vec::with_capacity(9) },
            airfields: Airfields::new(self.seed),
        }
    }
}

impl Sampler {
    /// What lies at a position, for a pixel of 2.5 m.
    pub fn at(&mut self, x: f64, y: f64) -> Surface {
        let terrain = self.terrain.at(x, y);
        let shore = terrain.shore;
        if shore < -6.0 {
            return sea(x, y, shore);
        }
        let mut surface = self.land(x, y, &terrain);
        if shore < 60.0 {
            let dune = 1.0 + 0.06 * value(0xd0e, x, y, 25.0).value;
            surface.put(Cover::bare(Material::Sand, dune), cover_of(34.0 - shore));
            surface.put(Cover::bare(Material::Shallows, 1.1), cover_of(-shore));
        }
        surface
    }

    fn land(&mut self, x: f64, y: f64, terrain: &Terrain) -> Surface {
        if let Some(surface) = self.airfields.at(x, y) {
            return surface;
        }
        let (wx, wy) = (x + f64::from(terrain.bend_x), y + f64::from(terrain.bend_y));
        let place = self.districts.at(wx, wy);
        let settled = self.settlement(x, y);
        let urban = settled.is_some();
        let mut surface = match settled {
            Some(surface) => surface,
            None => self.open(x, y, (wx, wy), terrain, &place),
        };
        let mut bridge = false;
        if !urban || unit(place.pair) < 0.40 {
            bridge = road(&mut surface, &place, x, y);
        }
        if !bridge {
            self.river(&mut surface, x, y, terrain);
        }
        surface
    }

    fn open(&mut self, x: f64, y: f64, bent: (f64, f64), terrain: &Terrain, place: &Place) -> Surface {
        let ragged = terrain.forest + 0.05 * value(0x0ed6, x, y, 45.0).value;
        let mut surface = if ragged > 0.0 {
            let surface = wood(x, y, unit(place.frame.hash), terrain.broadleaf);
            if ragged < 0.03 {
                thinned(surface, x, y, ragged / 0.03)
            } else {
                surface
            }
        } else if terrain.arid > 0.55 {
            irrigated(self.seed, x, y)
        } else {
            self.parcels.farmland(&place.frame, bent.0, bent.1, terrain.arid)
        };
        // Slopes that face the sun (south-south-east) are brighter.
        surface.light *= 1.0 + terrain.slope;
        surface
    }

    fn river(&self, surface: &mut Surface, x: f64, y: f64, terrain: &Terrain) {
        let (distance, half) = (terrain.river.abs(), terrain.river_half);
        if distance > half + 24.0 || half < 2.0 {
            return;
        }
        let (gap, crown) = nearest_point(0x41f, x, y, 9.0);
        let bank = half + 6.0 + 14.0 * value(self.seed ^ 33, x, y, 55.0).value;
        let tree = Cover::grown(Plant::Broadleaf, 1.0, unit(crown), 0.95 - 0.25 * gap);
        surface.put(tree, cover_of(bank - distance));
        let ripple = 1.0 + 0.05 * value(0x41e, x, y, 30.0).value;
        surface.put(Cover::bare(Material::Shallows, ripple), cover_of(half - distance));
        if distance < half {
            surface.light = 1.0;
        }
    }

    fn settlement(&mut self, x: f64, y: f64) -> Option<Surface> {
        let cell = ((x / TOWN_PITCH).floor() as i32, (y / TOWN_PITCH).floor() as i32);
        if cell != self.towns.cell {
            self.towns.gather(self.seed, cell);
        }
        let weight = |town: &(Frame, f32), x: f64, y: f64| {
            let (dx, dy) = (town.0.x - x, town.0.y - y);
            1.0 - (dx * dx + dy * dy).sqrt() as f32 / town.1
        };
        let weighed = self.towns.near.iter().map(|town| (weight(town, x, y), town));
        let (strongest, best) = weighed.max_by(|a, b| a.0.total_cmp(&b.0))?;
        if strongest < -0.7 {
            return None;
        }
        let ragged = self.seed ^ 41;
        let density =
            |px: f64, py: f64| weight(best, px, py) - 0.25 + 0.55 * fbm(ragged, px, py, 520.0, 3, 0.55).value;
        town(&best.0, x, y, &density)
    }
}

impl Towns {
    fn gather(&mut self, seed: u32, cell: (i32, i32)) {
        self.cell = cell;
        self.near.clear();
        for dy in -1..=1 {
            for dx in -1..=1 {
                let h = hash(seed ^ 0x70, cell.0 + dx, cell.1 + dy);
                if unit(next(h ^ 7)) < 0.8 {
                    let at = |c: i32, j: u32| (f64::from(c) + 0.2 + 0.6 * f64::from(unit(j))) * TOWN_PITCH;
                    let radius = 260.0 + 780.0 * unit(next(h ^ 8)).powi(2);
                    let frame = Frame::new(next(h ^ 9), at(cell.0 + dx, h), at(cell.1 + dy, next(h)));
                    self.near.push((frame, radius));
                }
            }
        }
    }
}

/// A forest's edge: single trees over rough grass.
fn thinned(wood: Surface, x: f64, y: f64, closed: f32) -> Surface {
    let (distance, crown) = nearest_point(0xed6e, x, y, 10.0);
    let mut surface = Surface::of(Cover::grown(Plant::Grass, 0.7, 0.4, 0.9));
    if unit(crown) < 0.3 + closed {
        surface.put(wood.base, cover_of((0.25 + 0.6 * closed - distance) * 10.0));
    }
    surface
}

fn sea(x: f64, y: f64, shore: f32) -> Surface {
    let swell = value(0x5ea, x * 0.5, y, 40.0).value;
    let mut surface = Surface::of(Cover::bare(Material::Water, 1.0 + 0.03 * swell));
    let bars = 70.0 + 60.0 * fbm(0x5eb, x, y, 300.0, 3, 0.5).value;
    surface.put(Cover::bare(Material::Shallows, 1.0), 0.85 * smoothstep(-bars - 110.0, 0.0, shore));
    let surf = cover_of(2.5 - (shore + 14.0 + 5.0 * swell).abs());
    if swell > -0.2 {
        surface.put(Cover::bare(Material::Paint, 0.7), 0.7 * surf);
    }
    surface
}
