//! The smooth side of the landscape: relief, coast, rivers, where forests and dry land are. Evaluated on an
//! absolute lattice of 16 m and interpolated, so that every window sees the same.

use super::noise::{fbm, smoothstep, value};

/// Distance between nodes, metres.
const PITCH: f64 = 16.0;

/// Smooth quantities of a place.
#[derive(Debug, Clone, Copy, Default)]
pub struct Terrain {
    /// Metres inland from the shore (negative at sea).
    pub shore: f32,
    /// Change of light by slope, about 0.
    pub slope: f32,
    /// Positive where forest grows.
    pub forest: f32,
    /// Share of broad-leaved stands, `0..1`.
    pub broadleaf: f32,
    /// Dryness, `0..1`.
    pub arid: f32,
    /// How far roads and fields are bent eastwards, metres.
    pub bend_x: f32,
    /// The same northwards.
    pub bend_y: f32,
    /// Signed metres from the middle of the river.
    pub river: f32,
    /// Half of the river's width, metres.
    pub river_half: f32,
}

const FIELDS: usize = 9;

fn node(seed: u32, x: f64, y: f64) -> [f32; FIELDS] {
    let relief = fbm(seed ^ 1, x, y, 7000.0, 5, 0.5);
    let coast = fbm(seed ^ 2, x, y, 16_000.0, 7, 0.5);
    let slope = 420.0 * (0.42 * relief.dx - 0.91 * relief.dy);
    let arid = smoothstep(0.22, 0.42, fbm(seed ^ 21, x, y, 6500.0, 3, 0.5).value);
    let trees = fbm(seed ^ 22, x, y, 1500.0, 5, 0.62).value + 0.25 * relief.value;
    let course = fbm(seed ^ 31, x, y, 5600.0, 4, 0.42);
    let width = 17.0 + 16.0 * (value(seed ^ 32, x, y, 1900.0).value + 0.6);
    [
        (coast.value + 0.42) / coast.dx.hypot(coast.dy).max(2e-5),
        slope.clamp(-0.12, 0.12),
        trees - 0.17 - 0.25 * arid,
        smoothstep(-0.5, 0.5, fbm(seed ^ 23, x, y, 2600.0, 2, 0.5).value),
        arid,
        fbm(seed ^ 11, x, y, 1500.0, 2, 0.4).value * 130.0,
        fbm(seed ^ 12, x, y, 1500.0, 2, 0.4).value * 130.0,
        course.value / course.dx.hypot(course.dy).max(8e-5),
        width,
    ]
}

/// Terrain of a window, made once and interpolated.
#[derive(Debug, Clone)]
pub struct Lattice {
    seed: u32,
    x0: i64,
    y0: i64,
    width: usize,
    height: usize,
    nodes: Vec<[f32; FIELDS]>,
}

impl Lattice {
    /// The terrain of a box of metric coordinates (west, south, east, north).
    pub fn new(seed: u32, bounds: [f64; 4]) -> Self {
        let low = |v: f64| (v / PITCH).floor() as i64;
        let (x0, y0) = (low(bounds[0]), low(bounds[1]));
        let width = (low(bounds[2]) - x0 + 2).max(2) as usize;
        let height = (low(bounds[3]) - y0 + 2).max(2) as usize;
        let at = |i: usize| {
            let (column, row) = ((i % width) as i64 + x0, (i / width) as i64 + y0);
            node(seed, column as f64 * PITCH, row as f64 * PITCH)
        };
        Self { seed, x0, y0, width, height, nodes: (0..width * height).map(at).collect() }
    }

    /// The terrain at a position; outside the window it is made afresh.
    pub fn at(&self, x: f64, y: f64) -> Terrain {
        let (px, py) = (x / PITCH, y / PITCH);
        let (fx, fy) = (px.floor(), py.floor());
        let (u, v) = ((px - fx) as f32, (py - fy) as f32);
        let [a, b, c, d] = self.corners(fx as i64, fy as i64);
        let mix = |i: usize| {
            let (low, high) = (a[i] + (b[i] - a[i]) * u, c[i] + (d[i] - c[i]) * u);
            low + (high - low) * v
        };
        Terrain {
            shore: mix(0),
            slope: mix(1),
            forest: mix(2),
            broadleaf: mix(3),
            arid: mix(4),
            bend_x: mix(5),
            bend_y: mix(6),
            river: mix(7),
            river_half: mix(8),
        }
    }

    fn corners(&self, x: i64, y: i64) -> [[f32; FIELDS]; 4] {
        let (column, row) = ((x - self.x0) as usize, (y - self.y0) as usize);
        if x < self.x0 || y < self.y0 || column + 1 >= self.width || row + 1 >= self.height {
            return [(0, 0), (1, 0), (0, 1), (1, 1)]
                .map(|(dx, dy)| node(self.seed, (x + dx) as f64 * PITCH, (y + dy) as f64 * PITCH));
        }
        let first = row * self.width + column;
        [first, first + 1, first + self.width, first + self.width + 1].map(|i| self.nodes[i])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_and_its_surroundings_agree() {
        let small = Lattice::new(9, [1000.0, 2000.0, 1300.0, 2200.0]);
        let large = Lattice::new(9, [0.0, 0.0, 4000.0, 4000.0]);
        for i in 0..40 {
            // Some of these lie outside the small window.
            let (x, y) = (980.0 + 9.3 * f64::from(i), 1990.0 + 6.1 * f64::from(i));
            assert_eq!(format!("{:?}", small.at(x, y)), format!("{:?}", large.at(x, y)));
        }
    }
}
