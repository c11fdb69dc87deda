//! Rings of corners: those that touch themselves are taken apart, and the outer one is told from holes.

use std::collections::HashMap;

use super::Corner;

/// A ring, not closed, as rings that pass each corner once.
///
/// A region that surrounds pixels which touch diagonally has a border that passes the corner between them twice.
pub(super) fn split(ring: Vec<Corner>) -> Vec<Vec<Corner>> {
    let mut rings = Vec::new();
    let mut path: Vec<Corner> = Vec::with_capacity(ring.len());
    let mut place = HashMap::with_capacity(ring.len());
    for corner in ring {
        if let Some(start) = place.get(&corner).copied() {
            let looped: Vec<Corner> = path.drain(start..).collect();
            for corner in &looped[1..] {
                place.remove(corner);
            }
            rings.push(looped);
        }
        place.insert(corner, path.len());
        path.push(corner);
    }
    rings.push(path);
    rings
}

/// Whether a ring, not closed, runs counter-clockwise as seen with rows downwards.
pub(super) fn is_outer(ring: &[Corner]) -> bool {
    let next = ring.iter().cycle().skip(1);
    let cross = |(p, q): (&Corner, &Corner)| {
        i128::from(p[0]) * i128::from(q[1]) - i128::from(q[0]) * i128::from(p[1])
    };
    ring.iter().zip(next).map(cross).sum::<i128>() < 0
}
