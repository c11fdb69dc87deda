//! The image files of a product, and how windows of them are recorded.

use super::schedule::Pass;
use super::sensor::{halo, observe, tci, Raster, Survey};
use super::spectra::{BANDS, BAND_METRES, RGB};
use crate::tile::Rect;

/// One image file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layer {
    /// `TCI`, `B02`, …
    pub name: &'static str,
    /// Pixel size.
    pub metres: u32,
    /// The band, an index into `spectra::BANDS`; `None` for the true-colour image.
    band: Option<usize>,
}

impl Layer {
    /// The files of a product: the true-colour image, and the 13 bands where wanted.
    pub fn of_product(all_bands: bool) -> Vec<Self> {
        let colour = Self { name: "TCI", metres: 10, band: None };
        let bands = BANDS.iter().zip(BAND_METRES).enumerate();
        let bands = bands.map(|(band, (&name, metres))| Self { name, metres, band: Some(band) });
        bands.filter(|_| all_bands).chain([colour]).collect()
    }

    /// Channels of the file.
    pub fn components(&self) -> usize {
        if self.band.is_none() {
            3
        } else {
            1
        }
    }

    /// Bits of a sample that carry information: ESA's 16-bit files declare 15.
    pub fn precision(&self) -> u8 {
        if self.band.is_none() {
            8
        } else {
            15
        }
    }

    /// Bytes of one pixel.
    pub fn pixel_bytes(&self) -> usize {
        if self.band.is_none() {
            3
        } else {
            2
        }
    }

    /// Pixels of 10 m in one of this file's.
    pub fn ratio(&self) -> usize {
        self.metres as usize / 10
    }
}

/// Pixels of 2.5 m that a block's survey needs around it.
pub fn block_halo(layers: &[Layer]) -> i64 {
    layers.iter().map(|layer| halo(layer.metres)).max().unwrap_or(0)
}

/// Records a block (pixels of 10 m, aligned to 60 m) of every layer: little-endian bytes, pixel by pixel.
pub fn record(survey: &Survey, pass: &Pass, layers: &[Layer], size: usize, block: Rect) -> Vec<Vec<u8>> {
    let (x, y) = pass.georef.transform.apply(0.0, 0.0);
    let raster = |metres: u32| Raster {
        origin: (x, y),
        metres,
        width: size * 10 / metres as usize,
        rect: block.scale_down_cover(i64::from(metres / 10)),
    };
    let offset = f32::from(pass.offset());
    let digital = |plane: &Vec<f32>| plane.iter().flat_map(|&v| number(v, offset).to_le_bytes()).collect();
    let record_one = |layer: &Layer| match layer.band {
        None => {
            let [r, g, b] = observe(survey, &raster(10), &pass.acquisition, &RGB);
            let pixels = r.iter().zip(&g).zip(&b);
            pixels.flat_map(|((&r, &g), &b)| [r, g, b]).map(|v| if v.is_nan() { 0 } else { tci(v) }).collect()
        }
        Some(band) => {
            let [plane] = observe(survey, &raster(layer.metres), &pass.acquisition, &[band]);
            digital(&plane)
        }
    };
    layers.iter().map(record_one).collect()
}

/// Digital number of a reflectance: 1 to 32 767 (what 15 bits hold), 0 for no data.
fn number(reflectance: f32, offset: f32) -> u16 {
    if reflectance.is_nan() {
        return 0;
    }
    (reflectance * 10_000.0 + offset).round().clamp(1.0, 32_767.0) as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_changes_numbers_not_reflectance() {
        let (before, after) = (number(0.1234, 0.0), number(0.1234, 1000.0));
        assert_eq!((before, after), (1234, 2234));
        assert_eq!((number(f32::NAN, 1000.0), number(-0.5, 0.0), number(9.0, 0.0)), (0, 1, 32_767));
    }

    #[test]
    fn a_product_has_its_bands_at_their_pixel_sizes() {
        let layers = Layer::of_product(true);
        assert_eq!(layers.len(), 14);
        let count = |metres| layers.iter().filter(|l| l.metres == metres).count();
        assert_eq!((count(10), count(20), count(60)), (5, 6, 3));
    }
}
