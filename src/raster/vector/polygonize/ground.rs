//! The area of pixels on the ground, on the WGS 84 ellipsoid, whatever the projection does to it.

use super::Region;
use crate::error::{Error, Result};
use crate::raster::crs::{PointTransform, WGS84};
use crate::raster::Georef;

/// The ellipsoid's equatorial radius in metres, and its squared eccentricity.
const RADIUS: f64 = 6_378_137.0;
const ECCENTRICITY2: f64 = 0.006_694_379_990_14;

/// Area of a region's pixels in square metres: their number times the area of the pixel at its centroid.
///
/// # Errors
/// `Unsupported` when the coordinate system is not known or the region lies outside its domain.
pub fn square_metres(region: &Region, georef: &Georef) -> Result<f64> {
    let to_lonlat = PointTransform::new(georef.epsg, WGS84)?;
    let [column, row] = region.centroid;
    let place = |dx: f64, dy: f64| {
        let (x, y) = georef.transform.apply(column + dx, row + dy);
        to_lonlat.point(x, y).ok_or_else(|| {
            Error::unsupported(format!(
                "the place {x},{y} in EPSG:{} has no longitude and latitude",
                georef.epsg
            ))
        })
    };
    let latitude = place(0.0, 0.0)?.1.to_radians();
    let flattening = 1.0 - ECCENTRICITY2 * latitude.sin().powi(2);
    // Metres a degree: on the parallel, and on the meridian.
    let east = (RADIUS / flattening.sqrt() * latitude.cos()).to_radians();
    let north = (RADIUS * (1.0 - ECCENTRICITY2) / flattening.powf(1.5)).to_radians();
    let side = |from: (f64, f64), to: (f64, f64)| {
        let turn = (to.0 - from.0) - 360.0 * ((to.0 - from.0) / 360.0).round();
        [turn * east, (to.1 - from.1) * north]
    };
    let across = side(place(-0.5, 0.0)?, place(0.5, 0.0)?);
    let down = side(place(0.0, -0.5)?, place(0.0, 0.5)?);
    Ok((across[0] * down[1] - across[1] * down[0]).abs() * region.pixels as f64)
}
