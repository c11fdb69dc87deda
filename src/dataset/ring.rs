//! Polygons as pixels: those whose whole coordinates lie inside of a ring or on it.

/// Sets the pixels of a plane of `height` rows and `width` columns that lie inside of the ring of (x, y) or on
/// it (even-odd rule) to `value`. The ring is closed if it is not.
///
/// Every row is swept once: a pixel's crossings to its right (of edges that reach below the row) and to its
/// left (of edges that reach above it) are counted; it lies on an edge when their parities differ (O'Rourke,
/// Computational Geometry in C, 7.4).
pub fn fill(ring: &[[i32; 2]], height: usize, width: usize, plane: &mut [u8], value: u8) {
    let points: Vec<[i64; 2]> = ring.iter().map(|p| p.map(i64::from)).collect();
    let Some(last) = points.last() else { return };
    let edges: Vec<([i64; 2], [i64; 2])> =
        std::iter::once(last).chain(&points).zip(&points).map(|(a, b)| (*a, *b)).collect();
    let rows = points.iter().map(|p| p[1]);
    let (top, bottom) = (rows.clone().min().unwrap_or(0), rows.max().unwrap_or(-1));
    let columns = width as i64;
    for y in top.max(0)..=bottom.min(height as i64 - 1) {
        // Pixels before `right[x]` have one crossing more to their right, those from `left[x]` on to their left.
        let (mut right, mut left) = (vec![false; width + 1], vec![false; width + 1]);
        let mut on = vec![false; width];
        for &([ax, ay], [bx, by]) in &edges {
            if by == y && (0..columns).contains(&bx) {
                on[bx as usize] = true;
            }
            if (ay > y) == (by > y) && (ay < y) == (by < y) {
                continue;
            }
            // Where the edge crosses the row: ax + (y - ay)·(bx - ax)/(by - ay), as a quotient.
            let (rise, run) = (i128::from(by - ay), i128::from(bx - ax));
            let (above, below) = ((i128::from(y - ay) * run) * rise.signum(), rise.abs());
            let floor = i128::from(ax) + above.div_euclid(below);
            let ceiling = floor + i128::from(above.rem_euclid(below) != 0);
            let place = |v: i128| v.clamp(0, i128::from(columns)) as usize;
            if (ay > y) != (by > y) {
                let at = place(ceiling);
                right[at] = !right[at];
            }
            if (ay < y) != (by < y) {
                let at = place(floor + 1);
                left[at] = !left[at];
            }
        }
        // Crossings to the right of the first pixel, then one less with each that is passed.
        let mut odd_right = right.iter().skip(1).filter(|toggle| **toggle).count() % 2 == 1;
        let mut odd_left = left[0];
        let start = y as usize * width;
        for (x, pixel) in plane.iter_mut().skip(start).take(width).enumerate() {
            if x > 0 {
                odd_right ^= right[x];
                odd_left ^= left[x];
            }
            if on[x] || odd_right || odd_left {
                *pixel = value;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn filled(ring: &[[i32; 2]], height: usize, width: usize) -> Vec<String> {
        let mut plane = vec![b'.'; height * width];
        fill(ring, height, width, &mut plane, b'#');
        plane.chunks(width).map(|row| String::from_utf8(row.to_vec()).unwrap()).collect()
    }

    #[test]
    fn edges_and_corners_belong_to_the_ring() {
        assert_eq!(
            filled(&[[1, 1], [4, 1], [4, 3], [1, 3]], 5, 6),
            ["......", ".####.", ".####.", ".####.", "......"]
        );
        assert_eq!(filled(&[[0, 0], [4, 4], [4, 0]], 5, 5), ["#####", ".####", "..###", "...##", "....#"]);
        assert_eq!(
            filled(&[[2, 0], [4, 2], [2, 4], [0, 2]], 5, 5),
            ["..#..", ".###.", "#####", ".###.", "..#.."]
        );
        assert_eq!(filled(&[], 1, 2), [".."]);
    }

    #[test]
    fn rings_may_reach_far_beyond_the_plane() {
        let far = i32::MAX;
        assert_eq!(filled(&[[-far, -far], [far, -far], [far, far], [-far, far]], 2, 3), ["###", "###"]);
        assert_eq!(filled(&[[-9, 1], [9, 1], [9, 9], [-9, 9]], 3, 2), ["..", "##", "##"]);
        assert_eq!(filled(&[[5, 0], [9, 0], [9, 3], [5, 3]], 3, 2), ["..", "..", ".."]);
    }

    proptest! {
        /// Against the definition, pixel by pixel.
        #[test]
        fn pixels_are_those_inside_or_on_the_ring(ring in proptest::collection::vec([-4i32..12, -4i32..12], 1..9)) {
            let rows = filled(&ring, 8, 9);
            for y in 0..8i32 {
                for x in 0..9i32 {
                    let got = rows[y as usize].as_bytes()[x as usize] == b'#';
                    prop_assert_eq!(got, contains(&ring, x, y), "pixel {} {}", x, y);
                }
            }
        }
    }

    fn contains(ring: &[[i32; 2]], x: i32, y: i32) -> bool {
        let (mut right, mut left) = (false, false);
        for k in 0..ring.len() {
            let [bx, by] = ring[k].map(f64::from);
            let [ax, ay] = ring[(k + ring.len() - 1) % ring.len()].map(f64::from);
            let (x, y) = (f64::from(x), f64::from(y));
            if (bx, by) == (x, y) {
                return true;
            }
            let cross = || ax + (y - ay) * (bx - ax) / (by - ay);
            right ^= (ay > y) != (by > y) && cross() > x + 1e-9;
            left ^= (ay < y) != (by < y) && cross() < x - 1e-9;
        }
        right || left
    }
}
