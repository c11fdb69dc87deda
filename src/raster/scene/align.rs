//! Dates brought to one grid: which grid, which area, and how each date comes to it.

use super::date::Date;
use super::grid::crop;
use super::options::{Extent, SeriesOptions, Target};
use super::MercatorGrid;
use crate::error::{Error, Result};
use crate::raster::crs::{Bounds, WEB_MERCATOR};
use crate::raster::warp::Mapping;
use crate::raster::{Georef, Grid};
use crate::tile::Rect;

/// Sides of a grid over several dates.
const MAX_SIDE: i64 = 1 << 22;

/// The grid of a series.
///
/// # Errors
/// `Shape` when sizes or places of dates without georeferencing do not agree, or dates share no area;
/// `Unsupported` for coordinate systems that are not known; `Usage` for a window outside.
pub fn common_grid(dates: &[Date], options: &SeriesOptions) -> Result<Grid> {
    let reference = reference(dates)?;
    if reference.georef.is_none() {
        check_pixel_grids(dates)?;
    }
    let grid = match options.target {
        Target::Reference => extend(reference, dates, options.extent)?,
        Target::Mercator(kind) => mercator(kind, reference, dates, options.extent)?,
    };
    let Some(window) = &options.window else { return Ok(grid) };
    let mut rect = window.pixels(&grid)?;
    if options.target == Target::Mercator(MercatorGrid::Z17Lattice) {
        // The lattice is made of whole tiles, and so are its parts.
        rect = rect.scale_down_cover(32).scale_up(32);
    }
    Ok(crop(&grid, &rect))
}

/// The grid that most dates share, the earliest's where several are as common.
fn reference(dates: &[Date]) -> Result<&Grid> {
    let count = |grid: &Grid| dates.iter().filter(|d| same(&d.grid, grid)).count();
    let mut best: Option<(usize, &Grid)> = None;
    for date in dates {
        let n = count(&date.grid);
        if best.is_none_or(|(most, _)| n > most) {
            best = Some((n, &date.grid));
        }
    }
    best.map(|(_, grid)| grid).ok_or_else(|| Error::usage("no date to read"))
}

fn same(a: &Grid, b: &Grid) -> bool {
    let size = (a.width, a.height);
    size == (b.width, b.height)
        && matches!(
            Mapping::between(a.georef.as_ref(), size, b.georef.as_ref()),
            Ok(Mapping::Shift { dx: 0, dy: 0 })
        )
}

/// Without georeferencing every file must have the same size.
fn check_pixel_grids(dates: &[Date]) -> Result<()> {
    let files = || dates.iter().flat_map(|d| &d.files);
    if let Some(placed) = files().find(|f| f.georef.is_some()) {
        return Err(Error::shape(
            "this file is georeferenced and others are not; --crs and --transform supply what is missing",
        )
        .in_file(&placed.path));
    }
    let mut sizes: Vec<(usize, usize)> = files().map(|f| f.size()).collect();
    sizes.sort_unstable();
    sizes.dedup();
    if sizes.len() < 2 {
        return Ok(());
    }
    let describe = |f: &super::layer::LayerFile| {
        let (width, height) = f.size();
        format!("{} {width}×{height}", f.path.file_name().unwrap_or_default().to_string_lossy())
    };
    let listed: Vec<String> = files().take(12).map(describe).collect();
    Err(Error::shape(format!(
        "files without georeferencing have different sizes: {}; --crs and --transform say where they lie",
        listed.join(", ")
    )))
}

/// The reference grid grown or shrunk, by whole pixels, to what any or all dates cover.
fn extend(reference: &Grid, dates: &[Date], extent: Extent) -> Result<Grid> {
    let Some(georef) = reference.georef.as_ref().filter(|_| extent != Extent::Reference) else {
        return Ok(reference.clone());
    };
    let mut rect = Rect::of_size(reference.width, reference.height);
    for date in dates {
        let covered = pixels_of(date, georef, extent)?;
        rect = match extent {
            Extent::Union => Rect {
                x0: rect.x0.min(covered.x0),
                y0: rect.y0.min(covered.y0),
                x1: rect.x1.max(covered.x1),
                y1: rect.y1.max(covered.y1),
            },
            _ => rect.intersect(&covered),
        };
    }
    if rect.is_empty() {
        return Err(Error::shape("the dates share no area; give them apart, or --extent union"));
    }
    if rect.x1 - rect.x0 > MAX_SIDE || rect.y1 - rect.y0 > MAX_SIDE {
        return Err(Error::limit(format!(
            "all dates together cover {}×{} pixels, over {MAX_SIDE} a side; --bbox narrows the area",
            rect.width(),
            rect.height()
        )));
    }
    Ok(crop(reference, &rect))
}

/// A date's area in pixels of the reference grid: outwards for a union, inwards for an intersection.
fn pixels_of(date: &Date, georef: &Georef, extent: Extent) -> Result<Rect> {
    let own = placed(date)?;
    let world = Bounds::of_grid(own, date.grid.width, date.grid.height, georef.epsg)?;
    let corners = [
        (world.west, world.south),
        (world.east, world.north),
        (world.west, world.north),
        (world.east, world.south),
    ];
    let pixels: Vec<(f64, f64)> =
        corners.iter().filter_map(|&(x, y)| georef.transform.invert(x, y)).collect();
    let b = Bounds::around(&pixels).ok_or_else(|| Error::format("a grid with a singular transform"))?;
    // Edges that meet up to rounding do not cost a pixel.
    const SNAP: f64 = 1e-3;
    let inwards = extent == Extent::Intersection;
    let limit = |v: f64| v.clamp(-1e12, 1e12) as i64;
    let low = |v: f64| limit(if inwards { (v - SNAP).ceil() } else { (v + SNAP).floor() });
    let high = |v: f64| limit(if inwards { (v + SNAP).floor() } else { (v - SNAP).ceil() });
    Ok(Rect { x0: low(b.west), y0: low(b.south), x1: high(b.east), y1: high(b.north) })
}

fn placed(date: &Date) -> Result<&Georef> {
    date.grid.georef.as_ref().ok_or_else(|| {
        let error =
            Error::shape("this date has no georeferencing and others have; --crs and --transform supply it")
                .while_doing(format!("date {}", date.label));
        match date.files.first() {
            Some(file) => error.in_file(&file.path),
            None => error,
        }
    })
}

fn mercator(kind: MercatorGrid, reference: &Grid, dates: &[Date], extent: Extent) -> Result<Grid> {
    let Some(georef) = &reference.georef else {
        return Err(Error::usage(
            "files without georeferencing cannot be reprojected; --crs and --transform supply it",
        ));
    };
    let mut area = Bounds::of_grid(georef, reference.width, reference.height, WEB_MERCATOR)?;
    if extent != Extent::Reference {
        for date in dates {
            let b = Bounds::of_grid(placed(date)?, date.grid.width, date.grid.height, WEB_MERCATOR)?;
            area = match extent {
                Extent::Union => Bounds {
                    west: area.west.min(b.west),
                    south: area.south.min(b.south),
                    east: area.east.max(b.east),
                    north: area.north.max(b.north),
                },
                _ => Bounds {
                    west: area.west.max(b.west),
                    south: area.south.max(b.south),
                    east: area.east.min(b.east),
                    north: area.north.min(b.north),
                },
            };
        }
        if area.west >= area.east || area.south >= area.north {
            return Err(Error::shape("the dates share no area; give them apart, or --extent union"));
        }
    }
    kind.covering(&area)
}
