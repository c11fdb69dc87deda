//! Pooling of boxes out of a pyramid: a box's samples are placed once, then read in every channel.

use super::args::Args;
use super::pool::Pool;
use crate::kernel::boxes::{NO_BOX, ROW};
use crate::kernel::roi_align::RoiAlignParams;
use crate::{Error, Result};

/// Numbers of a sample: four places in a map, as bits, and their weights.
const SAMPLE: usize = 8;

/// Samples of a box.
fn samples(p: &RoiAlignParams) -> usize {
    let side = p.size as usize * p.samples as usize;
    side * side
}

/// Elements of scratch on so many threads.
pub(super) fn scratch_len(p: &RoiAlignParams, threads: usize) -> usize {
    parts(p, threads) * samples(p) * SAMPLE
}

fn parts(p: &RoiAlignParams, threads: usize) -> usize {
    threads.max(1).min(p.batch as usize * p.rois as usize)
}

/// Computes y.
///
/// # Errors
/// `Shape` for too little scratch.
///
/// # Safety
/// As [`Args`] says, and no element of y is one of an operand; scratch overlaps nothing.
pub(super) unsafe fn run(p: &RoiAlignParams, args: &Args, scratch: &mut [f32], pool: &Pool) -> Result<()> {
    if scratch.len() < scratch_len(p, pool.threads()) {
        return Err(Error::shape(format!("roi_align: {} elements of scratch", scratch.len())));
    }
    let (all, parts, len) =
        (p.batch as usize * p.rois as usize, parts(p, pool.threads()), samples(p) * SAMPLE);
    pool.run_with(parts, scratch, len, |part, placed| {
        for roi in all * part / parts..all * (part + 1) / parts {
            // SAFETY: the box's row, maps and bins lie within the spans; each box has bins of its own.
            unsafe { pool_one(p, args, roi, placed) };
        }
    });
    Ok(())
}

/// # Safety
/// As [`run`]; `roi` is below the number of boxes.
unsafe fn pool_one(p: &RoiAlignParams, args: &Args, roi: usize, placed: &mut [f32]) {
    let (channels, bins) = (p.channels as usize, p.size as usize * p.size as usize);
    // SAFETY: the caller's promise.
    let (row, y) = unsafe {
        (
            std::slice::from_raw_parts(args.x[0].add(roi * ROW), ROW),
            std::slice::from_raw_parts_mut(args.y.add(roi * channels * bins), channels * bins),
        )
    };
    if row[4] <= NO_BOX {
        return y.fill(0.0);
    }
    let level = p.level(f64::from((row[2] - row[0]) * (row[3] - row[1])));
    let [h, w] = p.maps[level].map(|v| v as usize);
    place(p, row, level, placed);
    let each = (p.samples * p.samples) as usize;
    let image = roi / p.rois as usize * channels;
    for (channel, y) in y.chunks_exact_mut(bins).enumerate() {
        // SAFETY: the map's channel lies within its span.
        let map =
            unsafe { std::slice::from_raw_parts(args.x[1 + level].add((image + channel) * h * w), h * w) };
        for (y, samples) in y.iter_mut().zip(placed.chunks_exact(each * SAMPLE)) {
            let sum: f32 = samples.chunks_exact(SAMPLE).map(|sample| read(map, sample)).sum();
            *y = sum / each as f32;
        }
    }
}

/// The value of a map at a sample.
#[inline]
fn read(map: &[f32], sample: &[f32]) -> f32 {
    (0..4).map(|k| sample[4 + k] * map[sample[k].to_bits() as usize]).sum()
}

/// Fills in a box's samples, bin by bin: places in the map and weights.
fn place(p: &RoiAlignParams, row: &[f32], level: usize, placed: &mut [f32]) {
    let (size, each) = (p.size as usize, p.samples as usize);
    let [h, w] = p.maps[level].map(|v| v as usize);
    let scale = 0.5f32.powi(p.shifts[level] as i32);
    let side = |from: usize, to: usize| ((row[to] - row[from]) * scale).max(1.0) / size as f32;
    let (bin_w, bin_h) = (side(0, 2), side(1, 3));
    let at = |start: f32, bin: usize, side: f32, k: usize| {
        start * scale + bin as f32 * side + (k as f32 + 0.5) * side / each as f32
    };
    for (index, sample) in placed.chunks_exact_mut(SAMPLE).enumerate() {
        let (bin, k) = (index / (each * each), index % (each * each));
        let vertical = axis(at(row[1], bin / size, bin_h, k / each), h);
        let horizontal = axis(at(row[0], bin % size, bin_w, k % each), w);
        for (corner, place) in (0..4).zip([(0, 0), (0, 1), (1, 0), (1, 1)]) {
            let (row, column) = (vertical[place.0], horizontal[place.1]);
            sample[corner] = f32::from_bits((row.0 * w + column.0) as u32);
            sample[4 + corner] = row.1 * column.1;
        }
    }
}

/// The two pixels of an axis a position lies between, and their weights; none more than a pixel outside.
fn axis(at: f32, extent: usize) -> [(usize, f32); 2] {
    if !(-1.0..=extent as f32).contains(&at) {
        return [(0, 0.0); 2];
    }
    let at = at.max(0.0);
    let low = at as usize;
    if low + 1 >= extent {
        return [(extent - 1, 1.0), (extent - 1, 0.0)];
    }
    let fraction = at - low as f32;
    [(low, 1.0 - fraction), (low + 1, fraction)]
}
