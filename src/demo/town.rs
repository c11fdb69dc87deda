//! Settlements: streets, blocks, houses with gable roofs and shadows, halls, parks.

use super::noise::{hash, nearest_point, next, unit, value};
use super::spectra::{Material, Plant};
use super::surface::{Cover, Surface};
use super::{cover_of, Frame, SHADOW};

/// One block of a town's street grid, seen from a point.
struct Block {
    hash: u32,
    u: f32,
    v: f32,
    width: f32,
    height: f32,
    /// Direction in which shadows fall, in the block's frame; length is metres a metre of height.
    shadow: (f32, f32),
}

/// How built-up a place is, `<= 0` outside the town.
pub type Density<'a> = &'a dyn Fn(f64, f64) -> f32;

/// The settlement at a position, or `None` in open country.
pub fn town(frame: &Frame, x: f64, y: f64, density: Density<'_>) -> Option<Surface> {
    let bend = |seed: u32| f64::from(value(seed, x, y, 420.0).value) * 22.0;
    let (u, v) = frame.local(x + bend(0x70a1), y + bend(0x70a2));
    let width = 96.0 + 56.0 * f64::from(unit(next(frame.hash)));
    let height = 66.0 + 22.0 * f64::from(unit(next(frame.hash ^ 9)));
    let (bu, bv) = ((u / width).floor(), (v / height).floor());
    let (cx, cy) = frame.world((bu + 0.5) * width, (bv + 0.5) * height);
    let urban = density(cx, cy);
    if urban <= 0.0 {
        return None;
    }
    let shadow = frame.rotate(f64::from(SHADOW.0), f64::from(SHADOW.1));
    let block = Block {
        hash: hash(frame.hash, bu as i32, bv as i32),
        u: (u - bu * width) as f32,
        v: (v - bv * height) as f32,
        width: width as f32,
        height: height as f32,
        shadow: (shadow.0 as f32, shadow.1 as f32),
    };
    Some(paved(&block, urban, x, y))
}

fn paved(block: &Block, urban: f32, x: f64, y: f64) -> Surface {
    let edge = block.u.min(block.width - block.u).min(block.v).min(block.height - block.v);
    let kind = unit(next(block.hash ^ 0x0b));
    let mut surface = if kind < 0.06 {
        park(x, y)
    } else if urban > 0.55 {
        centre(block, edge, x, y)
    } else if kind > 0.86 {
        halls(block)
    } else {
        houses(block, x, y)
    };
    surface.put(Cover::bare(Material::Concrete, 0.92), cover_of(6.0 - edge) * f32::from(edge > 3.0));
    if edge < 6.0 {
        let wear = 0.98 + 0.05 * value(0x57e, x, y, 14.0).value;
        surface.put(Cover::bare(Material::Asphalt, wear), cover_of(4.3 - edge));
        street_trees(&mut surface, block, edge, x, y);
    }
    surface
}

fn street_trees(surface: &mut Surface, block: &Block, edge: f32, x: f64, y: f64) {
    if block.hash & 3 == 0 {
        let (distance, crown) = nearest_point(0x57f, x, y, 11.0);
        let tree = Cover::grown(Plant::Broadleaf, 1.0, unit(crown), 0.85 - 0.2 * distance);
        surface.put(tree, cover_of((0.3 - distance) * 11.0) * cover_of(edge - 3.0));
    }
}

fn park(x: f64, y: f64) -> Surface {
    let mut surface = Surface::of(Cover::grown(Plant::Grass, 0.95, 0.6, 1.0));
    let path = value(0xbad, x, y, 60.0);
    let distance = path.value.abs() / path.dx.hypot(path.dy).max(1e-3);
    surface.put(Cover::bare(Material::PaleSoil, 1.05), cover_of(1.6 - distance));
    trees(&mut surface, x, y, 0.4);
    surface
}

fn trees(surface: &mut Surface, x: f64, y: f64, share: f32) {
    let (distance, crown) = nearest_point(0x7e5, x, y, 11.0);
    if unit(crown) < share {
        let radius = 0.26 + 0.2 * unit(next(crown));
        let tree = Cover::grown(Plant::Broadleaf, 1.0, unit(next(crown ^ 3)), 0.92 - 0.35 * distance);
        surface.put(tree, cover_of((radius - distance) * 11.0));
    }
}

/// Signed distance (metres, positive inside) to a rectangle of half-sizes `a`, `b` at the origin.
fn inside(u: f32, v: f32, a: f32, b: f32) -> f32 {
    (a - u.abs()).min(b - v.abs())
}

/// Darkens where a box of the given height keeps the sun away.
fn cast(surface: &mut Surface, block: &Block, u: f32, v: f32, a: f32, b: f32, height: f32) {
    let shade = [0.35, 0.7, 1.0]
        .map(|t| cover_of(inside(u - block.shadow.0 * height * t, v - block.shadow.1 * height * t, a, b)));
    surface.light *= 1.0 - 0.5 * shade[0].max(shade[1]).max(shade[2]);
}

fn roof_of(h: u32) -> (Material, f32) {
    let tone = 0.85 + 0.35 * unit(next(h));
    match unit(h) {
        r if r < 0.58 => (Material::Tiles, tone),
        r if r < 0.88 => (Material::Slate, tone),
        r if r < 0.96 => (Material::Concrete, tone),
        _ => (Material::Metal, tone),
    }
}

/// Lots along two sides of the block, a house on each, gardens behind.
fn houses(block: &Block, x: f64, y: f64) -> Surface {
    let mut surface =
        Surface::of(Cover::grown(Plant::Grass, 0.8, 0.5, 0.94 + 0.1 * value(0x9a, x, y, 25.0).value));
    trees(&mut surface, x, y, 0.34);
    let lots = (block.width / (17.0 + 7.0 * unit(next(block.hash ^ 4)))).round().max(1.0);
    let lot = block.width / lots;
    let upper = block.v > 0.5 * block.height;
    let depth = if upper { block.height - block.v } else { block.v };
    let index = (block.u / lot).floor();
    let h = hash(block.hash, index as i32, i32::from(upper));
    if unit(h) < 0.07 {
        return surface;
    }
    let draw = |salt: u32| unit(next(h ^ salt));
    let (a, b) = (4.6 + 2.4 * draw(1), 4.2 + 1.8 * draw(2));
    let du = block.u - (index + 0.5) * lot - 1.5 * (draw(3) - 0.5);
    let set_back = 9.0 + 5.0 * draw(4) + b;
    let dv = if upper { block.v - (block.height - set_back) } else { block.v - set_back };
    let drive = cover_of(1.5 - (du - a + 1.0).abs()) * cover_of(set_back - depth);
    surface.put(Cover::bare(Material::Concrete, 0.95), drive);
    cast(&mut surface, block, du, dv, a, b, 7.5);
    let (material, tone) = roof_of(next(h ^ 6));
    let sunny = if (dv > 0.0) == (block.shadow.1 > 0.0) { 0.80 } else { 1.14 };
    let roof = cover_of(inside(du, dv, a, b));
    surface.put(Cover::bare(material, tone * sunny), roof);
    surface.light += (1.0 - surface.light) * roof;
    surface
}

/// Closed rows of tall buildings round a court.
fn centre(block: &Block, edge: f32, x: f64, y: f64) -> Surface {
    let mut surface = Surface::of(Cover::bare(Material::Concrete, 0.85));
    if block.hash & 16 == 0 {
        surface = Surface::of(Cover::grown(Plant::Grass, 0.75, 0.5, 0.9));
    }
    trees(&mut surface, x, y, 0.3);
    let (u, v) = (block.u - 0.5 * block.width, block.v - 0.5 * block.height);
    let outer = (0.5 * block.width - 6.0, 0.5 * block.height - 6.0);
    let inner = (outer.0 - 12.5, outer.1 - 12.5);
    let long_side = block.v.min(block.height - block.v) <= block.u.min(block.width - block.u);
    let place = if long_side { block.u / 17.0 } else { block.v / 17.0 };
    let h = hash(
        block.hash,
        place as i32,
        i32::from(long_side) + 2 * i32::from(u > 0.0) + 4 * i32::from(v > 0.0),
    );
    let ring = cover_of(inside(u, v, outer.0, outer.1)) * cover_of(-inside(u, v, inner.0, inner.1));
    let (sx, sy) = (block.shadow.0 * 15.0, block.shadow.1 * 15.0);
    let lit = cover_of(inside(u - sx, v - sy, inner.0, inner.1))
        + cover_of(-inside(u - sx, v - sy, outer.0, outer.1));
    surface.light *= 0.5 + 0.5 * lit.min(1.0);
    let (material, tone) = roof_of(h);
    let ridge = edge - 12.2;
    let flank = if (ridge > 0.0) == (if long_side { v * block.shadow.1 } else { u * block.shadow.0 } < 0.0) {
        0.84
    } else {
        1.1
    };
    surface.put(Cover::bare(material, tone * flank), ring);
    surface.light += (1.0 - surface.light) * ring;
    surface
}

/// Industry: one or two large flat roofs, a yard with parked cars.
fn halls(block: &Block) -> Surface {
    let mut surface = Surface::of(Cover::bare(Material::Concrete, 0.9));
    let parts = 1.0 + (block.hash >> 9 & 1) as f32;
    let part = block.width / parts;
    let index = (block.u / part).floor();
    let h = hash(block.hash, index as i32, 77);
    let (u, v) = (block.u - (index + 0.5) * part, block.v - 0.5 * block.height);
    let (a, b) = (0.5 * part - 9.0 - 6.0 * unit(h), 0.5 * block.height - 12.0 - 8.0 * unit(next(h)));
    let (lane, slot) = (v.rem_euclid(15.0) - 7.5, u.rem_euclid(2.7) - 1.35);
    let car = unit(hash(h, (u / 2.7).floor() as i32, (v / 15.0).floor() as i32));
    if car < 0.6 {
        let paint = if car < 0.25 { (Material::Metal, 0.9) } else { (Material::Slate, 0.7 + car) };
        surface.put(Cover::bare(paint.0, paint.1), cover_of(2.2 - lane.abs()) * cover_of(0.9 - slot.abs()));
    }
    cast(&mut surface, block, u, v, a, b, 11.0);
    let roof = cover_of(inside(u, v, a, b));
    let material = match unit(next(h ^ 5)) {
        r if r < 0.5 => Material::Metal,
        r if r < 0.72 => Material::Concrete,
        r if r < 0.86 => Material::BlueRoof,
        _ => Material::Slate,
    };
    let skylight = cover_of(0.8 - (u.rem_euclid(14.0) - 7.0).abs());
    surface.put(Cover::bare(material, (0.86 + 0.3 * unit(next(h ^ 8))) * (1.0 - 0.12 * skylight)), roof);
    surface.light += (1.0 - surface.light) * roof;
    surface
}
