//! Class masks to polygons, row by row.
//!
//! A region is what is connected through the sides of pixels of one class. Borders are followed along pixel edges as
//! rows come; a region is handed out when its last row has passed. In memory are the regions that are not complete,
//! two rows, and, for simplification, two bits a pixel from the topmost of those regions on.

mod borders;
mod chains;
mod ground;
mod regions;
mod rings;
mod simplify;

#[cfg(test)]
mod tests;

use borders::Borders;
use chains::Chains;
use regions::{Labels, NONE};

use super::ring::orient;
use super::{Geometry, Ring};
use crate::error::{Error, Result};
use crate::raster::GeoTransform;

pub use ground::square_metres;

/// A corner of pixels: column and row of the pixel to its lower right.
pub type Corner = [u32; 2];

/// What becomes a polygon, and how plain it is made.
#[derive(Debug, Clone)]
pub struct PolygonizeOptions {
    /// Classes that are left out; what they cover belongs to no polygon.
    pub skip: Vec<u8>,
    /// Regions of fewer pixels are left out; they stay holes in what surrounds them.
    pub min_pixels: u64,
    /// How far, in pixels, borders may move. 0 keeps every corner.
    ///
    /// Borders are cut where three regions meet, and each piece is simplified once for both its sides
    /// (Douglas and Peucker 1973), so that neighbours stay neighbours. A chord is refused when a corner of another
    /// border lies between it and what it replaces, and every piece keeps its ends and the corner farthest from them:
    /// borders never cross, and no region vanishes.
    pub tolerance: f64,
}

impl Default for PolygonizeOptions {
    fn default() -> Self {
        Self { skip: vec![0], min_pixels: 1, tolerance: 0.0 }
    }
}

/// A region of one class.
#[derive(Debug, Clone, PartialEq)]
pub struct Region {
    /// Its class.
    pub class: u8,
    /// Its pixels, before simplification.
    pub pixels: u64,
    /// Mean position of its pixels' centres, in pixels from the upper left corner.
    pub centroid: [f64; 2],
    /// Closed rings of corners: the outer one, then its holes. Seen with rows downwards, the outer one runs
    /// counter-clockwise. Rings may touch each other in corners, and no ring touches itself.
    pub rings: Vec<Vec<Corner>>,
}

impl Region {
    /// The polygon in the coordinates that the transform leads to.
    pub fn geometry(&self, transform: &GeoTransform) -> Geometry {
        let place = |corner: &Corner| {
            let (x, y) = transform.apply(f64::from(corner[0]), f64::from(corner[1]));
            [x, y]
        };
        let mut rings: Vec<Ring> = self.rings.iter().map(|ring| ring.iter().map(place).collect()).collect();
        orient(&mut rings);
        Geometry::Polygon(rings)
    }
}

/// Told every region; an error ends the work with that error.
pub type EachRegion<'a> = &'a mut dyn FnMut(Region) -> Result<()>;

/// Takes a mask row by row and hands out its regions.
#[derive(Debug)]
pub struct Polygonizer {
    width: usize,
    options: PolygonizeOptions,
    skipped: [bool; 256],
    /// Rows taken so far.
    rows: u32,
    /// The last row's classes, [`NONE`] outside and for what is skipped, with one pixel more on either side.
    above: Vec<u16>,
    below: Vec<u16>,
    labels: Labels,
    chains: Chains,
    borders: Borders,
}

impl Polygonizer {
    /// For masks of a width, in pixels.
    ///
    /// # Errors
    /// `Limit` for more than 2^31 columns, `Usage` for a tolerance that is negative or no number.
    pub fn new(width: usize, options: PolygonizeOptions) -> Result<Self> {
        if width > i32::MAX as usize {
            return Err(Error::limit(format!("a mask of {width} columns; at most {} are taken", i32::MAX)));
        }
        if !(options.tolerance >= 0.0 && options.tolerance.is_finite()) {
            return Err(Error::usage(format!(
                "a tolerance of {} pixels; it is 0 or more",
                options.tolerance
            )));
        }
        let mut skipped = [false; 256];
        options.skip.iter().for_each(|class| skipped[usize::from(*class)] = true);
        Ok(Self {
            width,
            skipped,
            rows: 0,
            above: vec![NONE; width + 2],
            below: vec![NONE; width + 2],
            labels: Labels::new(width),
            chains: Chains::new(width),
            borders: Borders::new(if options.tolerance > 0.0 { width + 1 } else { 0 }),
            options,
        })
    }

    /// Takes the next row, one class a pixel.
    ///
    /// # Errors
    /// `Shape` for a row of another width, `Limit` for more than 2^31 rows, and what `each` returns.
    pub fn row(&mut self, classes: &[u8], each: EachRegion<'_>) -> Result<()> {
        if classes.len() != self.width {
            return Err(Error::shape(format!(
                "a row of {} pixels in a mask of {}",
                classes.len(),
                self.width
            )));
        }
        if self.rows >= i32::MAX as u32 {
            return Err(Error::limit(format!("a mask of more than {} rows", i32::MAX)));
        }
        for (pixel, class) in self.below[1..].iter_mut().zip(classes) {
            *pixel = if self.skipped[usize::from(*class)] { NONE } else { u16::from(*class) };
        }
        self.step(each)
    }

    /// Hands out the regions that the last row completes.
    ///
    /// # Errors
    /// What `each` returns.
    pub fn finish(mut self, each: EachRegion<'_>) -> Result<()> {
        self.below.fill(NONE);
        self.step(each)
    }

    /// Follows borders along the line between the last row and the next.
    fn step(&mut self, each: EachRegion<'_>) -> Result<()> {
        let y = self.rows;
        self.labels.next_row(&self.above, &self.below, y);
        let Self { borders, chains, labels, .. } = self;
        borders.begin_row();
        chains.begin_row();
        for x in 0..=self.width {
            let around = [self.above[x + 1], self.above[x], self.below[x], self.below[x + 1]];
            let meeting = (0..4).filter(|k| around[*k] != around[(k + 1) % 4]).count();
            if meeting == 0 {
                continue;
            }
            borders.mark(x, meeting > 2);
            let junction = meeting > 2 && borders.is_kept();
            chains.corner([x as u32, y], &around, junction, &mut |place, ring| {
                // Places around the corner: upper right, upper left, lower left, lower right.
                let column = if place == 1 || place == 2 { x - 1 } else { x };
                labels.add_ring(column, place < 2, ring);
            });
        }
        for open in self.labels.end_row() {
            if open.pixels >= self.options.min_pixels {
                each(open.region(&self.borders, self.options.tolerance))?;
            }
        }
        self.borders.forget_above(self.labels.top().unwrap_or(y));
        std::mem::swap(&mut self.above, &mut self.below);
        self.rows += 1;
        Ok(())
    }
}
