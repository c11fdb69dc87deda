//! A test image that is known everywhere, and the ways to write it.

use std::path::Path;

use swath::raster::cog::{CogOptions, CogSpec, CogWriter};
use swath::raster::{Block, BlockSink, SampleType, Samples, Summary};
use swath::tile::Rect;
use swath::Result;

pub const FINGERPRINT: [u8; 32] = [42; 32];

/// The image's value, 1 to 250: smooth enough to compress, rough enough to tell pixels apart.
pub fn value(x: usize, y: usize, band: usize) -> u8 {
    let noise = (x as u32 * 31 + y as u32 * 17 + band as u32 * 7).wrapping_mul(2_654_435_761) >> 29;
    (1 + (x / 3 + 2 * y / 5 + 40 * band + noise as usize) % 250) as u8
}

/// Whether the pixel is in the image's masked wedge.
pub fn is_masked(x: usize, y: usize) -> bool {
    2 * x + y < 60 || (x / 9 + y / 7).is_multiple_of(23)
}

/// Colours for three bands, else Sentinel-2's names.
pub fn names(n: usize) -> Vec<String> {
    let names = if n == 3 { ["red", "green", "blue", ""] } else { ["B02", "B03", "B04", "B08"] };
    names.iter().take(n).map(|s| s.to_string()).collect()
}

pub fn spec(width: usize, height: usize, bands: usize, sample: SampleType) -> CogSpec {
    CogSpec { tile: 64, ..CogSpec::new(width, height, names(bands), sample) }
}

/// The image's pixels in `rect`, interleaved by band, with its mask when the spec has one.
pub fn block(spec: &CogSpec, rect: Rect) -> Block {
    let pixels =
        || (rect.y0..rect.y1).flat_map(move |y| (rect.x0..rect.x1).map(move |x| (x as usize, y as usize)));
    let n = spec.bands.len();
    let values = pixels().flat_map(|(x, y)| (0..n).map(move |b| value(x, y, b)));
    let samples = match spec.sample {
        SampleType::U8 => Samples::U8(values.collect()),
        SampleType::U16 => Samples::U16(values.map(|v| u16::from(v) * 257 + 3).collect()),
        _ => Samples::F32(values.map(|v| f32::from(v) / 3.0 - 40.0).collect()),
    };
    let masked = spec.mask || spec.nodata.is_some();
    let mask = masked.then(|| pixels().map(|(x, y)| u8::from(!is_masked(x, y))).collect());
    Block { rect, samples, mask }
}

/// The whole image as the file should hold it: masked pixels filled.
pub fn whole(spec: &CogSpec) -> Block {
    let mut block = block(spec, Rect::of_size(spec.width, spec.height));
    let Some(mask) = &block.mask else { return block };
    let fill = spec.nodata.unwrap_or(0.0);
    let n = spec.bands.len();
    for (i, _) in mask.iter().enumerate().filter(|(_, m)| **m == 0) {
        match &mut block.samples {
            Samples::U8(v) => v[i * n..][..n].fill(fill as u8),
            Samples::U16(v) => v[i * n..][..n].fill(fill as u16),
            Samples::F32(v) => v[i * n..][..n].fill(fill as f32),
        }
    }
    block
}

pub fn create(path: &Path, spec: &CogSpec, resume: bool) -> Result<CogWriter> {
    CogWriter::create(path, spec.clone(), CogOptions { resume, overwrite: false, fingerprint: FINGERPRINT })
}

/// All blocks of a sink, row by row.
pub fn all_blocks(sink: &dyn BlockSink) -> Vec<(usize, usize)> {
    let (columns, rows) = sink.blocks();
    (0..rows).flat_map(|row| (0..columns).map(move |column| (column, row))).collect()
}

pub fn put(writer: &CogWriter, (column, row): (usize, usize)) -> Result<()> {
    writer.put(column, row, &block(writer.spec(), writer.block_rect(column, row)))
}

pub fn finish(writer: CogWriter) -> Result<Summary> {
    Box::new(writer).finish(&|_, _| Ok(()))
}

/// Writes the whole image.
pub fn write(path: &Path, spec: &CogSpec) -> Summary {
    let writer = create(path, spec, false).unwrap();
    for at in all_blocks(&writer) {
        put(&writer, at).unwrap();
    }
    finish(writer).unwrap()
}
