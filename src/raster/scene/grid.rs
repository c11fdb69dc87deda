//! Grids: the Web-Mercator lattice, windows given as boxes, unions and intersections.

use crate::error::{Error, Result};
use crate::raster::crs::{Bounds, WEB_MERCATOR};
use crate::raster::{GeoTransform, Georef, Grid};
use crate::tile::Rect;

/// West and north edge of the Web-Mercator world, in metres: π · 6378137.
pub const MERCATOR_EDGE: f64 = 20_037_508.342_789_244;
/// Pixel of the zoom-17 lattice, in projected metres: the world is 2²² pixels wide, 32 to a tile.
pub const Z17_PIXEL: f64 = 2.0 * MERCATOR_EDGE / (1u64 << 22) as f64;
/// Pixels of a zoom-17 tile's side.
const Z17_TILE: i64 = 32;
/// Sides of grids made here, so that a stray corner cannot ask for the whole planet.
const MAX_SIDE: f64 = (1u64 << 22) as f64;

/// Which Web-Mercator grid images are brought to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum MercatorGrid {
    /// Whole zoom-17 tiles of 32×32 pixels of 9.554628535647032 m: chips coincide with the tiles of the
    /// S2-NAIP set the published networks were trained on.
    Z17Lattice,
    /// Origin at the upper left of the area's transformed bounds, as GDAL chooses it, with this pixel.
    Bounds {
        /// Pixel side in projected metres (the reference programs use 9.555).
        pixel: f64,
    },
}

impl MercatorGrid {
    /// The grid that covers an area.
    ///
    /// # Errors
    /// `Usage` for a pixel size that is not positive, `Limit` for a grid over 2²² pixels wide or high.
    pub fn covering(&self, area: &Bounds) -> Result<Grid> {
        match *self {
            Self::Z17Lattice => z17_grid(area),
            Self::Bounds { pixel } if pixel.is_finite() && pixel > 0.0 => {
                let (width, height) = ((area.east - area.west) / pixel, (area.north - area.south) / pixel);
                north_up(area.west, area.north, pixel, width.ceil(), height.ceil())
            }
            Self::Bounds { pixel } => {
                Err(Error::usage(format!("a pixel of {pixel} m is no size; give a positive number")))
            }
        }
    }
}

fn z17_grid(area: &Bounds) -> Result<Grid> {
    let tile = Z17_PIXEL * Z17_TILE as f64;
    let column = |x: f64| (x + MERCATOR_EDGE) / tile;
    let row = |y: f64| (MERCATOR_EDGE - y) / tile;
    let (x0, y0) = (column(area.west).floor(), row(area.north).floor());
    let (x1, y1) = (column(area.east).ceil(), row(area.south).ceil());
    let side = Z17_TILE as f64;
    north_up(
        x0.mul_add(tile, -MERCATOR_EDGE),
        y0.mul_add(-tile, MERCATOR_EDGE),
        Z17_PIXEL,
        (x1 - x0) * side,
        (y1 - y0) * side,
    )
}

fn north_up(x: f64, y: f64, pixel: f64, width: f64, height: f64) -> Result<Grid> {
    if !(width >= 1.0 && height >= 1.0 && width <= MAX_SIDE && height <= MAX_SIDE) {
        return Err(Error::limit(format!(
            "a Web-Mercator grid of {width}×{height} pixels; from 1 to {MAX_SIDE} a side are possible, \
             --bbox narrows the area"
        )));
    }
    let transform = GeoTransform::north_up(x, y, pixel, -pixel);
    Ok(Grid {
        width: width as usize,
        height: height as usize,
        georef: Some(Georef { epsg: WEB_MERCATOR, transform }),
    })
}

/// A part of a scene, as people give it: `--bbox west,south,east,north --bbox-crs EPSG:4326`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Window {
    /// The box. Without georeferencing (`epsg` is `None`): pixel columns and rows, `south` below `north`
    /// being the larger row number.
    pub bounds: Bounds,
    /// Coordinate system of the box; `None`: the scene's own (pixels where it has none).
    pub epsg: Option<u32>,
}

impl Window {
    /// Pixels of a grid that the box touches (snapped outwards), inside the grid.
    ///
    /// # Errors
    /// `Usage` when the box is empty, lies outside the scene (naming the scene's extent in the box's
    /// coordinate system) or has a coordinate system while the scene has none.
    pub fn pixels(&self, grid: &Grid) -> Result<Rect> {
        let whole = Rect::of_size(grid.width, grid.height);
        let corners =
            match (&grid.georef, self.epsg) {
                (Some(georef), epsg) => self.corners_on(georef, epsg.unwrap_or(georef.epsg))?,
                (None, None) => self.corner_points(),
                (None, Some(_)) => return Err(Error::usage(
                    "the scene has no georeferencing, so a box has no place on it; leave --bbox-crs out to \
                     give pixels, or supply --crs and --transform",
                )),
            };
        let covered = Bounds::around(&corners).filter(|b| b.west < b.east && b.south < b.north);
        let Some(b) = covered else {
            return Err(Error::usage(format!(
                "the box {} is empty; give west,south,east,north",
                self.bounds
            )));
        };
        // A box on a pixel's edge up to rounding does not take in the next pixel.
        const SNAP: f64 = 1e-6;
        let rect = Rect {
            x0: (b.west + SNAP).floor() as i64,
            y0: (b.south + SNAP).floor() as i64,
            x1: (b.east - SNAP).ceil() as i64,
            y1: (b.north - SNAP).ceil() as i64,
        };
        let inside = rect.intersect(&whole);
        if inside.is_empty() {
            return Err(self.outside(grid));
        }
        Ok(inside)
    }

    fn corner_points(&self) -> Vec<(f64, f64)> {
        let b = &self.bounds;
        vec![(b.west, b.south), (b.east, b.north)]
    }

    /// Pixel positions around the box's outline.
    fn corners_on(&self, georef: &Georef, epsg: u32) -> Result<Vec<(f64, f64)>> {
        if self.bounds.west >= self.bounds.east || self.bounds.south >= self.bounds.north {
            return Ok(Vec::new());
        }
        let world = self.bounds.outline_in(epsg, georef.epsg)?;
        Ok(world.into_iter().filter_map(|(x, y)| georef.transform.invert(x, y)).collect())
    }

    fn outside(&self, grid: &Grid) -> Error {
        let extent = match &grid.georef {
            None => format!("0,0,{},{} pixels", grid.width, grid.height),
            Some(georef) => {
                let epsg = self.epsg.unwrap_or(georef.epsg);
                match Bounds::of_grid(georef, grid.width, grid.height, epsg) {
                    Ok(bounds) => format!("{bounds} (EPSG:{epsg})"),
                    Err(_) => format!("outside the domain of EPSG:{epsg}"),
                }
            }
        };
        Error::usage(format!("the box {} lies outside the scene, which covers {extent}", self.bounds))
    }
}

/// A part of a grid.
pub fn crop(grid: &Grid, rect: &Rect) -> Grid {
    let georef = grid
        .georef
        .as_ref()
        .map(|g| Georef { epsg: g.epsg, transform: g.transform.at_pixel(rect.x0 as f64, rect.y0 as f64) });
    Grid { width: rect.width(), height: rect.height(), georef }
}
