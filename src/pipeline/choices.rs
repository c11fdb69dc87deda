//! The dates every pixel was made from, as a raster at input resolution: one band a network frame, 1 = first date
//! of the series, 0 = no data.

use std::collections::HashMap;

use super::reader::{Reader, Slot};
use super::stream::{Choice, StreamSpec};
use crate::error::Result;
use crate::raster::{Block, BlockSink, FrameSource, Samples};
use crate::tile::{Rect, Span, TileGrid};

/// Writes the raster into `sink`, which has the input grid's size and `spec.input.frames` bands of 16 bits.
/// Tiles that `known` lacks (an earlier run did them) are chosen again.
///
/// # Errors
/// What source and sink say.
pub fn write_choices(
    source: &dyn FrameSource,
    spec: &StreamSpec,
    known: Vec<Choice>,
    sink: &dyn BlockSink,
) -> Result<()> {
    let area = spec.grid.x.tile * spec.grid.y.tile;
    let mut known: HashMap<(usize, usize), Vec<usize>> = known.into_iter().collect();
    let mut reader = Reader::new(source, &spec.input, area, spec.seed, spec.threads);
    let mut slot = Slot::new(&spec.input, area, spec.samples);
    for (_, tile) in spec.grid.order() {
        if let std::collections::hash_map::Entry::Vacant(entry) = known.entry((tile.column, tile.row)) {
            slot.tile = tile;
            reader.fill(&mut slot)?;
            entry.insert(slot.dates.clone());
        }
    }
    let (columns, rows) = sink.blocks();
    for (column, row) in (0..rows).flat_map(|r| (0..columns).map(move |c| (c, r))) {
        let rect = sink.block_rect(column, row);
        let samples = Samples::U16(block(&spec.grid, &rect, spec.input.frames, &known));
        sink.put(column, row, &Block { rect, samples, mask: None })?;
    }
    Ok(())
}

fn block(
    grid: &TileGrid,
    rect: &Rect,
    frames: usize,
    known: &HashMap<(usize, usize), Vec<usize>>,
) -> Vec<u16> {
    let mut out = vec![0u16; rect.area() * frames];
    let columns = grid.x.spans.iter().enumerate().map(|(i, s)| (i, owned(s)));
    let columns: Vec<_> = columns.filter(|(_, (a, b))| *a < rect.x1 && *b > rect.x0).collect();
    let rows = grid.y.spans.iter().enumerate().map(|(i, s)| (i, owned(s)));
    for (row, (y0, y1)) in rows.filter(|(_, (a, b))| *a < rect.y1 && *b > rect.y0) {
        for (column, (x0, x1)) in &columns {
            let Some(chosen) = known.get(&(*column, row)) else { continue };
            let part = Rect { x0: *x0, y0, x1: *x1, y1 }.intersect(rect);
            for y in part.y0..part.y1 {
                let start = (y - rect.y0) as usize * rect.width() + (part.x0 - rect.x0) as usize;
                for pixel in out[start * frames..(start + part.width()) * frames].chunks_exact_mut(frames) {
                    pixel.iter_mut().zip(chosen).for_each(|(to, frame)| *to = *frame as u16 + 1);
                }
            }
        }
    }
    out
}

/// The pixels of an axis where a tile has the larger weight.
fn owned(span: &Span) -> (i64, i64) {
    let middle = |(from, to): (i64, i64)| from + (to - from) / 2;
    (middle(span.enter), middle(span.leave))
}
