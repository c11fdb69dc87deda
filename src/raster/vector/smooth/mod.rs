//! Detections of many periods to objects with a first and a last one, as the published Satlas products have them:
//! detections near each other are one track, and a track is taken for present where a two-state hidden Markov model
//! finds that likelier than chance finds.

mod coverage;
mod input;
mod markov;
mod nearby;
mod period;
mod tracks;

use super::Geometry;
use crate::error::{Error, Result};

pub use coverage::Coverage;
pub use input::{read_detections, Detections};
pub use period::Period;

/// What is one object.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SmoothOptions {
    /// Metres within which detections of different periods are of one object.
    pub radius: f64,
    /// Metres within which detections of one period are of one object, the one with the best score.
    pub apart: f64,
}

impl Default for SmoothOptions {
    /// What the published products use.
    fn default() -> Self {
        Self { radius: 200.0, apart: 100.0 }
    }
}

impl SmoothOptions {
    /// Longest distance, in metres.
    const FARTHEST: f64 = 100_000.0;

    fn check(&self) -> Result<()> {
        let fits = |metres: f64| (0.0..=Self::FARTHEST).contains(&metres);
        match fits(self.radius) && fits(self.apart) {
            true => Ok(()),
            false => {
                let Self { radius, apart } = self;
                let most = Self::FARTHEST;
                Err(Error::usage(format!("distances of {radius} m and {apart} m; they are 0 to {most}")))
            }
        }
    }
}

/// Something found in one period.
#[derive(Debug, Clone, PartialEq)]
pub struct Detection {
    /// Number of its period.
    pub period: u32,
    /// Number of its category.
    pub category: u32,
    /// Its score; `None` where the file has none.
    pub score: Option<f64>,
    /// Where it is, in longitude and latitude.
    pub geometry: Geometry,
}

impl Detection {
    /// The middle of its bounds; of its first polygon, as those cut at the antimeridian lie far apart.
    fn place(&self) -> [f64; 2] {
        let first = self.geometry.bounds_of_parts().next();
        let [west, south, east, north] = first.unwrap_or_else(|| self.geometry.bounds());
        [(west + east) / 2.0, (south + north) / 2.0]
    }
}

/// Something that is there for some periods.
#[derive(Debug, Clone, PartialEq)]
pub struct Object {
    /// Number of its category.
    pub category: u32,
    /// The best score it was found with.
    pub score: Option<f64>,
    /// Where it was found with that score.
    pub geometry: Geometry,
    /// Numbers of the first and the last period in which it is there.
    pub periods: [usize; 2],
    /// Periods in which it was found.
    pub found: usize,
}

/// Says of places, in longitude and latitude, whether there was imagery of them in a period.
pub type Seen<'a> = &'a mut dyn FnMut(usize, &[[f64; 2]]) -> Result<Vec<bool>>;

/// Objects of the detections of `periods` periods, by category, first period and place.
///
/// A track that was not found in a period counts as absent there if it was `seen`, and as unknown otherwise.
///
/// # Errors
/// `Usage` for distances that make no sense, `Limit` for too many places near each other, and what `seen` returns.
pub fn smooth(
    detections: Vec<Detection>,
    periods: usize,
    options: SmoothOptions,
    seen: Seen<'_>,
) -> Result<Vec<Object>> {
    options.check()?;
    let (detections, tracks) = tracks::follow(detections, periods, options)?;
    let mut observed = vec![vec![None; periods]; tracks.len()];
    for (track, observed) in tracks.iter().zip(&mut observed) {
        track.found.iter().for_each(|k| observed[detections[*k].period as usize] = Some(true));
    }
    for period in 0..periods {
        let missed: Vec<usize> =
            (0..tracks.len()).filter(|track| observed[*track][period].is_none()).collect();
        let places: Vec<[f64; 2]> = missed.iter().map(|track| tracks[*track].place).collect();
        for (track, seen) in missed.into_iter().zip(seen(period, &places)?) {
            observed[track][period] = seen.then_some(false);
        }
    }
    let mut objects = Vec::new();
    for (track, observed) in tracks.iter().zip(&observed) {
        for [first, last] in markov::present(observed) {
            let within = |k: &&usize| (first..=last).contains(&(detections[**k].period as usize));
            let found: Vec<&Detection> = track.found.iter().filter(within).map(|k| &detections[*k]).collect();
            let rank = |detection: &&&Detection| detection.score.unwrap_or(f64::NEG_INFINITY);
            // Of equal ones the latest.
            let best = found.iter().max_by(|a, b| rank(a).total_cmp(&rank(b)));
            objects.extend(best.map(|best| Object {
                category: best.category,
                score: best.score,
                geometry: best.geometry.clone(),
                periods: [first, last],
                found: found.len(),
            }));
        }
    }
    objects.sort_by(|a, b| {
        let key = |o: &Object| (o.category, o.periods);
        let ([aw, a_south, ..], [bw, b_south, ..]) = (a.geometry.bounds(), b.geometry.bounds());
        key(a).cmp(&key(b)).then(aw.total_cmp(&bw)).then(a_south.total_cmp(&b_south))
    });
    Ok(objects)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(period: u32, lon: f64, lat: f64, score: f64) -> Detection {
        Detection { period, category: 0, score: Some(score), geometry: Geometry::Point([lon, lat]) }
    }

    fn objects(detections: Vec<Detection>, periods: usize) -> Vec<Object> {
        let mut all_seen = |_: usize, places: &[[f64; 2]]| Ok(vec![true; places.len()]);
        smooth(detections, periods, SmoothOptions::default(), &mut all_seen).unwrap()
    }

    #[test]
    fn gaps_are_closed_and_single_finds_dropped() {
        // Found in 4..=15 but for two periods; a second place once; a third from period 9 on.
        let mut all: Vec<Detection> =
            (4..16).filter(|p| ![8, 11].contains(p)).map(|p| point(p, 179.9999, 50.0, 0.5)).collect();
        all[3].geometry = Geometry::Point([-179.9995, 50.0002]);
        all[3].score = Some(0.9);
        all.push(point(6, 10.0, 50.0, 0.99));
        all.extend((9..20).map(|p| point(p, 20.0, -50.0, 0.7)));
        let found = objects(all, 20);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].periods, found[0].found, found[0].score), ([4, 15], 10, Some(0.9)));
        assert_eq!(found[0].geometry, Geometry::Point([-179.9995, 50.0002]));
        assert_eq!((found[1].periods, found[1].found), ([9, 19], 11));
    }

    #[test]
    fn what_is_not_seen_is_not_absent() {
        let all = vec![point(0, 1.0, 2.0, 0.5), point(1, 1.0, 2.0, 0.5), point(19, 1.0, 2.0, 0.5)];
        let mut blind = |_: usize, places: &[[f64; 2]]| Ok(vec![false; places.len()]);
        let found = smooth(all.clone(), 20, SmoothOptions::default(), &mut blind).unwrap();
        assert_eq!(found.iter().map(|o| o.periods).collect::<Vec<_>>(), [[0, 19]]);
        assert_ne!(objects(all, 20).first().map(|o| o.periods), Some([0, 19]));
    }

    #[test]
    fn neighbours_stay_apart_and_doubles_become_one() {
        // 300 m to the east another, and 50 m to the north a weaker double of the first.
        let mut all = Vec::new();
        for period in 0..6 {
            all.push(point(period, 0.0, 0.0, 0.8));
            all.push(point(period, 0.0, 0.00045, 0.6));
            all.push(point(period, 0.0027, 0.0, 0.8));
        }
        assert_eq!(objects(all.clone(), 6).len(), 2);
        all.iter_mut().filter(|d| d.score == Some(0.6)).for_each(|d| d.category = 1);
        let found = objects(all, 6);
        assert_eq!(found.iter().map(|o| o.category).collect::<Vec<_>>(), [0, 0, 1]);
    }

    #[test]
    fn distances_are_checked() {
        let options = SmoothOptions { radius: f64::NAN, ..SmoothOptions::default() };
        let refused = smooth(Vec::new(), 0, options, &mut |_, _| Ok(Vec::new()));
        assert!(refused.unwrap_err().to_string().contains("NaN"));
    }
}
