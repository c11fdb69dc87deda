//! GeoTIFF tags (OGC 19-008r4) to a place on the earth. Also used for the GeoTIFF inside JP2 files.

use super::tiff::ifd::{self, Directory};
use super::{GeoTransform, Georef};

const MODEL_PIXEL_SCALE: u16 = 33550;
const MODEL_TIEPOINT: u16 = 33922;
const MODEL_TRANSFORMATION: u16 = 34264;
const GEO_KEY_DIRECTORY: u16 = 34735;

const GT_RASTER_TYPE: u16 = 1025;
const GEOGRAPHIC_TYPE: u16 = 2048;
const PROJECTED_CS_TYPE: u16 = 3072;

const PIXEL_IS_POINT: u16 = 2;
/// Codes from here on are not EPSG's (32767 is "user-defined").
const USER_DEFINED: u16 = 32767;

/// The georeferencing of a directory; `None` without a transform or without an EPSG code.
pub(super) fn georef(directory: &Directory, bytes: &[u8]) -> Option<Georef> {
    let keys = directory.numbers(bytes, GEO_KEY_DIRECTORY)?;
    let code = |key| short_key(&keys, key).filter(|c| *c != 0 && *c < USER_DEFINED);
    let epsg = code(PROJECTED_CS_TYPE).or_else(|| code(GEOGRAPHIC_TYPE))?;
    let transform = transform(directory, bytes)?;
    let point = short_key(&keys, GT_RASTER_TYPE) == Some(PIXEL_IS_POINT);
    let transform = if point { transform.at_pixel(-0.5, -0.5) } else { transform };
    Some(Georef { epsg: u32::from(epsg), transform })
}

/// The georeferencing of the GeoTIFF that a GeoJP2 box holds.
pub(super) fn georef_of_geojp2(tiff: &[u8]) -> Option<Georef> {
    georef(ifd::directories(tiff).ok()?.first()?, tiff)
}

/// A key whose value is in the key directory itself.
fn short_key(keys: &[u64], wanted: u16) -> Option<u16> {
    keys.chunks_exact(4).skip(1).find_map(|key| match key {
        [id, 0, 1, value] if *id == u64::from(wanted) => u16::try_from(*value).ok(),
        _ => None,
    })
}

fn transform(directory: &Directory, bytes: &[u8]) -> Option<GeoTransform> {
    let finite = |t: GeoTransform| t.0.iter().all(|v| v.is_finite()).then_some(t);
    if let Some(m) = directory.floats(bytes, MODEL_TRANSFORMATION) {
        if let [a, b, _, x, d, e, _, y, ..] = *m.as_slice() {
            return finite(GeoTransform([x, a, b, y, d, e]));
        }
    }
    let scale = directory.floats(bytes, MODEL_PIXEL_SCALE)?;
    let tie = directory.floats(bytes, MODEL_TIEPOINT)?;
    let ([dx, dy, ..], [col, row, _, x, y, _, ..]) = (scale.as_slice(), tie.as_slice()) else { return None };
    finite(GeoTransform::north_up(x - col * dx, y + row * dy, *dx, -dy))
}
