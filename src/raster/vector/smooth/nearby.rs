//! Places within a distance of a place, on a sphere: a grid of cells in rows of latitude.

use std::collections::HashMap;

/// Mean radius of the earth in metres.
const RADIUS: f64 = 6_371_008.8;

/// Metres between two places in longitude and latitude.
pub(super) fn distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    let [dlon, dlat] = [(b[0] - a[0]).to_radians(), (b[1] - a[1]).to_radians()];
    let (a, b) = (a[1].to_radians(), b[1].to_radians());
    let h = (dlat / 2.0).sin().powi(2) + a.cos() * b.cos() * (dlon / 2.0).sin().powi(2);
    2.0 * RADIUS * h.sqrt().min(1.0).asin()
}

/// A number and its place.
type Numbered = (usize, [f64; 2]);

/// Numbered places, found by nearness.
pub(super) struct Nearby {
    metres: f64,
    /// Degrees of latitude of a row.
    step: f64,
    cells: HashMap<(i64, i64), Vec<Numbered>>,
}

impl Nearby {
    /// For a distance in metres.
    pub fn new(metres: f64) -> Self {
        // Rows of a metre at least, so that their number stays one.
        let step = (metres.max(1.0) / RADIUS).to_degrees();
        Self { metres, step, cells: HashMap::new() }
    }

    pub fn add(&mut self, number: usize, place: [f64; 2]) {
        let row = self.row(place[1]);
        let column = self.column(place[0], self.columns(row));
        self.cells.entry((row, column)).or_default().push((number, place));
    }

    fn row(&self, lat: f64) -> i64 {
        (lat / self.step).floor() as i64
    }

    /// Cells of a row, none narrower than a row is high.
    fn columns(&self, row: i64) -> i64 {
        let lat = (row as f64 * self.step).abs().max(((row + 1) as f64 * self.step).abs()).min(90.0);
        ((360.0 * lat.to_radians().cos() / self.step) as i64).max(1)
    }

    fn column(&self, lon: f64, columns: i64) -> i64 {
        ((lon / 360.0 * columns as f64).floor() as i64).rem_euclid(columns)
    }

    /// Numbers of the places within the distance, with theirs.
    pub fn within(&self, place: [f64; 2]) -> Vec<(f64, usize)> {
        let mut found = Vec::new();
        let middle = self.row(place[1]);
        // A little more than is needed, for rounding and for the parallels' curvature.
        let widest = (place[1].abs() + 2.0 * self.step).min(90.0).to_radians().cos();
        let reach = 1.01 * self.step / widest.max(1e-9);
        for row in middle - 1..=middle + 1 {
            let columns = self.columns(row);
            let cell = |lon: f64| (lon / 360.0 * columns as f64).floor() as i64;
            let (first, last) = match reach < 180.0 {
                true => (cell(place[0] - reach), cell(place[0] + reach)),
                false => (0, columns - 1),
            };
            for column in first..=last.min(first + columns - 1) {
                let here = self.cells.get(&(row, column.rem_euclid(columns)));
                let measured = here.into_iter().flatten().map(|(k, other)| (distance(place, *other), *k));
                found.extend(measured.filter(|(metres, _)| *metres <= self.metres));
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_near_is_found_everywhere() {
        let mut seed = 7u64;
        let mut random = || {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as f64 / (1u64 << 31) as f64
        };
        for lat in [0.0, 45.0, -60.0, 85.0, 89.9999, -90.0] {
            for lon in [0.0, 180.0, -180.0, 123.4] {
                let mut nearby = Nearby::new(200.0);
                let places: Vec<[f64; 2]> = (0..300)
                    .map(|_| {
                        let spread = 0.01 / f64::max(0.01, f64::to_radians(lat).cos());
                        let turned = lon + spread * (random() - 0.5);
                        [
                            turned - 360.0 * (turned / 360.0).round(),
                            (lat + 0.01 * (random() - 0.5)).clamp(-90.0, 90.0),
                        ]
                    })
                    .collect();
                places.iter().enumerate().for_each(|(k, place)| nearby.add(k, *place));
                let mut pairs = 0;
                for place in &places {
                    let mut found: Vec<usize> = nearby.within(*place).into_iter().map(|(_, k)| k).collect();
                    found.sort_unstable();
                    let near = |k: &usize| distance(*place, places[*k]) <= 200.0;
                    let wanted: Vec<usize> = (0..places.len()).filter(near).collect();
                    assert_eq!(found, wanted, "at {place:?}");
                    pairs += found.len();
                }
                assert!(pairs > 600, "{lon} {lat}: {pairs}");
            }
        }
    }
}
