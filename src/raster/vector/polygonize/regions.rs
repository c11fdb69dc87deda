//! Which pixels belong together: labels of one row, joined where regions turn out to be the same, and what is known of
//! each region that is not complete.

use super::borders::Borders;
use super::rings::{is_outer, split};
use super::simplify::simplify;
use super::{Corner, Region};

/// The class of what belongs to no region.
pub(super) const NONE: u16 = 256;
/// The label of what belongs to no region.
const UNLABELLED: u32 = u32::MAX;

/// A region whose last row has not passed.
#[derive(Debug, Default)]
pub(super) struct OpenRegion {
    class: u8,
    pub pixels: u64,
    /// Sums of the columns and rows of its pixels.
    sums: [f64; 2],
    /// Its first row.
    top: u32,
    rings: Vec<Vec<Corner>>,
}

impl OpenRegion {
    fn add_pixel(&mut self, column: usize, row: u32) {
        self.pixels += 1;
        self.sums[0] += column as f64 + 0.5;
        self.sums[1] += f64::from(row) + 0.5;
    }

    fn absorb(&mut self, mut other: Self) {
        self.pixels += other.pixels;
        self.sums = [self.sums[0] + other.sums[0], self.sums[1] + other.sums[1]];
        self.top = self.top.min(other.top);
        if self.rings.len() < other.rings.len() {
            std::mem::swap(&mut self.rings, &mut other.rings);
        }
        self.rings.append(&mut other.rings);
    }

    /// The region, complete.
    pub fn region(self, borders: &Borders, tolerance: f64) -> Region {
        let mut rings: Vec<Vec<Corner>> = self.rings.into_iter().flat_map(split).collect();
        if tolerance > 0.0 {
            rings.iter_mut().for_each(|ring| *ring = simplify(ring, borders, tolerance));
        }
        if let Some(outer) = rings.iter().position(|ring| is_outer(ring)) {
            rings.swap(0, outer);
        }
        for ring in &mut rings {
            ring.extend(ring.first().copied());
        }
        let n = self.pixels as f64;
        let centroid = [self.sums[0] / n, self.sums[1] / n];
        Region { class: self.class, pixels: self.pixels, centroid, rings }
    }
}

/// Labels of the last row and the next, and the regions they stand for.
#[derive(Debug)]
pub(super) struct Labels {
    above: Vec<u32>,
    below: Vec<u32>,
    /// Of each label, itself or the one it was joined to.
    parent: Vec<u32>,
    regions: Vec<OpenRegion>,
}

impl Labels {
    pub fn new(width: usize) -> Self {
        let row = || vec![UNLABELLED; width];
        Self { above: row(), below: row(), parent: Vec::new(), regions: Vec::new() }
    }

    /// Labels the next row. Classes have one pixel more on either side.
    pub fn next_row(&mut self, above: &[u16], below: &[u16], row: u32) {
        for column in 0..self.below.len() {
            let class = below[column + 1];
            let Ok(kept) = u8::try_from(class) else {
                self.below[column] = UNLABELLED;
                continue;
            };
            let left = (below[column] == class).then(|| self.root(self.below[column - 1]));
            let upper = (above[column + 1] == class).then(|| self.root(self.above[column]));
            let label = match (left, upper) {
                (Some(left), Some(upper)) => self.join(left, upper),
                (Some(label), None) | (None, Some(label)) => label,
                (None, None) => {
                    self.parent.push(self.parent.len() as u32);
                    self.regions.push(OpenRegion { class: kept, top: row, ..OpenRegion::default() });
                    self.parent.len() as u32 - 1
                }
            };
            self.below[column] = label;
            self.regions[label as usize].add_pixel(column, row);
        }
    }

    fn root(&mut self, label: u32) -> u32 {
        let mut at = label;
        while self.parent[at as usize] != at {
            let up = self.parent[self.parent[at as usize] as usize];
            self.parent[at as usize] = up;
            at = up;
        }
        at
    }

    fn join(&mut self, a: u32, b: u32) -> u32 {
        if a == b {
            return a;
        }
        let (kept, gone) = (a.min(b), a.max(b));
        self.parent[gone as usize] = kept;
        let absorbed = std::mem::take(&mut self.regions[gone as usize]);
        self.regions[kept as usize].absorb(absorbed);
        kept
    }

    /// Adds a ring to the region of a pixel of the last row (`upper`) or the next.
    pub fn add_ring(&mut self, column: usize, upper: bool, ring: Vec<Corner>) {
        let label = if upper { self.above[column] } else { self.below[column] };
        let root = self.root(label);
        self.regions[root as usize].rings.push(ring);
    }

    /// Ends the row; the regions that have no pixel in it are complete.
    pub fn end_row(&mut self) -> Vec<OpenRegion> {
        let mut new = vec![UNLABELLED; self.parent.len()];
        let mut kept = Vec::new();
        for column in 0..self.below.len() {
            let label = self.below[column];
            if label == UNLABELLED {
                continue;
            }
            let root = self.root(label) as usize;
            if new[root] == UNLABELLED {
                new[root] = kept.len() as u32;
                kept.push(std::mem::take(&mut self.regions[root]));
            }
            self.below[column] = new[root];
        }
        self.parent.clear();
        self.parent.extend(0..kept.len() as u32);
        std::mem::swap(&mut self.above, &mut self.below);
        let complete = std::mem::replace(&mut self.regions, kept);
        // Labels that were joined or kept have left an empty region.
        complete.into_iter().filter(|region| region.pixels > 0).collect()
    }

    /// First row of the regions that are not complete.
    pub fn top(&self) -> Option<u32> {
        self.regions.iter().map(|region| region.top).min()
    }
}
