//! A hidden Markov model of two states, absent and present, and the likeliest course through it (Viterbi 1967).
//! The probabilities are those of the published Satlas products.

/// Probability that something absent stays so from one period to the next.
const STAYS_ABSENT: f64 = 0.95;
/// Probability that something present stays so.
const STAYS_PRESENT: f64 = 0.99;
/// Probability that a period shows what is true.
const CORRECT: f64 = 0.8;

/// First and last period of each time in which the likeliest course is present. Observations: found, not found, or
/// nothing known. Both states are as likely before the first; of courses that are equally likely, the one that changes
/// later is taken.
pub(super) fn present(observed: &[Option<bool>]) -> Vec<[usize; 2]> {
    // Logarithm of the best course's probability for each state, absent first, and where it came from.
    let mut best = [0.0f64; 2];
    let mut came_from = Vec::with_capacity(observed.len());
    for (period, found) in observed.iter().enumerate() {
        let mut from = [0usize, 1];
        if period > 0 {
            let step = [
                [STAYS_ABSENT.ln(), (1.0 - STAYS_PRESENT).ln()],
                [(1.0 - STAYS_ABSENT).ln(), STAYS_PRESENT.ln()],
            ];
            let before = best;
            for state in 0..2 {
                let stays = before[state] + step[state][state];
                let changes = before[1 - state] + step[state][1 - state];
                from[state] = if stays >= changes { state } else { 1 - state };
                best[state] = stays.max(changes);
            }
        }
        if let Some(found) = found {
            best[usize::from(*found)] += CORRECT.ln();
            best[usize::from(!*found)] += (1.0 - CORRECT).ln();
        }
        came_from.push(from);
    }
    let mut state = usize::from(best[1] > best[0]);
    let mut times: Vec<[usize; 2]> = Vec::new();
    for (period, from) in came_from.iter().enumerate().rev() {
        if state == 1 {
            match times.last_mut() {
                Some(time) if time[0] == period + 1 => time[0] = period,
                _ => times.push([period, period]),
            }
        }
        state = from[state];
    }
    times.reverse();
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The likeliest of all courses, by trying each.
    fn tried(observed: &[Option<bool>]) -> f64 {
        (0..1u32 << observed.len()).map(|course| likelihood(observed, course)).fold(0.0, f64::max)
    }

    fn likelihood(observed: &[Option<bool>], course: u32) -> f64 {
        let is_present = |period: usize| course >> period & 1 == 1;
        let mut p = 0.5;
        for (period, found) in observed.iter().enumerate() {
            if period > 0 {
                p *= match (is_present(period - 1), is_present(period)) {
                    (false, false) => 0.95,
                    (false, true) => 0.05,
                    (true, false) => 0.01,
                    (true, true) => 0.99,
                };
            }
            p *= found.map_or(1.0, |found| if found == is_present(period) { 0.8 } else { 0.2 });
        }
        p
    }

    #[test]
    fn the_course_is_the_likeliest_of_all() {
        for n in 1..=7usize {
            for code in 0..3u32.pow(n as u32) {
                let observed: Vec<Option<bool>> = (0..n as u32)
                    .map(|k| [None, Some(false), Some(true)][(code / 3u32.pow(k) % 3) as usize])
                    .collect();
                let mut course = 0;
                for [first, last] in present(&observed) {
                    (first..=last).for_each(|period| course |= 1 << period);
                }
                let (got, best) = (likelihood(&observed, course), tried(&observed));
                assert!(got >= best * (1.0 - 1e-12), "{observed:?} {course:b}");
            }
        }
    }

    #[test]
    fn times_are_in_order() {
        let observed: Vec<Option<bool>> = (0..60).map(|k| Some(k % 30 >= 15)).collect();
        assert_eq!(present(&observed), [[15, 29], [45, 59]]);
        assert!(present(&[]).is_empty());
    }
}
