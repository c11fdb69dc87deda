//! Polygons of random masks: they cover what the mask says, touch without crossing, and stay apart when simplified.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;
use crate::raster::Georef;

fn regions(mask: &[u8], width: usize, options: PolygonizeOptions) -> Vec<Region> {
    let mut found = Vec::new();
    let mut each = |region: Region| {
        found.push(region);
        Ok(())
    };
    let mut polygonizer = Polygonizer::new(width, options).unwrap();
    for row in mask.chunks(width.max(1)) {
        polygonizer.row(row, &mut each).unwrap();
    }
    polygonizer.finish(&mut each).unwrap();
    found
}

fn all_classes(tolerance: f64) -> PolygonizeOptions {
    PolygonizeOptions { skip: Vec::new(), min_pixels: 1, tolerance }
}

/// Twice the area that a closed ring encloses, positive when it is an outer one.
fn doubled_area(ring: &[Corner]) -> i64 {
    let cross =
        |e: &[Corner]| i64::from(e[1][0]) * i64::from(e[0][1]) - i64::from(e[0][0]) * i64::from(e[1][1]);
    ring.windows(2).map(cross).sum()
}

/// The mask that the regions' rings enclose, by the even-odd rule at pixel centres.
fn rasterised(regions: &[Region], width: usize, height: usize, ground: u8) -> Vec<u8> {
    let mut mask = vec![ground; width * height];
    for region in regions {
        for (k, pixel) in mask.iter_mut().enumerate() {
            let (x, y) = (k % width, k / width);
            let crossed = region.rings.iter().flat_map(|ring| ring.windows(2)).filter(|e| {
                let (top, bottom) = (e[0][1].min(e[1][1]) as usize, e[0][1].max(e[1][1]) as usize);
                top <= y && y < bottom && e[0][0] as usize > x
            });
            if crossed.count() % 2 == 1 {
                *pixel = region.class;
            }
        }
    }
    mask
}

/// Sizes of the regions of a mask by flooding, for each class.
fn flooded(mask: &[u8], width: usize) -> Vec<(u8, u64)> {
    let mut seen = vec![false; mask.len()];
    let mut sizes = Vec::new();
    for start in 0..mask.len() {
        let (mut open, mut size) = (vec![start], 0);
        while let Some(k) = open.pop() {
            if seen[k] || mask[k] != mask[start] {
                continue;
            }
            seen[k] = true;
            size += 1;
            let x = k % width;
            open.extend((x > 0).then(|| k - 1));
            open.extend((x + 1 < width).then_some(k + 1));
            open.extend(k.checked_sub(width));
            open.extend(Some(k + width).filter(|k| *k < mask.len()));
        }
        if size > 0 {
            sizes.push((mask[start], size));
        }
    }
    sizes.sort();
    sizes
}

fn masks() -> impl Strategy<Value = (usize, Vec<u8>)> {
    (1usize..24, 1usize..24, 1u8..4)
        .prop_flat_map(|(width, height, classes)| {
            // Some masks of noise, some of larger patches.
            let noise = prop::collection::vec(0..=classes, width * height);
            let boxes =
                prop::collection::vec((0..width, 0..height, 1usize..12, 1usize..12, 0..=classes), 0..12);
            (Just(width), Just(height), noise, boxes, any::<bool>())
        })
        .prop_map(|(width, height, noise, boxes, noisy)| {
            let mut mask = if noisy { noise } else { vec![0; width * height] };
            for (x, y, w, h, class) in boxes {
                for row in y..(y + h).min(height) {
                    mask[row * width + x..row * width + (x + w).min(width)].fill(class);
                }
            }
            (width, mask)
        })
}

/// Which segments of all rings there are, each once, and that no two of them cross or overlap.
fn check_planar(regions: &[Region]) {
    let mut segments = HashSet::new();
    for ring in regions.iter().flat_map(|region| &region.rings) {
        for e in ring.windows(2) {
            assert_ne!(e[0], e[1]);
            segments.insert((e[0].min(e[1]), e[0].max(e[1])));
        }
    }
    let segments: Vec<(Corner, Corner)> = segments.into_iter().collect();
    let side = |a: Corner, b: Corner, p: Corner| {
        let [ax, ay] = a.map(i64::from);
        let ([bx, by], [px, py]) = (b.map(i64::from), p.map(i64::from));
        ((bx - ax) * (py - ay) - (by - ay) * (px - ax)).signum()
    };
    for (k, (a, b)) in segments.iter().enumerate() {
        for (c, d) in &segments[..k] {
            let (c_side, d_side) = (side(*a, *b, *c), side(*a, *b, *d));
            let (a_side, b_side) = (side(*c, *d, *a), side(*c, *d, *b));
            assert!(c_side * d_side >= 0 || a_side * b_side >= 0, "{a:?}-{b:?} crosses {c:?}-{d:?}");
            // A corner of one within the other, or both in one line.
            let within = |p: &Corner, a: &Corner, b: &Corner| {
                side(*a, *b, *p) == 0 && p != a && p != b && {
                    let between = |k: usize| p[k] >= a[k].min(b[k]) && p[k] <= a[k].max(b[k]);
                    between(0) && between(1)
                }
            };
            let touches = within(c, a, b) || within(d, a, b) || within(a, c, d) || within(b, c, d);
            assert!(!touches, "{a:?}-{b:?} touches {c:?}-{d:?}");
        }
    }
}

/// The class of a frame.
const FRAME: u8 = 9;

/// A mask in a frame of one class, two pixels wide.
fn framed(mask: &[u8], width: usize) -> (usize, Vec<u8>) {
    let wide = width + 4;
    let mut framed = vec![FRAME; wide * (mask.len() / width + 4)];
    for (y, row) in mask.chunks(width).enumerate() {
        framed[(y + 2) * wide + 2..][..width].copy_from_slice(row);
    }
    (wide, framed)
}

/// Distance of a corner from a segment.
fn distance(corner: Corner, segment: &[Corner]) -> f64 {
    let [[ax, ay], [bx, by]] = [segment[0], segment[1]].map(|p| p.map(f64::from));
    let ([px, py], dx, dy) = (corner.map(f64::from), bx - ax, by - ay);
    let t = (((px - ax) * dx + (py - ay) * dy) / (dx * dx + dy * dy)).clamp(0.0, 1.0);
    (ax + t * dx - px).hypot(ay + t * dy - py)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn polygons_are_the_mask((width, mask) in masks()) {
        let height = mask.len() / width;
        let found = regions(&mask, width, all_classes(0.0));
        prop_assert_eq!(rasterised(&found, width, height, 99), mask.clone());
        let mut sizes: Vec<(u8, u64)> = found.iter().map(|r| (r.class, r.pixels)).collect();
        sizes.sort();
        prop_assert_eq!(sizes, flooded(&mask, width));
        for region in &found {
            let areas: Vec<i64> = region.rings.iter().map(|ring| doubled_area(ring)).collect();
            prop_assert!(areas[0] > 0 && areas[1..].iter().all(|a| *a < 0), "{:?}", areas);
            prop_assert_eq!(areas.iter().sum::<i64>(), 2 * region.pixels as i64);
            for ring in &region.rings {
                let different: HashSet<&Corner> = ring.iter().collect();
                prop_assert_eq!(different.len(), ring.len() - 1);
            }
        }
    }

    #[test]
    fn what_is_skipped_or_small_is_left_out((width, mask) in masks(), min_pixels in 1u64..5) {
        let options = PolygonizeOptions { skip: vec![0, 2], min_pixels, tolerance: 0.0 };
        let mut sizes: Vec<(u8, u64)> =
            regions(&mask, width, options).iter().map(|r| (r.class, r.pixels)).collect();
        sizes.sort();
        let mut wanted = flooded(&mask, width);
        wanted.retain(|(class, pixels)| ![0, 2].contains(class) && *pixels >= min_pixels);
        prop_assert_eq!(sizes, wanted);
    }

    #[test]
    fn simplified_borders_are_shared_and_never_cross((width, mask) in masks(), tolerance in 0.3f64..6.0) {
        let (width, mask) = framed(&mask, width);
        let plain = regions(&mask, width, all_classes(0.0));
        let found = regions(&mask, width, all_classes(tolerance));
        prop_assert_eq!(found.len(), plain.len());
        // Every edge is used by both its sides, in opposite directions, but those of the frame's outer ring.
        let edges = found.iter().flat_map(|r| &r.rings).flat_map(|ring| ring.windows(2)).map(|e| (e[0], e[1]));
        let uses: HashSet<(Corner, Corner)> = edges.clone().collect();
        prop_assert_eq!(uses.len(), edges.count());
        let frame = &found.iter().find(|region| region.class == FRAME).unwrap().rings[0];
        let outside: HashSet<(Corner, Corner)> = frame.windows(2).map(|e| (e[0], e[1])).collect();
        for (a, b) in &uses {
            prop_assert_ne!(outside.contains(&(*a, *b)), uses.contains(&(*b, *a)), "{:?}-{:?}", a, b);
        }
        check_planar(&found);
        let mut area = 0;
        for (region, plain) in found.iter().zip(&plain) {
            prop_assert_eq!((region.class, region.pixels), (plain.class, plain.pixels));
            let areas: Vec<i64> = region.rings.iter().map(|ring| doubled_area(ring)).collect();
            prop_assert!(areas[0] > 0 && areas[1..].iter().all(|a| *a < 0), "{:?}", areas);
            prop_assert_eq!(areas.len(), plain.rings.len());
            area += areas.iter().sum::<i64>();
            for corner in plain.rings.iter().flatten() {
                let off = region.rings.iter().flat_map(|ring| ring.windows(2)).map(|e| distance(*corner, e));
                prop_assert!(off.fold(f64::INFINITY, f64::min) <= tolerance + 1e-9);
            }
        }
        prop_assert_eq!(area, doubled_area(frame));
    }
}

#[test]
fn a_staircase_becomes_a_line_and_a_thin_road_stays() {
    let n = 40;
    let stairs: Vec<u8> = (0..n * n).map(|k| u8::from(k % n >= k / n)).collect();
    let found = regions(&stairs, n, PolygonizeOptions { tolerance: 1.0, ..PolygonizeOptions::default() });
    assert_eq!(found.len(), 1);
    assert!(found[0].rings[0].len() <= 8, "{:?}", found[0].rings);
    // A road of one pixel's width across, along the diagonal.
    let road: Vec<u8> = (0..n * n).map(|k| u8::from(k % n == k / n || k % n == k / n + 1)).collect();
    let found = regions(&road, n, PolygonizeOptions { tolerance: 2.0, ..PolygonizeOptions::default() });
    assert_eq!(found.len(), 1);
    assert!(found[0].rings[0].len() < 12 && doubled_area(&found[0].rings[0]) > 0);
}

#[test]
fn memory_is_that_of_what_is_open() {
    let mut polygonizer =
        Polygonizer::new(64, PolygonizeOptions { tolerance: 2.0, ..PolygonizeOptions::default() }).unwrap();
    let mut n = 0;
    for y in 0..10_000usize {
        let row: Vec<u8> = (0..64).map(|x| u8::from((x + y / 3 * 7) % 5 < 2 && y % 50 != 0)).collect();
        polygonizer
            .row(&row, &mut |_| {
                n += 1;
                Ok(())
            })
            .unwrap();
        assert!(polygonizer.chains.len() < 140 && polygonizer.borders.len() <= 52);
    }
    assert!(n > 1000);
}

#[test]
fn places_and_areas_are_those_of_the_ground() {
    let found = regions(&[0, 0, 0, 0, 1, 1, 0, 0, 0], 3, PolygonizeOptions::default());
    let transform = GeoTransform::north_up(500_000.0, 5_300_000.0, 10.0, -10.0);
    let Geometry::Polygon(rings) = found[0].geometry(&transform) else { panic!("a polygon") };
    assert_eq!(Geometry::Polygon(rings.clone()).bounds(), [500_010.0, 5_299_980.0, 500_030.0, 5_299_990.0]);
    assert!(super::super::ring::signed_area(&rings[0]) > 0.0);
    let area = |epsg: u32, transform| square_metres(&found[0], &Georef { epsg, transform }).unwrap();
    // On the zone's central meridian lengths are those on the ground times 0.9996.
    assert!((area(32631, transform) / (200.0 / 0.9996f64.powi(2)) - 1.0).abs() < 1e-6);
    // Geod.polygon_area_perimeter of these two cells on WGS 84 (PROJ 9).
    let degrees = area(4326, GeoTransform::north_up(10.0, 60.0, 1e-4, -1e-4));
    assert!((degrees / 124.33667629957199 - 1.0).abs() < 1e-5, "{degrees}");
    let mercator = area(3857, GeoTransform::north_up(1_113_194.9, 8_399_737.9, 10.0, -10.0));
    assert!((mercator / 50.167983159422874 - 1.0).abs() < 1e-5, "{mercator}");
    assert!(square_metres(&found[0], &Georef { epsg: 27700, transform }).is_err());
}

#[test]
fn what_makes_no_sense_is_refused() {
    assert!(
        Polygonizer::new(3, PolygonizeOptions { tolerance: -1.0, ..PolygonizeOptions::default() }).is_err()
    );
    assert!(Polygonizer::new(3, PolygonizeOptions { tolerance: f64::NAN, ..Default::default() }).is_err());
    let mut polygonizer = Polygonizer::new(3, PolygonizeOptions::default()).unwrap();
    assert!(polygonizer.row(&[1, 1], &mut |_| Ok(())).is_err());
    polygonizer.row(&[1, 1, 1], &mut |_| Ok(())).unwrap();
    let stop = polygonizer.finish(&mut |_| Err(Error::usage("enough")));
    assert_eq!(stop.unwrap_err().to_string(), "enough");
}
