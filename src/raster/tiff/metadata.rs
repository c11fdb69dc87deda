//! Names and nodata values of a TIFF's bands.

use roxmltree::Document;

use super::ifd::Directory;
use super::image::{photometric, Image};
use crate::raster::{BandInfo, Limits};

const GDAL_METADATA: u16 = 42112;
const GDAL_NODATA: u16 = 42113;

/// The bands (samples `bands` of a pixel): named by GDAL's metadata, by colour, or by number.
pub(super) fn bands(
    directory: &Directory,
    bytes: &[u8],
    image: &Image,
    bands: &[usize],
    limits: &Limits,
) -> Vec<BandInfo> {
    let nodata = directory.text(bytes, GDAL_NODATA).and_then(|t| t.parse::<f64>().ok());
    let xml = directory.text(bytes, GDAL_METADATA).filter(|t| t.len() <= limits.text_bytes);
    let mut names = xml.map(|xml| descriptions(&xml, image.samples)).unwrap_or_default();
    names.resize(image.samples, None);
    let colours = [photometric::RGB, photometric::YCBCR].contains(&image.photometric);
    bands
        .iter()
        .enumerate()
        .map(|(i, &sample)| {
            let colour = ["red", "green", "blue"].get(sample).filter(|_| colours);
            let name = names
                .get(sample)
                .cloned()
                .flatten()
                .or_else(|| colour.map(|c| (*c).to_owned()))
                .unwrap_or_else(|| (i + 1).to_string());
            BandInfo { name, nodata }
        })
        .collect()
}

/// `<Item name="DESCRIPTION" sample="0" role="description">B02</Item>`.
fn descriptions(xml: &str, samples: usize) -> Vec<Option<String>> {
    let mut names = vec![None; samples];
    let Ok(document) = Document::parse(xml) else { return names };
    for item in document.descendants().filter(|n| n.attribute("role") == Some("description")) {
        let sample = item.attribute("sample").and_then(|s| s.parse::<usize>().ok());
        if let (Some(slot), Some(text)) = (sample.and_then(|s| names.get_mut(s)), item.text()) {
            *slot = Some(text.to_owned());
        }
    }
    names
}
