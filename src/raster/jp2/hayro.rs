//! Decoding with hayro-jpeg2000. The crate is safe Rust, but may panic on hostile data.

use hayro_jpeg2000::{ComponentData, DecodeSettings, DecoderContext, Image};

use super::Layout;
use crate::error::{Error, Result};
use crate::raster::guard::guarded;
use crate::raster::Samples;

/// Decodes a codestream of some tiles at `level` halvings, to the size `layout` says.
pub(super) fn decode(codestream: &[u8], level: u8, layout: &Layout) -> Result<(Samples, Option<Vec<u8>>)> {
    guarded("hayro-jpeg2000", || decode_inner(codestream, level, layout)).map_err(|e| {
        Error::new(e.kind(), format!("{e}; --jp2-decoder openjpeg decodes with OpenJPEG instead"))
    })
}

fn decode_inner(codestream: &[u8], level: u8, layout: &Layout) -> Result<(Samples, Option<Vec<u8>>)> {
    let failed = |e: hayro_jpeg2000::DecodeError| Error::format(format!("damaged JPEG 2000 data ({e})"));
    // A target of the size halved `level` times makes the decoder leave out exactly `level` resolutions.
    let target = |full: usize| u32::try_from((full >> level).max(1)).unwrap_or(u32::MAX);
    let settings = DecodeSettings {
        resolve_palette_indices: false,
        strict: true,
        target_resolution: (level > 0).then(|| (target(layout.full.0), target(layout.full.1))),
    };
    let image = Image::new(codestream, &settings).map_err(failed)?;
    let size = (image.width() as usize, image.height() as usize);
    if size != layout.size {
        return Err(Error::unsupported(format!(
            "the decoder delivers {}x{} pixels of a JPEG 2000 block of {}x{}",
            size.0, size.1, layout.size.0, layout.size.1
        )));
    }
    let mut context = DecoderContext::default();
    let decoded = image.decode(&mut context).map_err(failed)?;
    let pixels = size.0 * size.1;
    let components = decoded.components();
    if components.len() != layout.components.len() || components.iter().any(|c| c.samples().len() < pixels) {
        return Err(Error::format("the JPEG 2000 decoder delivers other components than the header says"));
    }
    if layout.alpha.is_none() && layout.components.iter().all(|c| c.precision == 8 && !c.signed) {
        return Ok((Samples::U8(decoded.data_u8()), None));
    }
    Ok(interleave(components, layout, pixels))
}

fn interleave(components: &[ComponentData], layout: &Layout, pixels: usize) -> (Samples, Option<Vec<u8>>) {
    let bands: Vec<(&[f32], f32, f32)> = components
        .iter()
        .zip(&layout.components)
        .enumerate()
        .filter(|(i, _)| Some(*i) != layout.alpha)
        .map(|(_, (data, c))| {
            // The decoder adds half the range whether or not samples are signed.
            let half = (1u32 << (c.precision - 1)) as f32;
            (data.samples(), if c.signed { half } else { 0.0 }, ((1u32 << c.precision) - 1) as f32)
        })
        .collect();
    let samples = if layout.components.iter().any(|c| c.signed) {
        Samples::F32(woven(&bands, pixels, |v, shift, top| v.round().clamp(0.0, top) - shift))
    } else if layout.components.iter().all(|c| c.precision <= 8) {
        Samples::U8(woven(&bands, pixels, |v, _, top| (v + 0.5).clamp(0.0, top) as u8))
    } else {
        Samples::U16(woven(&bands, pixels, |v, _, top| (v + 0.5).clamp(0.0, top) as u16))
    };
    let mask = layout
        .alpha
        .and_then(|i| components.get(i))
        .map(|data| data.samples().iter().take(pixels).map(|&v| u8::from(v >= 0.5) * 255).collect());
    (samples, mask)
}

fn woven<T: Copy + Default>(
    bands: &[(&[f32], f32, f32)],
    pixels: usize,
    convert: impl Fn(f32, f32, f32) -> T,
) -> Vec<T> {
    let count = bands.len();
    if let [(data, shift, top)] = bands {
        return data.iter().take(pixels).map(|&v| convert(v, *shift, *top)).collect();
    }
    let mut out = vec![T::default(); pixels * count];
    for (band, &(data, shift, top)) in bands.iter().enumerate() {
        for (slot, &v) in out.iter_mut().skip(band).step_by(count).zip(data) {
            *slot = convert(v, shift, top);
        }
    }
    out
}
