//! Rings with fewer corners: Douglas and Peucker's method on the pieces between junctions, which both regions beside a
//! piece simplify alike, with a test that keeps borders from crossing.
//!
//! Why they do not cross: a chord replaces a piece of border only if no corner of another border lies between the two
//! (chord included). Were two such chords to cross, the one would enter what lies between the other and its piece
//! without a corner to end at, and could leave it only through that piece; then that piece's edge, in turn, would lie
//! between the first chord and its own piece, again without a corner. Nothing is left to bound either.

use std::collections::HashSet;

use super::borders::Borders;
use super::Corner;

/// A ring, not closed, with what is left of its corners.
pub(super) fn simplify(ring: &[Corner], borders: &Borders, tolerance: f64) -> Vec<Corner> {
    // Both regions beside a ring without junctions begin at the same corner.
    let smallest = || ring.iter().enumerate().min_by_key(|(_, corner)| **corner);
    let junction = ring.iter().position(|corner| borders.is_junction(*corner));
    let Some(start) = junction.or_else(|| smallest().map(|(k, _)| k)) else { return Vec::new() };
    let mut closed: Vec<Corner> = ring[start..].iter().chain(&ring[..=start]).copied().collect();
    let last = closed.len() - 1;
    let inner = (1..last).filter(|k| borders.is_junction(closed[*k]));
    let ends: Vec<usize> = std::iter::once(0).chain(inner).chain([last]).collect();
    let mut kept = vec![false; closed.len()];
    ends.iter().for_each(|k| kept[*k] = true);
    for piece in ends.windows(2) {
        Piece { corners: &closed, borders, tolerance, kept: &mut kept }.simplify(piece[0], piece[1]);
    }
    let mut keep = kept.into_iter();
    closed.retain(|_| keep.next().unwrap_or(true));
    closed.pop();
    closed
}

/// A piece of a ring between two junctions, or around from one to itself.
struct Piece<'a> {
    corners: &'a [Corner],
    borders: &'a Borders,
    tolerance: f64,
    kept: &'a mut [bool],
}

impl Piece<'_> {
    fn simplify(&mut self, from: usize, to: usize) {
        let Some((middle, distance)) = self.farthest(from, to) else { return };
        if self.corners[from] == self.corners[to] {
            // Around: two halves, of which at least one keeps a third corner.
            self.kept[middle] = true;
            self.simplify(from, middle);
            self.simplify(middle, to);
            return;
        }
        let mut open = Vec::new();
        if distance > 0.0 {
            self.kept[middle] = true;
            open.extend([(from, middle), (middle, to)]);
        }
        while let Some((from, to)) = open.pop() {
            let Some((middle, distance)) = self.farthest(from, to) else { continue };
            if distance > self.tolerance || !self.is_free(from, to, distance) {
                self.kept[middle] = true;
                open.extend([(from, middle), (middle, to)]);
            }
        }
    }

    /// The corner between two others that is farthest from the line between them, and its distance; of several, the
    /// same one in either direction. `None` when there is none.
    fn farthest(&self, from: usize, to: usize) -> Option<(usize, f64)> {
        let (a, b) = (self.corners[from], self.corners[to]);
        let (a, b) = (a.min(b), a.max(b));
        let measured = (from + 1..to).map(|k| (squared_distance(self.corners[k], a, b), k));
        let order = |p: &(f64, usize), q: &(f64, usize)| {
            p.0.total_cmp(&q.0).then_with(|| self.corners[q.1].cmp(&self.corners[p.1]))
        };
        measured.max_by(order).map(|(squared, k)| (k, squared.sqrt()))
    }

    /// Whether no corner of another border lies between the corners `from` to `to` and their chord.
    fn is_free(&self, from: usize, to: usize, distance: f64) -> bool {
        if distance == 0.0 {
            return true;
        }
        let piece = &self.corners[from..=to];
        let spans = Spans::of(piece);
        let own: u64 = 1 + piece.windows(2).map(|e| u64::from(length(e[0], e[1]))).sum::<u64>();
        // All of the piece's own corners lie in the spans: more than those are others'.
        let all: usize =
            spans.rows().map(|(y, west, east)| self.borders.between(y, west, east).count()).sum();
        if all as u64 == own {
            return true;
        }
        let on_piece: HashSet<Corner> = piece.windows(2).flat_map(|e| along(e[0], e[1])).collect();
        let other = |corner: &Corner| !on_piece.contains(corner) && encloses(piece, *corner);
        let corners = |(y, west, east)| self.borders.between(y, west, east).map(move |x| [x, y]);
        let others = spans.rows().flat_map(corners).any(|corner| other(&corner));
        !others
    }
}

/// Squared distance of a corner from the segment between two others.
fn squared_distance(p: Corner, a: Corner, b: Corner) -> f64 {
    let difference =
        |p: Corner, q: Corner| [i64::from(q[0]) - i64::from(p[0]), i64::from(q[1]) - i64::from(p[1])];
    let (ab, ap) = (difference(a, b), difference(a, p));
    let dot = |u: [i64; 2], v: [i64; 2]| u[0] as f64 * v[0] as f64 + u[1] as f64 * v[1] as f64;
    let (along, length) = (dot(ab, ap), dot(ab, ab));
    if along <= 0.0 {
        return dot(ap, ap);
    }
    if along >= length {
        let bp = difference(b, p);
        return dot(bp, bp);
    }
    let cross = ab[0] as f64 * ap[1] as f64 - ab[1] as f64 * ap[0] as f64;
    cross * cross / length
}

/// Steps between two corners in one line.
fn length(a: Corner, b: Corner) -> u32 {
    a[0].abs_diff(b[0]) + a[1].abs_diff(b[1])
}

/// All corners from one to another in one line, both included.
fn along(a: Corner, b: Corner) -> impl Iterator<Item = Corner> {
    let rows = a[1].min(b[1])..=a[1].max(b[1]);
    rows.flat_map(move |y| (a[0].min(b[0])..=a[0].max(b[0])).map(move |x| [x, y]))
}

/// Of each row, the columns between a piece's westernmost and easternmost points, its chord included.
struct Spans {
    first: u32,
    spans: Vec<(u32, u32)>,
}

impl Spans {
    fn of(piece: &[Corner]) -> Self {
        let rows = piece.iter().map(|corner| corner[1]);
        let (first, last) = (rows.clone().min().unwrap_or(0), rows.max().unwrap_or(0));
        let mut all = Self { first, spans: vec![(u32::MAX, 0); (last - first) as usize + 1] };
        for edge in piece.windows(2) {
            let (a, b) = (edge[0], edge[1]);
            for y in a[1].min(b[1])..=a[1].max(b[1]) {
                all.widen(y, a[0].min(b[0]), a[0].max(b[0]));
            }
        }
        if let (Some(a), Some(b)) = (piece.first(), piece.last()) {
            let (a, b) = if a[1] <= b[1] { (a, b) } else { (b, a) };
            let rise = f64::from(b[1] - a[1]).max(1.0);
            for y in a[1]..=b[1] {
                let t = f64::from(y - a[1]) / rise;
                let x = f64::from(a[0]) + t * (f64::from(b[0]) - f64::from(a[0]));
                all.widen(y, x.floor() as u32, x.ceil() as u32);
            }
        }
        all
    }

    fn widen(&mut self, y: u32, west: u32, east: u32) {
        let span = &mut self.spans[(y - self.first) as usize];
        *span = (span.0.min(west), span.1.max(east));
    }

    /// Row, first and last column.
    fn rows(&self) -> impl Iterator<Item = (u32, u32, u32)> + '_ {
        let numbered = self.spans.iter().enumerate();
        numbered.map(|(k, (west, east))| (self.first + k as u32, *west, *east))
    }
}

/// Whether a corner that is not on the piece lies between it and its chord, or on the chord.
fn encloses(piece: &[Corner], corner: Corner) -> bool {
    let (Some(first), Some(last)) = (piece.first(), piece.last()) else { return false };
    if squared_distance(corner, *first, *last) == 0.0 {
        return true;
    }
    let chord = [*last, *first];
    let [x, y] = corner.map(i64::from);
    let mut winding = 0;
    for edge in piece.windows(2).chain(std::iter::once(&chord[..])) {
        let ([ax, ay], [bx, by]) = (edge[0].map(i64::from), edge[1].map(i64::from));
        let side = i128::from(bx - ax) * i128::from(y - ay) - i128::from(x - ax) * i128::from(by - ay);
        if ay <= y && by > y && side < 0 {
            winding += 1;
        } else if ay > y && by <= y && side > 0 {
            winding -= 1;
        }
    }
    winding != 0
}
