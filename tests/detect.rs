//! Objects planted on an image's tile borders come out once each, whatever the tiles: found by a detector that sees
//! an object wherever enough of its surroundings lies in the tile, places it a little differently in each, and takes
//! what a border leaves of an object for an object.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use proptest::prelude::*;
use swath::detect::{suppress, Bounds, Object, Suppression, Window};
use swath::tile::{Blend, Rect, Tile, TileGrid, TileSpec};

const RULE: Suppression = Suppression { iou: 0.5, part: 0.6 };

/// A detector and what there is for it to find.
struct Scene {
    grid: TileGrid,
    image: Rect,
    objects: Vec<Bounds>,
    /// Surroundings it must see, pixels.
    reach: f64,
    /// How far it may move an edge, pixels.
    jitter: f64,
}

/// A number in -1..1 that depends on its arguments alone.
fn noise(a: usize, b: usize, c: usize) -> f64 {
    let mut z = (a as u64) << 40 ^ (b as u64) << 8 ^ c as u64;
    for factor in [0xbf58_476d_1ce4_e5b9_u64, 0x94d0_49bb_1331_11eb] {
        z = (z ^ (z >> 31)).wrapping_add(0x9e37_79b9_7f4a_7c15).wrapping_mul(factor);
    }
    (z >> 40) as f64 / (1u64 << 23) as f64 - 1.0
}

impl Scene {
    /// What the detector gives for a tile, in the tile's pixels.
    fn detect(&self, tile: &Tile) -> Vec<(Bounds, f32)> {
        let (seen, image) = (Bounds::of(&tile.input), Bounds::of(&self.image));
        let number = tile.row * 1000 + tile.column;
        let find = |(k, object): (usize, &Bounds)| {
            let part = object.intersect(&seen);
            if part.area() <= 0.0 {
                return None;
            }
            let needs = object.grow(self.reach).intersect(&image);
            let whole = needs.intersect(&seen) == needs;
            let edge = |v: f64, side: usize| if whole { v + self.jitter * noise(number, k, side) } else { v };
            let bounds = Bounds {
                x0: edge(part.x0, 0),
                y0: edge(part.y0, 1),
                x1: edge(part.x1, 2),
                y1: edge(part.y1, 3),
            };
            let score = (0.5 + 0.4 * noise(number, k, 4)) as f32;
            Some((bounds.intersect(&seen).shift(-seen.x0, -seen.y0), score))
        };
        self.objects.iter().enumerate().filter_map(find).collect()
    }

    fn found(&self, rule: Suppression) -> Vec<Object> {
        let columns = self.grid.x.spans.len();
        let tiles = self.grid.order().map(|(_, tile)| tile);
        let objects = tiles.flat_map(|tile| {
            let window = Window {
                number: (tile.row * columns + tile.column) as u32,
                image: self.image,
                input: tile.input,
                core: tile.active,
                margin: self.grid.spec().overlap as f64 / 8.0,
            };
            let found = self.detect(&tile).into_iter();
            found.filter_map(move |(bounds, score)| window.object(bounds, score, 1, 0)).collect::<Vec<_>>()
        });
        suppress(objects.collect(), rule)
    }
}

/// Objects of one size around positions where tiles hand over, none nearer to another than its own size.
fn planted(grid: &TileGrid, image: &Rect, side: f64, offsets: &[(f64, f64)]) -> Vec<Bounds> {
    let cuts = |spans: &[swath::tile::Span]| spans.iter().map(|s| s.leave.0 as f64).collect::<Vec<_>>();
    let (xs, ys) = (cuts(&grid.x.spans), cuts(&grid.y.spans));
    let mut objects: Vec<Bounds> = Vec::new();
    for (i, (dx, dy)) in offsets.iter().enumerate() {
        let (x, y) = (xs[i % xs.len()] + dx * side, ys[i / xs.len() % ys.len()] + dy * side);
        let new = Bounds { x0: x, y0: y, x1: x + side, y1: y + side };
        let inside = new.intersect(&Bounds::of(image)) == new;
        let free = objects.iter().all(|o| o.grow(side).intersect(&new).area() <= 0.0);
        if inside && free {
            objects.push(new);
        }
    }
    objects
}

proptest! {
    #[test]
    fn objects_on_borders_are_neither_lost_nor_doubled(
        width in 200usize..900, height in 200usize..900, tile in 128usize..256, overlap in 24usize..64,
        share in 0.2f64..1.0, wobble in 0.0f64..1.0,
        offsets in proptest::collection::vec((-1.5f64..1.5, -1.5f64..1.5), 120),
    ) {
        let spec = TileSpec { tile, overlap, align: 4, blend: Blend::Crop, scale: 1, strip: 400 };
        let grid = TileGrid::new(width, height, spec).unwrap();
        let image = Rect::of_size(width, height);
        let reach = 3.0;
        // Half an overlap lies on each side of a core: an object whose middle is in it fits there with its
        // surroundings, wherever its window moves it.
        let jitter = wobble * overlap as f64 / 64.0;
        let side = share * (overlap as f64 - 2.0 * reach - 4.0 * jitter - 4.0);
        let objects = planted(&grid, &image, side, &offsets);
        prop_assume!(side > 12.0 * jitter && side > 4.0 && objects.len() > 3);
        let scene = Scene { grid, image, objects, reach, jitter };
        let found = scene.found(RULE);
        let one = |object: &Bounds| found.iter().filter(|f| f.bounds.overlap(object).0 > 0.5).count();
        for object in &scene.objects {
            prop_assert_eq!(one(object), 1, "{:?} among {:?}", object, found);
        }
        prop_assert_eq!(found.len(), scene.objects.len());
    }
}

/// An object that no tile shows whole is one all the same, which overlap by area alone would not tell.
#[test]
fn parts_of_what_is_larger_than_an_overlap_are_one() {
    let spec = TileSpec { tile: 128, overlap: 64, align: 4, blend: Blend::Crop, scale: 1, strip: 400 };
    let grid = TileGrid::new(400, 128, spec).unwrap();
    let objects = vec![Bounds { x0: 40.0, y0: 30.0, x1: 190.0, y1: 60.0 }];
    let scene = Scene { grid, image: Rect::of_size(400, 128), objects, reach: 3.0, jitter: 0.0 };
    assert_eq!(scene.found(RULE).len(), 1);
    assert_eq!(scene.found(Suppression { part: 1.0, ..RULE }).len(), 3);
}
