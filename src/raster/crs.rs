//! Coordinate systems by EPSG code, and points carried from one to another.
//!
//! Coordinates are in the order people and GeoTIFFs use: x = easting or longitude, y = northing or
//! latitude; degrees, never radians. The systems known are those scenes come in; ETRS89 and NAD83 are
//! taken as WGS 84, as PROJ's default transformation does (they differ by less than two metres).

use proj4rs::errors::Result as ProjResult;
use proj4rs::transform::{transform, Transform, TransformClosure};
use proj4rs::Proj;

use super::{GeoTransform, Georef};
use crate::error::{Error, Result};

/// EPSG code of longitude and latitude on WGS 84.
pub const WGS84: u32 = 4326;
/// EPSG code of Web Mercator.
pub const WEB_MERCATOR: u32 = 3857;

/// Definition of an EPSG code in PROJ's language.
fn definition(epsg: u32) -> Option<String> {
    let utm = |zone: u32, tail: &str| Some(format!("+proj=utm +zone={zone} {tail} +units=m +no_defs"));
    const GRS80: &str = "+ellps=GRS80 +towgs84=0,0,0,0,0,0,0";
    match epsg {
        WGS84 => Some("+proj=longlat +datum=WGS84 +no_defs".into()),
        4258 | 4269 => Some(format!("+proj=longlat {GRS80} +no_defs")),
        WEB_MERCATOR => Some("+proj=webmerc +datum=WGS84 +units=m +no_defs".into()),
        3035 => Some(format!(
            "+proj=laea +lat_0=52 +lon_0=10 +x_0=4321000 +y_0=3210000 {GRS80} +units=m +no_defs"
        )),
        2154 => Some(format!(
            "+proj=lcc +lat_0=46.5 +lon_0=3 +lat_1=49 +lat_2=44 +x_0=700000 +y_0=6600000 {GRS80} \
             +units=m +no_defs"
        )),
        32601..=32660 => utm(epsg - 32600, "+datum=WGS84"),
        32701..=32760 => utm(epsg - 32700, "+south +datum=WGS84"),
        25828..=25838 => utm(epsg - 25800, GRS80),
        26901..=26923 => utm(epsg - 26900, GRS80),
        _ => None,
    }
}

/// Whether points of this system can be transformed.
pub fn is_known(epsg: u32) -> bool {
    definition(epsg).is_some()
}

/// Whether coordinates of this system are longitude and latitude.
pub fn is_degrees(epsg: u32) -> bool {
    matches!(epsg, WGS84 | 4258 | 4269)
}

/// Reads `EPSG:32629`, `epsg:32629` or `32629`.
///
/// # Errors
/// `Usage` when the text is no code, `Unsupported` when the system is not known.
pub fn parse(text: &str) -> Result<u32> {
    let text = text.trim();
    let digits = match text.split_at_checked(5) {
        Some((prefix, rest)) if prefix.eq_ignore_ascii_case("epsg:") => rest,
        _ => text,
    };
    let epsg = digits.parse().map_err(|_| {
        Error::usage(format!("{text:?} is no coordinate system; give its code as EPSG:32629"))
    })?;
    projection(epsg)?;
    Ok(epsg)
}

fn projection(epsg: u32) -> Result<Proj> {
    let definition = definition(epsg).ok_or_else(|| {
        Error::unsupported(format!(
            "coordinate system EPSG:{epsg} is not known here; UTM (326xx, 327xx, 258xx, 269xx), 3857, 4326, \
             4258, 4269, 3035 and 2154 are; reproject the file first or give --crs"
        ))
    })?;
    Proj::from_proj_string(&definition)
        .map_err(|e| Error::unsupported(format!("coordinate system EPSG:{epsg}: {e}")))
}

/// Carries points from one coordinate system to another. Shared between threads.
#[derive(Debug, Clone)]
pub struct PointTransform {
    ends: Option<Box<(Proj, Proj)>>,
}

impl PointTransform {
    /// A transform from one EPSG code to another.
    ///
    /// # Errors
    /// `Unsupported` when either system is not known; equal codes need not be known.
    pub fn new(from: u32, to: u32) -> Result<Self> {
        if from == to {
            return Ok(Self { ends: None });
        }
        Ok(Self { ends: Some(Box::new((projection(from)?, projection(to)?))) })
    }

    /// Whether points stay as they are.
    pub fn is_identity(&self) -> bool {
        self.ends.is_none()
    }

    /// Transforms every point in place. Points outside a projection's domain become NaN.
    pub fn apply(&self, points: &mut [(f64, f64)]) {
        let Some(ends) = &self.ends else { return };
        let (from, to) = ends.as_ref();
        scale(points, from.is_latlong(), f64::to_radians);
        if transform(from, to, &mut Points(points)).is_err() {
            points.fill((f64::NAN, f64::NAN));
        }
        scale(points, to.is_latlong(), f64::to_degrees);
    }

    /// Transforms one point; `None` outside a projection's domain.
    pub fn point(&self, x: f64, y: f64) -> Option<(f64, f64)> {
        let mut point = [(x, y)];
        self.apply(&mut point);
        let [(x, y)] = point;
        (x.is_finite() && y.is_finite()).then_some((x, y))
    }
}

fn scale(points: &mut [(f64, f64)], wanted: bool, convert: fn(f64) -> f64) {
    if wanted {
        points.iter_mut().for_each(|p| *p = (convert(p.0), convert(p.1)));
    }
}

struct Points<'a>(&'a mut [(f64, f64)]);

impl Transform for Points<'_> {
    fn transform_coordinates<F: TransformClosure>(&mut self, f: &mut F) -> ProjResult<()> {
        for point in self.0.iter_mut() {
            *point = match f(point.0, point.1, 0.0) {
                Ok((x, y, _)) if x.is_finite() && y.is_finite() => (x, y),
                _ => (f64::NAN, f64::NAN),
            };
        }
        Ok(())
    }
}

/// An axis-parallel box in some coordinate system.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds {
    /// Smallest x.
    pub west: f64,
    /// Smallest y.
    pub south: f64,
    /// Largest x.
    pub east: f64,
    /// Largest y.
    pub north: f64,
}

impl Bounds {
    /// The box around points; `None` when no point is finite.
    pub fn around(points: &[(f64, f64)]) -> Option<Self> {
        let mut finite = points.iter().filter(|p| p.0.is_finite() && p.1.is_finite());
        let first = finite.next()?;
        let start = Self { west: first.0, south: first.1, east: first.0, north: first.1 };
        Some(finite.fold(start, |b, p| Self {
            west: b.west.min(p.0),
            south: b.south.min(p.1),
            east: b.east.max(p.0),
            north: b.north.max(p.1),
        }))
    }

    /// The box around a `width` by `height` grid, in another coordinate system. Edges are sampled at 32
    /// places each, because straight edges bend in another projection.
    ///
    /// # Errors
    /// `Unsupported` when a system is not known or the grid lies outside the other one's domain.
    pub fn of_grid(georef: &Georef, width: usize, height: usize, epsg: u32) -> Result<Self> {
        let mut points = outline(&georef.transform, width as f64, height as f64);
        PointTransform::new(georef.epsg, epsg)?.apply(&mut points);
        Self::around(&points).ok_or_else(|| out_of_domain(georef.epsg, epsg))
    }

    /// This box, given in system `from`, as a box in system `to`.
    ///
    /// # Errors
    /// As [`Bounds::of_grid`].
    pub fn transformed(&self, from: u32, to: u32) -> Result<Self> {
        Self::around(&self.outline_in(from, to)?).ok_or_else(|| out_of_domain(from, to))
    }

    /// Points along the edges of this box, given in system `from`, in system `to`.
    ///
    /// # Errors
    /// `Unsupported` when a system is not known.
    pub fn outline_in(&self, from: u32, to: u32) -> Result<Vec<(f64, f64)>> {
        let (dx, dy) = (self.east - self.west, self.north - self.south);
        let mut points = outline(&GeoTransform([self.west, dx, 0.0, self.south, 0.0, dy]), 1.0, 1.0);
        PointTransform::new(from, to)?.apply(&mut points);
        Ok(points)
    }
}

fn out_of_domain(from: u32, to: u32) -> Error {
    Error::unsupported(format!("an area given in EPSG:{from} lies outside the domain of EPSG:{to}"))
}

/// Points along the four edges of a `width` by `height` grid.
fn outline(transform: &GeoTransform, width: f64, height: f64) -> Vec<(f64, f64)> {
    const STEPS: usize = 32;
    (0..=STEPS)
        .flat_map(|i| {
            let t = i as f64 / STEPS as f64;
            [(t * width, 0.0), (t * width, height), (0.0, t * height), (width, t * height)]
        })
        .map(|(col, row)| transform.apply(col, row))
        .collect()
}

impl std::fmt::Display for Bounds {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { west, south, east, north } = *self;
        // Degrees need more decimals than metres.
        let digits = if west.abs().max(east.abs()) <= 360.0 { 5 } else { 1 };
        write!(f, "{west:.digits$},{south:.digits$},{east:.digits$},{north:.digits$}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: Option<(f64, f64)>, want: (f64, f64), tolerance: f64) {
        let got = got.unwrap();
        assert!((got.0 - want.0).abs() < tolerance && (got.1 - want.1).abs() < tolerance, "{got:?} {want:?}");
    }

    // Expected values: PROJ 9 (pyproj, always_xy).
    #[test]
    fn points_agree_with_proj() {
        let t = |from, to| PointTransform::new(from, to).unwrap();
        close(t(4326, 32631).point(3.5, 48.25), (537117.1419353788, 5344208.122024585), 1e-4);
        close(t(4326, 32736).point(33.1, -0.9), (511126.1384002141, 9900522.723838568), 1e-4);
        close(t(32629, 3857).point(254880.0, 2745120.0), (-1271796.631030427, 2851355.342502476), 1e-4);
        close(t(32631, 32632).point(699960.0, 5400000.0), (258684.89668645698, 5401628.77618496), 1e-4);
        close(
            t(3857, 32631).point(182472.32694714222, 6231769.2881270945),
            (399960.8182117118, 5400045.815384508),
            1e-4,
        );
        close(t(32660, 3857).point(500123.0, 7400321.0), (19703860.346968587, 10077130.990350097), 1e-4);
        close(t(25832, 4326).point(412345.0, 5654321.0), (7.749884659409977, 51.03374474550673), 1e-9);
        close(t(4326, 3035).point(8.25, 47.125), (4188118.9234693544, 2669506.893512234), 1e-4);
        close(t(4326, 2154).point(1.5, 44.0), (579697.9460549098, 6323475.824794903), 1e-4);
        close(t(26910, 4326).point(550000.0, 4180000.0), (-122.43230834782045, 37.76595983673255), 1e-9);
    }

    #[test]
    fn there_and_back_again() {
        for epsg in [32601, 32660, 32733, 3857, 3035, 2154, 25832, 26910] {
            let lon = match epsg {
                32601 => -177.0,
                32660 => 176.0,
                32733 => 15.5,
                26910 => -122.0,
                _ => 8.25,
            };
            let lat = if epsg == 32733 { -33.3 } else { 47.125 };
            let (x, y) = PointTransform::new(WGS84, epsg).unwrap().point(lon, lat).unwrap();
            close(PointTransform::new(epsg, WGS84).unwrap().point(x, y), (lon, lat), 1e-9);
        }
    }

    #[test]
    fn outside_the_domain_is_nan_and_others_survive() {
        let mut points = [(3.0, 48.0), (3.0, 90.0), (4.0, 48.0)];
        PointTransform::new(WGS84, WEB_MERCATOR).unwrap().apply(&mut points);
        assert!(points[0].0.is_finite() && points[1].1.is_nan() && points[2].0.is_finite());
    }

    #[test]
    fn codes_are_parsed_and_unknown_ones_named() {
        assert_eq!(parse("EPSG:32629").unwrap(), 32629);
        assert_eq!(parse(" epsg:4326 ").unwrap(), 4326);
        assert_eq!(parse("3857").unwrap(), 3857);
        assert!(parse("UTM 29").unwrap_err().to_string().contains("EPSG:32629"));
        assert!(parse("EPSG:27700").unwrap_err().to_string().contains("27700"));
        assert!(parse("é").is_err());
        assert!(PointTransform::new(99999, 99999).unwrap().is_identity());
    }

    #[test]
    fn a_box_keeps_its_bulge() {
        // The northern edge of a box in degrees is curved in UTM: its middle lies below its corners.
        let degrees = Bounds { west: 0.0, south: 47.0, east: 6.0, north: 48.0 };
        let utm = degrees.transformed(WGS84, 32631).unwrap();
        let middle = PointTransform::new(WGS84, 32631).unwrap().point(3.0, 47.0).unwrap();
        assert!((utm.south - middle.1).abs() < 1e-6);
        assert!(utm.to_string().starts_with("27"));
    }
}
