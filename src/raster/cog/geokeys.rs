//! Georeferencing tags: GeoKeys (OGC 19-008r4, GeoTIFF 1.1) and the pixel-to-world mapping.

use super::ifd::{Ifd, Value};
use crate::raster::Georef;

const MODEL_PIXEL_SCALE: u16 = 33550;
const MODEL_TIEPOINT: u16 = 33922;
const MODEL_TRANSFORMATION: u16 = 34264;
const GEO_KEY_DIRECTORY: u16 = 34735;

const GT_MODEL_TYPE: u16 = 1024;
const GT_RASTER_TYPE: u16 = 1025;
const GEODETIC_CRS: u16 = 2048;
const PROJECTED_CRS: u16 = 3072;

/// Adds the georeferencing tags to a directory. The EPSG code must fit 16 bits.
pub(super) fn add(ifd: &mut Ifd, georef: &Georef) {
    let t = georef.transform.0;
    if t[2] == 0.0 && t[4] == 0.0 && t[1] > 0.0 && t[5] < 0.0 {
        ifd.set(MODEL_PIXEL_SCALE, Value::Double(vec![t[1], -t[5], 0.0]));
        ifd.set(MODEL_TIEPOINT, Value::Double(vec![0.0, 0.0, 0.0, t[0], t[3], 0.0]));
    } else {
        let rows = [[t[1], t[2], 0.0, t[0]], [t[4], t[5], 0.0, t[3]], [0.0; 4], [0.0, 0.0, 0.0, 1.0]];
        ifd.set(MODEL_TRANSFORMATION, Value::Double(rows.concat()));
    }
    ifd.set(GEO_KEY_DIRECTORY, Value::Short(directory(georef.epsg as u16)));
}

/// Version 1.1.0, then (key, in place, one value, value) in key order.
fn directory(epsg: u16) -> Vec<u16> {
    const PIXEL_IS_AREA: u16 = 1;
    let (model, crs) = if is_geographic(epsg) { (2, GEODETIC_CRS) } else { (1, PROJECTED_CRS) };
    let keys = [[GT_MODEL_TYPE, 0, 1, model], [GT_RASTER_TYPE, 0, 1, PIXEL_IS_AREA], [crs, 0, 1, epsg]];
    [&[1, 1, 0, keys.len() as u16], keys.concat().as_slice()].concat()
}

/// Whether a code means longitude and latitude. Only the geographic systems that imagery is delivered
/// in are listed; the EPSG register mixes both kinds in the 4000s.
fn is_geographic(epsg: u16) -> bool {
    const NAMES: [u16; 12] = [
        4326, // WGS 84
        4258, // ETRS89
        4269, // NAD83
        4267, // NAD27
        4283, // GDA94
        7844, // GDA2020
        4490, // CGCS2000
        4674, // SIRGAS 2000
        4612, // JGD2000
        6668, // JGD2011
        6318, // NAD83(2011)
        9057, // WGS 84 (G1762)
    ];
    NAMES.contains(&epsg)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raster::GeoTransform;

    #[test]
    fn keys_of_a_zone_and_of_degrees() {
        assert_eq!(directory(32629), [1, 1, 0, 3, 1024, 0, 1, 1, 1025, 0, 1, 1, 3072, 0, 1, 32629]);
        assert_eq!(directory(4326)[4..8], [1024, 0, 1, 2]);
        assert_eq!(directory(4326)[12..], [2048, 0, 1, 4326]);
    }

    #[test]
    fn rotation_needs_the_matrix() {
        let mut ifd = Ifd::default();
        add(&mut ifd, &Georef { epsg: 32629, transform: GeoTransform([5.0, 2.0, 0.5, 9.0, 0.25, -2.0]) });
        let matrix = [2.0, 0.5, 0.0, 5.0, 0.25, -2.0, 0.0, 9.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0];
        assert_eq!(ifd.get(MODEL_TRANSFORMATION), Some(&Value::Double(matrix.to_vec())));
        assert_eq!(ifd.get(MODEL_PIXEL_SCALE), None);
    }
}
