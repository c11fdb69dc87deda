//! Geometries of a layer in longitude and latitude on WGS 84, as RFC 7946 wants them: edges as they run in the
//! layer's system, rings by the right-hand rule, polygons cut where they cross the antimeridian.

use super::antimeridian::cut;
use super::ring::orient;
use super::{Geometry, Ring};
use crate::error::{Error, Result};
use crate::raster::crs::{self, PointTransform};

/// How far, in degrees, an edge that is straight in the layer's system may lie from the written one: 0.1 m.
/// Points are added to edges where it would be more.
const BEND: f64 = 1e-6;
/// Halvings of an edge at most.
const HALVINGS: usize = 12;

/// Carries geometries of one layer to longitude and latitude.
#[derive(Debug)]
pub(super) struct ToLonLat {
    transform: PointTransform,
    /// Whether the layer's coordinates are degrees, whose edges stay as they are.
    degrees: bool,
    epsg: u32,
}

impl ToLonLat {
    /// # Errors
    /// `Unsupported` when the system is not known.
    pub fn new(epsg: u32) -> Result<Self> {
        Ok(Self { transform: PointTransform::new(epsg, crs::WGS84)?, degrees: crs::is_degrees(epsg), epsg })
    }

    /// The geometry in degrees; a polygon across the antimeridian becomes several.
    ///
    /// # Errors
    /// `Unsupported` for places outside the system's domain and polygons around a pole.
    pub fn geometry(&self, geometry: &Geometry) -> Result<Geometry> {
        if let Geometry::Point(point) = geometry {
            let [lon, lat] = self.point(*point)?;
            return Ok(Geometry::Point([within_turn(lon), lat]));
        }
        let mut all = Vec::new();
        for rings in geometry.polygons() {
            let mut near = None;
            let mut turned = Vec::with_capacity(rings.len());
            for ring in rings {
                let ring = self.ring(ring, near)?;
                near = near.or(ring.first().map(|p| p[0]));
                turned.push(ring);
            }
            orient(&mut turned);
            all.extend(cut(turned)?);
        }
        Ok(match <[_; 1]>::try_from(all) {
            Ok([rings]) => Geometry::Polygon(rings),
            Err(all) => Geometry::MultiPolygon(all),
        })
    }

    fn point(&self, [x, y]: [f64; 2]) -> Result<[f64; 2]> {
        let found = self.transform.point(x, y).filter(|(lon, lat)| lon.abs() <= 720.0 && lat.abs() <= 90.0);
        found.map(|(lon, lat)| [lon, lat]).ok_or_else(|| {
            Error::unsupported(format!(
                "the place {x},{y} in EPSG:{} has no longitude and latitude",
                self.epsg
            ))
        })
    }

    /// A ring in degrees, its longitudes without jumps, beginning within half a turn of `near`.
    fn ring(&self, ring: &Ring, near: Option<f64>) -> Result<Ring> {
        if self.degrees {
            return ring.iter().map(|p| self.point(*p)).collect();
        }
        let Some(first) = ring.first() else { return Ok(Vec::new()) };
        let mut at = self.point(*first)?;
        at[0] = unwrapped(at[0], near.unwrap_or(at[0]));
        let start = at;
        let mut out = vec![at];
        for edge in ring.windows(2) {
            let [from, to] = *edge else { continue };
            let mut end = self.point(to)?;
            end[0] = unwrapped(end[0], at[0]);
            self.bend((from, at), (to, end), HALVINGS, &mut out)?;
            at = end;
        }
        match (at[0] - start[0]).abs() < 180.0 {
            true => Ok(out),
            false => Err(Error::unsupported("a polygon around a pole has no ring in longitude and latitude")),
        }
    }

    /// Adds the end of an edge, and before it the points it needs to keep its course.
    fn bend(
        &self,
        (a, from): ([f64; 2], [f64; 2]),
        (b, to): ([f64; 2], [f64; 2]),
        halvings: usize,
        out: &mut Ring,
    ) -> Result<()> {
        let half = |p: [f64; 2], q: [f64; 2]| [(p[0] + q[0]) / 2.0, (p[1] + q[1]) / 2.0];
        let (middle, straight) = (half(a, b), half(from, to));
        let mut true_middle = self.point(middle)?;
        true_middle[0] = unwrapped(true_middle[0], straight[0]);
        let off = |axis: usize| (true_middle[axis] - straight[axis]).abs() > BEND;
        if halvings == 0 || !(off(0) || off(1)) {
            out.push(to);
            return Ok(());
        }
        self.bend((a, from), (middle, true_middle), halvings - 1, out)?;
        self.bend((middle, true_middle), (b, to), halvings - 1, out)
    }
}

/// The longitude that means the same and lies within half a turn of `near`.
fn unwrapped(lon: f64, near: f64) -> f64 {
    lon - 360.0 * ((lon - near) / 360.0).round()
}

/// The longitude between -180 and 180 that means the same.
fn within_turn(lon: f64) -> f64 {
    match lon.abs() <= 180.0 {
        true => lon,
        false => unwrapped(lon, 0.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_edges_keep_their_course_and_short_ones_their_points() {
        let to = ToLonLat::new(32633).unwrap();
        let side = |metres: f64| {
            let shape = Geometry::rectangle(300000.0, 6600000.0, 300000.0 + metres, 6600000.0 + metres);
            to.geometry(&shape).unwrap().points().count()
        };
        assert_eq!(side(400.0), 5);
        assert!(side(100_000.0) > 100);
        // The true middle of the southern edge lies on the written one.
        let shape = to.geometry(&Geometry::rectangle(3e5, 6.6e6, 4e5, 6.7e6)).unwrap();
        let (lon, lat) = PointTransform::new(32633, 4326).unwrap().point(3.37e5, 6.6e6).unwrap();
        let points: Vec<_> = shape.points().collect();
        let off = points.windows(2).filter(|e| (e[0][0] <= lon) && (lon < e[1][0])).map(|e| {
            let t = (lon - e[0][0]) / (e[1][0] - e[0][0]);
            (e[0][1] + t * (e[1][1] - e[0][1]) - lat).abs()
        });
        assert!(off.fold(f64::INFINITY, f64::min) < 2.0 * BEND);
    }

    #[test]
    fn longitudes_go_on_across_the_antimeridian_and_around_no_pole() {
        assert_eq!(unwrapped(-179.0, 179.0), 181.0);
        assert_eq!(unwrapped(10.0, 5.0), 10.0);
        assert_eq!(within_turn(181.0), -179.0);
        let to = ToLonLat::new(32660).unwrap();
        let shape = to.geometry(&Geometry::rectangle(6.5e5, 6e6, 7.5e5, 6.1e6)).unwrap();
        assert!(matches!(shape, Geometry::MultiPolygon(parts) if parts.len() == 2));
        assert!(ToLonLat::new(27700).is_err());
        assert!(ToLonLat::new(4326).unwrap().geometry(&Geometry::Point([0.0, 91.0])).is_err());
    }
}
