//! Hits among lines: both sides are drawn, thickened, and compared pixel by pixel.

use super::counts::Counts;

/// Times the lines are thickened by a pixel up, down, left and right.
const THICKER: usize = 4;

/// Counts of pixels of labelled and predicted lines on a square canvas of `side` pixels; lines are lists of
/// (column, row), and may leave the canvas.
pub fn line_counts(labels: &[Vec<[i32; 2]>], predictions: &[Vec<[i32; 2]>], side: usize) -> Counts {
    let mut counts = Counts::default();
    if labels.is_empty() && predictions.is_empty() {
        return counts;
    }
    let (labels, predictions) = (drawn(labels, side), drawn(predictions, side));
    predictions.iter().zip(&labels).for_each(|(p, l)| counts.count(*p, *l));
    counts
}

fn drawn(lines: &[Vec<[i32; 2]>], side: usize) -> Vec<bool> {
    let mut canvas = vec![false; side * side];
    for ends in lines.iter().flat_map(|line| line.windows(2)) {
        segment(ends[0], ends[1], side, &mut canvas);
    }
    (0..THICKER).fold(canvas, |canvas, _| thicker(&canvas, side))
}

/// Bresenham's line with both ends: of the longer axis every pixel, of the other the nearest, the later one at
/// a tie. Only the part on the canvas is walked, however far the ends are away.
fn segment(from: [i32; 2], to: [i32; 2], side: usize, canvas: &mut [bool]) {
    let span = [0, 1].map(|axis| i64::from(to[axis]) - i64::from(from[axis]));
    let (long, short) = if span[1].abs() > span[0].abs() { (1, 0) } else { (0, 1) };
    let (steps, sign) = (span[long].abs(), if span[long] < 0 { -1 } else { 1 });
    let side = side as i64;
    let start = i64::from(from[long]);
    // Steps whose pixel lies on the canvas along the longer axis.
    let (first, last) = match sign {
        1 => ((-start).max(0), (side - 1 - start).min(steps)),
        _ => ((start - side + 1).max(0), start.min(steps)),
    };
    for step in first..=last {
        let across = match steps {
            0 => 0,
            steps => {
                ((2 * i128::from(span[short].abs()) * i128::from(step) + i128::from(steps))
                    / i128::from(2 * steps)) as i64
            }
        };
        let mut at = [0; 2];
        at[long] = start + sign * step;
        at[short] = i64::from(from[short]) + span[short].signum() * across;
        if at.iter().all(|v| (0..side).contains(v)) {
            canvas[(at[1] * side + at[0]) as usize] = true;
        }
    }
}

fn thicker(canvas: &[bool], side: usize) -> Vec<bool> {
    let mut wide = canvas.to_vec();
    for (at, _) in canvas.iter().enumerate().filter(|(_, set)| **set) {
        let (x, y) = (at % side, at / side);
        let neighbours = [
            (x > 0).then(|| at - 1),
            (x + 1 < side).then_some(at + 1),
            (y > 0).then(|| at - side),
            (y + 1 < side).then_some(at + side),
        ];
        neighbours.into_iter().flatten().for_each(|near| wide[near] = true);
    }
    wide
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pixels(line: &[[i32; 2]], side: usize) -> Vec<(usize, usize)> {
        let mut canvas = vec![false; side * side];
        line.windows(2).for_each(|ends| segment(ends[0], ends[1], side, &mut canvas));
        (0..side * side).filter(|at| canvas[*at]).map(|at| (at % side, at / side)).collect()
    }

    #[test]
    fn lines_are_walked_along_their_longer_axis() {
        assert_eq!(pixels(&[[0, 0], [4, 2]], 8), [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2)]);
        assert_eq!(pixels(&[[1, 4], [1, 4]], 8), [(1, 4)]);
        assert_eq!(pixels(&[[3, 0], [2, 3]], 8), [(3, 0), (3, 1), (2, 2), (2, 3)]);
    }

    #[test]
    fn ends_may_be_anywhere() {
        let far = i32::MAX;
        assert_eq!(pixels(&[[-far, -far], [far, far]], 4), [(0, 0), (1, 1), (2, 2), (3, 3)]);
        assert_eq!(pixels(&[[i32::MIN, 5], [i32::MAX, 5]], 4), []);
        assert_eq!(pixels(&[[2, i32::MAX], [2, i32::MIN]], 3).len(), 3);
    }

    #[test]
    fn lines_are_nine_pixels_wide() {
        let line = |y: i32| vec![vec![[-100, y], [100, y]]];
        let counts = line_counts(&line(10), &line(13), 32);
        assert_eq!(counts, Counts { tp: 6 * 32, fp: 3 * 32, fn_: 3 * 32 });
        assert_eq!(line_counts(&[], &[], 32), Counts::default());
    }
}
