//! Masks of objects as polygons: regions of pixels that share sides are traced along pixels' edges, simplified
//! without changing their topology, and brought from the mask's grid to the image's.

use super::output::whole;
use super::picture::Canvas;
use crate::dataset::fill;
use crate::error::Result;
use crate::raster::vector::polygonize::{Corner, PolygonizeOptions, Polygonizer, Region};

/// Pixels above this belong to the object.
const INSIDE: f32 = 0.5;
/// Farthest that a simplified ring may lie from the traced one, in pixels of the mask.
const TOLERANCE: f64 = 2.0;
/// Points that a closed ring keeps, the first of them twice.
const FEWEST: usize = 4;

/// Rings of one polygon in whole pixels, closed, the exterior first.
pub type Rings = Vec<Vec<[i32; 2]>>;

/// Polygons of a square mask whose object has the given box; a mask without a hole or edge is its box.
///
/// # Errors
/// None for masks of a detector's size.
pub fn polygons(mask: &[f32], side: usize, bounds: [f32; 4]) -> Result<Vec<Rings>> {
    if side == 0 || mask.len() < side * side {
        return Ok(Vec::new());
    }
    let [x0, y0, x1, y1] = whole(bounds);
    let place = |at: f64, low: i64, high: i64| (at * (high - low) as f64 / side as f64 + low as f64) as i32;
    let placed = |p: &[f64; 2]| [place(p[0], x0, x1), place(p[1], y0, y1)];
    let inside: Vec<bool> = mask.iter().take(side * side).map(|v| *v > INSIDE).collect();
    let simple = traced(&inside, side)?.into_iter().map(|rings| simplified(&rings));
    Ok(simple.map(|rings| rings.iter().map(|ring| ring.iter().map(placed).collect()).collect()).collect())
}

/// Fills the exteriors of a mask's polygons in a picture.
///
/// # Errors
/// As [`polygons`].
pub fn paste(
    canvas: &mut Canvas,
    mask: &[f32],
    side: usize,
    bounds: [f32; 4],
    colour: [u8; 3],
) -> Result<()> {
    let mut plane = vec![0; canvas.width * canvas.height];
    for rings in polygons(mask, side, bounds)? {
        let exterior = rings.first().map_or(&[][..], Vec::as_slice);
        fill(exterior, canvas.height, canvas.width, &mut plane, 1);
    }
    canvas.tint(|at| plane[at] != 0, colour);
    Ok(())
}

/// Closed rings of each region, the exterior first; each begins at its uppermost, there leftmost corner.
fn traced(inside: &[bool], side: usize) -> Result<Vec<Vec<Vec<[f64; 2]>>>> {
    let mut regions: Vec<Vec<Vec<Corner>>> = Vec::new();
    let mut each = |region: Region| {
        let mut rings = region.rings;
        rings.iter_mut().for_each(begin_at_top);
        if let Some(holes) = rings.get_mut(1..) {
            holes.sort_by_key(|ring| top(ring));
        }
        regions.push(rings);
        Ok(())
    };
    let mut polygonizer = Polygonizer::new(side, PolygonizeOptions::default())?;
    for row in inside.chunks_exact(side) {
        let classes: Vec<u8> = row.iter().map(|inside| u8::from(*inside)).collect();
        polygonizer.row(&classes, &mut each)?;
    }
    polygonizer.finish(&mut each)?;
    regions.sort_by_key(|rings| rings.first().map(|ring| top(ring)));
    let points = |ring: &Vec<Corner>| ring.iter().map(|corner| corner.map(f64::from)).collect();
    Ok(regions.iter().map(|rings| rings.iter().map(points).collect()).collect())
}

/// Row and column of a ring's first corner.
fn top(ring: &[Corner]) -> Option<(u32, u32)> {
    ring.first().map(|[x, y]| (*y, *x))
}

/// Turns a closed ring until its uppermost, there leftmost corner comes first, and last again.
fn begin_at_top(ring: &mut Vec<Corner>) {
    ring.pop();
    let first = ring.iter().enumerate().min_by_key(|(_, [x, y])| (*y, *x)).map_or(0, |(at, _)| at);
    ring.rotate_left(first);
    ring.extend(ring.first().copied());
}

/// A section of a ring: between its points of two numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Segment([f64; 2], [f64; 2]);

/// Rings simplified after Douglas and Peucker, leaving out no point where the result would cross itself or jump
/// over another ring; the first point, too, may be left out in the end. Rings keep [`FEWEST`] points.
fn simplified(rings: &[Vec<[f64; 2]>]) -> Vec<Vec<[f64; 2]>> {
    let mut work = Work {
        rings,
        input: rings.iter().map(|r| r.windows(2).map(|w| Segment(w[0], w[1])).collect()).collect(),
        output: vec![Vec::new(); rings.len()],
    };
    for (at, ring) in rings.iter().enumerate() {
        if ring.len() > FEWEST {
            work.section(at, 0, ring.len() - 1, 1);
            work.end(at);
        } else {
            work.output[at] = ring.windows(2).map(|w| Segment(w[0], w[1])).collect();
        }
    }
    let points = |segments: &Vec<Segment>| {
        let mut ring: Vec<[f64; 2]> = segments.iter().map(|s| s.0).collect();
        ring.extend(segments.last().map(|s| s.1));
        ring
    };
    work.output.iter().map(points).collect()
}

struct Work<'r> {
    rings: &'r [Vec<[f64; 2]>],
    /// What is left of the rings as they came.
    input: Vec<Vec<Segment>>,
    /// What became of them.
    output: Vec<Vec<Segment>>,
}

impl Work<'_> {
    fn section(&mut self, ring: usize, from: usize, to: usize, depth: usize) {
        let points = &self.rings[ring];
        if from + 1 == to {
            self.output[ring].push(Segment(points[from], points[to]));
            return;
        }
        let flat = Segment(points[from], points[to]);
        let size = match self.output[ring].len() {
            0 => 0,
            n => n + 1,
        };
        let enough = size >= FEWEST || depth + 1 >= FEWEST;
        let farther = |best: (usize, f64), at: usize| {
            let distance = flat.distance(points[at]);
            if distance > best.1 {
                (at, distance)
            } else {
                best
            }
        };
        let (farthest, distance) = (from + 1..to).fold((from, -1.0), farther);
        if enough && distance <= TOLERANCE && self.may(ring, from, to, flat) {
            self.input[ring].retain(|s| !points[from..=to].windows(2).any(|w| *s == Segment(w[0], w[1])));
            self.output[ring].push(flat);
            return;
        }
        self.section(ring, from, farthest, depth + 1);
        self.section(ring, farthest, to, depth + 1);
    }

    /// Whether a section may become a segment.
    fn may(&self, ring: usize, from: usize, to: usize, flat: Segment) -> bool {
        let section = &self.rings[ring][from..=to];
        let own = |s: &Segment| section.windows(2).any(|w| *s == Segment(w[0], w[1]));
        let crosses = |s: &Segment| s.crosses(&flat);
        let jumps = |other: &Vec<[f64; 2]>| {
            other.first().is_some_and(|p| {
                let crossings = section.windows(2).filter(|w| Segment(w[0], w[1]).passed_by(*p)).count();
                (crossings + usize::from(flat.passed_by(*p))) % 2 == 1
            })
        };
        !self.output.iter().flatten().any(crosses)
            && !self.input.iter().flatten().any(|s| !own(s) && crosses(s))
            && !self.rings.iter().enumerate().any(|(at, other)| at != ring && jumps(other))
    }

    /// Leaves the first point out where that changes little.
    fn end(&mut self, ring: usize) {
        let segments = &self.output[ring];
        let (Some(first), Some(last)) = (segments.first().copied(), segments.last().copied()) else { return };
        let short = Segment(last.0, first.1);
        if segments.len() < FEWEST || short.distance(first.0) > TOLERANCE {
            return;
        }
        let crosses = |s: &Segment| *s != first && *s != last && s.crosses(&short);
        let jumps = |other: &Vec<[f64; 2]>| {
            other
                .first()
                .is_some_and(|p| [first, last, short].iter().filter(|s| s.passed_by(*p)).count() % 2 == 1)
        };
        let bad = self.output.iter().flatten().any(crosses)
            || self.input.iter().enumerate().any(|(at, all)| at != ring && all.iter().any(crosses))
            || self.rings.iter().enumerate().any(|(at, other)| at != ring && jumps(other));
        if !bad {
            let segments = &mut self.output[ring];
            segments.pop();
            if let Some(start) = segments.first_mut() {
                *start = short;
            }
        }
    }
}

impl Segment {
    fn distance(&self, p: [f64; 2]) -> f64 {
        let [ax, ay] = self.0;
        let (dx, dy) = (self.1[0] - ax, self.1[1] - ay);
        let length = dx * dx + dy * dy;
        let along =
            if length > 0.0 { (((p[0] - ax) * dx + (p[1] - ay) * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
        (p[0] - ax - along * dx).hypot(p[1] - ay - along * dy)
    }

    /// Which side of it a point lies on; 0 on its line.
    fn side(&self, p: [f64; 2]) -> f64 {
        let ([ax, ay], [bx, by]) = (self.0, self.1);
        let turn = (bx - ax) * (p[1] - ay) - (by - ay) * (p[0] - ax);
        if turn == 0.0 {
            0.0
        } else {
            turn.signum()
        }
    }

    /// Whether a point on its line lies between its ends, neither of them.
    fn holds(&self, p: [f64; 2]) -> bool {
        let between = |axis: usize| {
            let (low, high) = (self.0[axis].min(self.1[axis]), self.0[axis].max(self.1[axis]));
            (low..=high).contains(&p[axis])
        };
        p != self.0 && p != self.1 && between(0) && between(1)
    }

    /// Whether they meet in the interior of either.
    fn crosses(&self, other: &Self) -> bool {
        let (a, b) = (self.side(other.0), self.side(other.1));
        let (c, d) = (other.side(self.0), other.side(self.1));
        a * b < 0.0 && c * d < 0.0
            || a == 0.0 && self.holds(other.0)
            || b == 0.0 && self.holds(other.1)
            || c == 0.0 && other.holds(self.0)
            || d == 0.0 && other.holds(self.1)
    }

    /// Whether a ray from the point to the right crosses it.
    fn passed_by(&self, p: [f64; 2]) -> bool {
        let ([ax, ay], [bx, by]) = (self.0, self.1);
        (ay > p[1]) != (by > p[1]) && ax + (p[1] - ay) * (bx - ax) / (by - ay) > p[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rings(rows: &[&str]) -> Vec<Vec<Vec<[f64; 2]>>> {
        let inside: Vec<bool> = rows.iter().flat_map(|row| row.bytes().map(|b| b == b'#')).collect();
        traced(&inside, rows.len()).unwrap()
    }

    #[test]
    fn regions_share_sides_and_holes_stay_apart() {
        let touching = rings(&["#...", ".#..", "....", "..##"]);
        assert_eq!(touching.len(), 3);
        assert_eq!(touching[1], [[[1.0, 1.0], [1.0, 2.0], [2.0, 2.0], [2.0, 1.0], [1.0, 1.0]]]);
        let holes = rings(&["####", "#.##", "##.#", "####"]);
        assert_eq!(holes[0].len(), 3);
        assert_eq!(holes[0][0], [[0.0, 0.0], [0.0, 4.0], [4.0, 4.0], [4.0, 0.0], [0.0, 0.0]]);
        assert_eq!(holes[0][1], [[1.0, 1.0], [2.0, 1.0], [2.0, 2.0], [1.0, 2.0], [1.0, 1.0]]);
        let notch = rings(&[".###", "#.##", "####", "####"]);
        assert_eq!(notch[0].len(), 2, "a hole that meets the outside at a corner stays a hole");
        assert_eq!(notch[0][0][..4], [[1.0, 0.0], [1.0, 1.0], [0.0, 1.0], [0.0, 4.0]]);
    }

    #[test]
    fn small_steps_go_and_large_ones_stay() {
        let stairs: Vec<String> =
            (0..12).map(|y| (0..12).map(|x| if x <= y { '#' } else { '.' }).collect()).collect();
        let rows: Vec<&str> = stairs.iter().map(String::as_str).collect();
        let simple = simplified(&rings(&rows)[0]);
        assert_eq!(simple[0], [[0.0, 0.0], [0.0, 12.0], [12.0, 12.0], [12.0, 11.0], [0.0, 0.0]]);
        let mut mask = vec![0.0; 16];
        mask[..8].fill(0.9);
        let found = polygons(&mask, 4, [10.0, 20.0, 18.9, 28.0]).unwrap();
        // The first corner lies less than two pixels of the mask from the line that leaves it out.
        assert_eq!(found, [vec![vec![[18, 20], [10, 24], [18, 24], [18, 20]]]]);
        assert!(polygons(&[0.0; 16], 4, [0.0; 4]).unwrap().is_empty());
        assert_eq!(polygons(&[1.0; 16], 4, [0.0, 0.0, 8.0, 8.0]).unwrap()[0][0].len(), 5, "the box");
    }
}
