//! What rings are asked for: area, orientation, what lies inside.

use super::Ring;

/// Signed area in square units of the coordinates: positive when counter-clockwise (y upwards).
pub fn signed_area(ring: &[[f64; 2]]) -> f64 {
    // Relative to the first point, so that large coordinates lose no digits.
    let Some(origin) = ring.first() else { return 0.0 };
    let cross = |pair: &[[f64; 2]]| match pair {
        [p, q] => (p[0] - origin[0]) * (q[1] - origin[1]) - (q[0] - origin[0]) * (p[1] - origin[1]),
        _ => 0.0,
    };
    ring.windows(2).map(cross).sum::<f64>() / 2.0
}

/// Turns rings so that the outer one runs counter-clockwise and holes clockwise.
pub fn orient(rings: &mut [Ring]) {
    for (k, ring) in rings.iter_mut().enumerate() {
        if (signed_area(ring) < 0.0) == (k == 0) {
            ring.reverse();
        }
    }
}

/// Whether a point lies inside a ring, by the even-odd rule; points on the ring may count as either.
pub fn contains(ring: &[[f64; 2]], point: [f64; 2]) -> bool {
    let [x, y] = point;
    let crosses = |pair: &&[[f64; 2]]| match *pair {
        [p, q] => (p[1] > y) != (q[1] > y) && x < p[0] + (y - p[1]) / (q[1] - p[1]) * (q[0] - p[0]),
        _ => false,
    };
    ring.windows(2).filter(crosses).count() % 2 == 1
}
