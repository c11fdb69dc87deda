//! Polygons cut where they cross the antimeridian (RFC 7946, section 3.1.9).

use super::ring::contains;
use super::Ring;
use crate::error::{Error, Result};

/// A piece of a ring on one side of the line: its points, from the line back to the line.
type Piece = Vec<[f64; 2]>;

/// A polygon with its outer ring counter-clockwise, its holes clockwise and longitudes that go on beyond ±180, as
/// polygons within -180 and 180.
///
/// # Errors
/// `Unsupported` for a polygon that is wider than a turn.
pub(super) fn cut(rings: Vec<Ring>) -> Result<Vec<Vec<Ring>>> {
    let lons = || rings.iter().flatten().map(|p| p[0]);
    let (west, east) = (lons().fold(f64::INFINITY, f64::min), lons().fold(f64::NEG_INFINITY, f64::max));
    if east - west > 360.0 {
        return Err(Error::unsupported("a polygon that is wider than the earth"));
    }
    if west >= -180.0 && east <= 180.0 {
        return Ok(vec![rings]);
    }
    let turns = ((west + 180.0) / 360.0).floor();
    let shifted = shift(rings, -360.0 * turns);
    if east - 360.0 * turns <= 180.0 {
        return Ok(vec![shifted]);
    }
    let mut parts = side(&shifted, |x| x < 180.0);
    parts.extend(side(&shifted, |x| x >= 180.0).into_iter().map(|rings| shift(rings, -360.0)));
    Ok(parts)
}

fn shift(mut rings: Vec<Ring>, by: f64) -> Vec<Ring> {
    rings.iter_mut().flatten().for_each(|p| p[0] += by);
    rings
}

/// The part of a polygon on one side of longitude 180.
fn side(rings: &[Ring], here: impl Fn(f64) -> bool) -> Vec<Vec<Ring>> {
    let (mut whole, mut pieces) = (Vec::new(), Vec::new());
    let mut outer_is_whole = false;
    for (k, ring) in rings.iter().enumerate() {
        match ring.iter().all(|p| here(p[0])) {
            true => {
                outer_is_whole |= k == 0;
                whole.push(ring.clone());
            }
            false => pieces.extend(split(ring, &here)),
        }
    }
    // Only where the outer ring merely touches the line is it whole.
    if outer_is_whole {
        whole.extend(join(pieces));
        return vec![whole];
    }
    let mut polygons: Vec<Vec<Ring>> = join(pieces).into_iter().map(|outer| vec![outer]).collect();
    for hole in whole {
        let inside = |polygon: &&mut Vec<Ring>| contains(&polygon[0], hole[0]);
        if let Some(polygon) = polygons.iter_mut().find(inside) {
            polygon.push(hole);
        }
    }
    polygons
}

/// The pieces of a ring on one side.
fn split(ring: &Ring, here: &impl Fn(f64) -> bool) -> Vec<Piece> {
    let edges = ring.len().saturating_sub(1);
    let Some(start) = (0..edges).find(|k| !here(ring[*k][0]) && here(ring[*k + 1][0])) else {
        return Vec::new();
    };
    let mut pieces: Vec<Piece> = Vec::new();
    for k in (start..edges).chain(0..start) {
        let (p, q) = (ring[k], ring[k + 1]);
        let crossing = || [180.0, p[1] + (180.0 - p[0]) / (q[0] - p[0]) * (q[1] - p[1])];
        match (here(p[0]), here(q[0])) {
            (false, true) => pieces.push(vec![crossing(), q]),
            (true, false) => pieces.iter_mut().last().into_iter().for_each(|piece| piece.push(crossing())),
            (true, true) => pieces.iter_mut().last().into_iter().for_each(|piece| piece.push(q)),
            (false, false) => {}
        }
    }
    pieces
}

/// Joins pieces along the line into rings: between the first and the second place where the line is met, the third
/// and the fourth, and so on, the line runs inside the polygon.
fn join(pieces: Vec<Piece>) -> Vec<Ring> {
    // Place on the line, piece, whether the piece begins there.
    let mut ends: Vec<(f64, usize, bool)> = Vec::with_capacity(2 * pieces.len());
    for (k, piece) in pieces.iter().enumerate() {
        if let (Some(first), Some(last)) = (piece.first(), piece.last()) {
            ends.extend([(first[1], k, true), (last[1], k, false)]);
        }
    }
    ends.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut next = vec![None; pieces.len()];
    for pair in ends.chunks_exact(2) {
        match (pair[0], pair[1]) {
            ((_, begins, true), (_, ends, false)) | ((_, ends, false), (_, begins, true)) => {
                next[ends] = Some(begins);
            }
            _ => {}
        }
    }
    let mut used = vec![false; pieces.len()];
    let mut rings = Vec::new();
    for first in 0..pieces.len() {
        let mut ring = Ring::new();
        let mut at = Some(first);
        while let Some(k) = at.filter(|k| !used[*k]) {
            used[k] = true;
            ring.extend(&pieces[k]);
            at = next[k];
        }
        ring.dedup();
        if let Some(start) = ring.first().copied().filter(|_| ring.len() > 2) {
            if ring.last() != Some(&start) {
                ring.push(start);
            }
            rings.push(ring);
        }
    }
    rings
}

#[cfg(test)]
mod tests {
    use super::super::ring::signed_area;
    use super::super::Geometry;
    use super::*;

    fn rectangle(x0: f64, y0: f64, x1: f64, y1: f64) -> Ring {
        let mut rings = Geometry::rectangle(x0, y0, x1, y1).polygons()[0].clone();
        rings.remove(0)
    }

    fn hole(x0: f64, y0: f64, x1: f64, y1: f64) -> Ring {
        let mut ring = rectangle(x0, y0, x1, y1);
        ring.reverse();
        ring
    }

    fn area(polygons: &[Vec<Ring>]) -> f64 {
        polygons.iter().flatten().map(|ring| signed_area(ring)).sum()
    }

    #[test]
    fn what_does_not_cross_is_only_shifted() {
        let square = rectangle(170.0, 0.0, 180.0, 10.0);
        assert_eq!(cut(vec![square.clone()]).unwrap(), vec![vec![square]]);
        let beyond = cut(vec![rectangle(181.0, 0.0, 190.0, 10.0)]).unwrap();
        assert_eq!(beyond, vec![vec![rectangle(-179.0, 0.0, -170.0, 10.0)]]);
        assert!(cut(vec![rectangle(-190.0, 0.0, 190.0, 10.0)]).is_err());
    }

    #[test]
    fn a_box_with_holes_is_cut_into_two_that_keep_its_area() {
        // One hole on either side, one across.
        let rings = vec![
            rectangle(170.0, 0.0, 190.0, 10.0),
            hole(172.0, 1.0, 173.0, 2.0),
            hole(185.0, 1.0, 187.0, 3.0),
            hole(178.0, 4.0, 182.0, 6.0),
        ];
        let whole = area(std::slice::from_ref(&rings));
        let parts = cut(rings).unwrap();
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2]);
        assert!((area(&parts) - whole).abs() < 1e-9);
        assert!(parts.iter().flatten().flatten().all(|p| (-180.0..=180.0).contains(&p[0])));
        assert!(parts.iter().all(|p| signed_area(&p[0]) > 0.0 && signed_area(&p[1]) < 0.0));
    }

    #[test]
    fn a_comb_is_cut_into_its_teeth() {
        let comb = vec![
            [170.0, 0.0],
            [185.0, 0.0],
            [185.0, 1.0],
            [175.0, 1.0],
            [175.0, 2.0],
            [185.0, 2.0],
            [185.0, 3.0],
            [170.0, 3.0],
            [170.0, 0.0],
        ];
        let whole = signed_area(&comb);
        let parts = cut(vec![comb]).unwrap();
        assert_eq!(parts.len(), 3);
        assert!((area(&parts) - whole).abs() < 1e-9);
        // West of it too: the same comb seen from the other hemisphere.
        let west = cut(vec![rectangle(-185.0, -1.0, -175.0, 1.0)]).unwrap();
        assert_eq!(west.len(), 2);
    }
}
