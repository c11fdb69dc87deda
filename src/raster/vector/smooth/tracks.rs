//! Detections of different periods that are of one object.

use super::nearby::Nearby;
use super::{Detection, SmoothOptions};
use crate::error::{Error, Result};

/// Pairs of a period's detections and the tracks near them.
const MOST_PAIRS: usize = 50_000_000;

/// Detections of one object.
#[derive(Debug)]
pub(super) struct Track {
    /// Mean of where it was found, in longitude and latitude.
    pub place: [f64; 2],
    /// Numbers of its detections, one a period at most, in the order of the periods.
    pub found: Vec<usize>,
}

impl Track {
    fn add(&mut self, number: usize, place: [f64; 2]) {
        self.found.push(number);
        let n = self.found.len() as f64;
        let turn = place[0] - self.place[0];
        let near = turn - 360.0 * (turn / 360.0).round();
        self.place = [self.place[0] + near / n, self.place[1] + (place[1] - self.place[1]) / n];
    }
}

/// The detections in the order of category and period, and their tracks: each goes to the nearest track of its
/// category, nearest pairs first, one a period to a track.
///
/// # Errors
/// `Limit` where more than 50 million pairs of one period are near each other.
pub(super) fn follow(
    mut detections: Vec<Detection>,
    periods: usize,
    options: SmoothOptions,
) -> Result<(Vec<Detection>, Vec<Track>)> {
    detections.retain(|detection| (detection.period as usize) < periods);
    let score = |detection: &Detection| detection.score.unwrap_or(f64::NEG_INFINITY);
    detections.sort_by(|a, b| {
        let order = (a.category, a.period).cmp(&(b.category, b.period));
        let ([ax, ay], [bx, by]) = (a.place(), b.place());
        order.then(score(b).total_cmp(&score(a))).then(ax.total_cmp(&bx)).then(ay.total_cmp(&by))
    });
    let mut tracks: Vec<Track> = Vec::new();
    let (mut category, mut first) = (None, 0);
    let mut start = 0;
    for group in detections.chunk_by(|a, b| (a.category, a.period) == (b.category, b.period)) {
        let of = group.first().map(|detection| detection.category);
        if category != of {
            (category, first) = (of, tracks.len());
        }
        let kept = best_of_each_place(group, options.apart);
        let kept: Vec<(usize, [f64; 2])> = kept.into_iter().map(|(k, place)| (start + k, place)).collect();
        add_period(&mut tracks, first, &kept, options.radius)?;
        start += group.len();
    }
    Ok((detections, tracks))
}

/// Of detections by falling score, those that have none before them nearby.
fn best_of_each_place(group: &[Detection], apart: f64) -> Vec<(usize, [f64; 2])> {
    let mut nearby = Nearby::new(apart);
    let mut kept = Vec::new();
    for (k, detection) in group.iter().enumerate() {
        let place = detection.place();
        if nearby.within(place).is_empty() {
            nearby.add(k, place);
            kept.push((k, place));
        }
    }
    kept
}

/// Adds one period's detections to the tracks from `first` on.
fn add_period(tracks: &mut Vec<Track>, first: usize, found: &[(usize, [f64; 2])], radius: f64) -> Result<()> {
    let mut nearby = Nearby::new(radius);
    for (k, track) in tracks.iter().enumerate().skip(first) {
        nearby.add(k, track.place);
    }
    let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
    for (k, (_, place)) in found.iter().enumerate() {
        pairs.extend(nearby.within(*place).into_iter().map(|(metres, track)| (metres, k, track)));
        if pairs.len() > MOST_PAIRS {
            let message = format!("more than {MOST_PAIRS} pairs within {radius} m; take a smaller --radius");
            return Err(Error::limit(format!("{message} or a larger --apart")));
        }
    }
    pairs.sort_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
    let (mut used, mut placed) = (vec![false; tracks.len() - first], vec![false; found.len()]);
    for (_, k, track) in pairs {
        if !used[track - first] && !placed[k] {
            (used[track - first], placed[k]) = (true, true);
            tracks[track].add(found[k].0, found[k].1);
        }
    }
    let new = found.iter().zip(&placed).filter(|(_, placed)| !**placed);
    tracks.extend(new.map(|((number, place), _)| Track { place: *place, found: vec![*number] }));
    Ok(())
}
