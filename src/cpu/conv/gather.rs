//! Copies a chunk of x into the padded buffer that register tiles read.
//!
//! Padding, strided columns and nearest enlargement are dealt with here only.

use std::ops::Range;

use crate::cpu::scales::Scales;
use crate::cpu::simd::{Factors, Lanes, MOST_PER_WORD};
use crate::kernel::conv::{Conv2dParams, PadMode};

/// Floats copied at a time.
const RUN: usize = 16;

/// What is gathered of one image, and how it lies in the buffer.
#[derive(Clone, Copy)]
pub(super) struct Window {
    /// The image.
    pub image: usize,
    /// The rows' first, in the coordinates the kernel sees; negative in the padding.
    pub first_row: isize,
    /// Rows.
    pub rows: usize,
    /// The columns' first, as `first_row`.
    pub first_column: isize,
    /// Columns of one phase: a row is the columns of phase 0, those of phase 1 and so on.
    pub phase_width: usize,
    /// Distance of a gathered row: all of its phases.
    pub row_step: usize,
    /// Distance of a gathered channel.
    pub channel_step: usize,
}

/// Gathers words of the input channels `channels`, counted over all groups. Behind the last, the buffer
/// has room for the other channels of a word. Inlined into one copy per instruction set.
///
/// # Safety
/// `x` is readable for `params.x_span()` elements; the instruction set of `F` is available.
#[inline(always)]
pub(super) unsafe fn gather_words<F: Factors>(
    params: &Conv2dParams,
    window: &Window,
    channels: Range<usize>,
    x: *const f32,
    scales: &Scales,
    buffer: &mut [f32],
) {
    let per_word = F::PRECISION.per_word();
    let rows = whole_rows(params, window);
    let (params, window) = rows.as_ref().map_or((params, window), |(params, window)| (params, window));
    if per_word == 1 {
        // SAFETY: the caller's promise.
        return unsafe { gather(params, window, channels, x, buffer) };
    }
    let room = (window.rows * window.row_step).next_multiple_of(F::Sums::N);
    let plain = params.stride[1] == 1 && params.upsample == 1 && params.pad_mode == PadMode::Zero as u32;
    for (slot, first) in channels.clone().step_by(per_word).enumerate() {
        let buffer = &mut buffer[slot * window.channel_step..][..(per_word - 1) * window.channel_step + room];
        let last = channels.end.min(first + per_word);
        let levels = std::array::from_fn(|i| scales.level(first + i));
        // What stands in for channels that are not there meets weights of zero.
        let channel = std::array::from_fn(|i| (first + i).min(last - 1));
        // SAFETY: the caller's promise; every channel has room for whole vectors.
        unsafe {
            if plain {
                gather_joined::<F>(params, window, channel, levels, x, buffer);
                continue;
            }
            gather(params, window, first..last, x, buffer);
            let start = buffer.as_mut_ptr();
            let channels =
                channel.map(|channel| start.add((channel - first) * window.channel_step).cast_const());
            join::<F>(channels, levels, start, room);
        }
    }
}

/// The same window where it is whole rows of x that the kernel sees as they are: one long row.
fn whole_rows(params: &Conv2dParams, window: &Window) -> Option<(Conv2dParams, Window)> {
    let (h, w) = (params.h_in as usize, params.w_in as usize);
    let first = usize::try_from(window.first_row).ok()?;
    let whole = window.first_column == 0 && window.phase_width == w && window.row_step == w;
    if !whole || first + window.rows > h || params.upsample != 1 || params.stride != [1; 2] {
        return None;
    }
    let width = window.rows * w;
    let row = Window {
        first_row: 0,
        rows: 1,
        first_column: (first * w) as isize,
        phase_width: width,
        row_step: width,
        ..*window
    };
    Some((Conv2dParams { h_in: 1, w_in: params.h_in.checked_mul(params.w_in)?, ..*params }, row))
}

/// Gathers a word's channels where columns follow each other and what lies outside is zero.
///
/// # Safety
/// As [`gather_words`].
#[inline(always)]
unsafe fn gather_joined<F: Factors>(
    params: &Conv2dParams,
    window: &Window,
    channels: [usize; MOST_PER_WORD],
    levels: [[f32; 2]; MOST_PER_WORD],
    x: *const f32,
    buffer: &mut [f32],
) {
    let axes = [Axis::new(params, 0), Axis::new(params, 1)];
    let columns = Columns::new(&axes[1], window);
    let (plane, width) = (params.x_plane(), axes[1].stored);
    let image = window.image * params.x_batch_stride as usize;
    let mut outside = [0.0f32; RUN];
    // SAFETY: the caller's promise; source rows lie inside their planes, and vectors of words in their runs.
    unsafe {
        let nothing = F::Sums::splat(0.0);
        F::join([nothing; MOST_PER_WORD], levels).write(outside.as_mut_ptr());
        let outside = outside[0];
        let rows = buffer.chunks_exact_mut(window.row_step).take(window.rows);
        for (row, to) in rows.enumerate() {
            let source =
                axes[0].source(window.first_row + row as isize).filter(|_| !columns.inside.is_empty());
            let Some(source) = source else {
                to.fill(outside);
                continue;
            };
            to[..columns.inside.start].fill(outside);
            to[columns.inside.end..].fill(outside);
            let at = image + source * width + (columns.start + columns.inside.start as isize) as usize;
            let from = channels.map(|channel| x.add(at + channel * plane));
            let to = &mut to[columns.inside.clone()];
            let (len, lanes) = (to.len(), F::Sums::N);
            if len >= lanes {
                // The last vector overlaps those before.
                join::<F>(from, levels, to.as_mut_ptr(), len / lanes * lanes);
                let last = len - lanes;
                join::<F>(from.map(|from| from.add(last)), levels, to.as_mut_ptr().add(last), lanes);
                continue;
            }
            let mut short = [[0.0f32; RUN]; MOST_PER_WORD];
            for (short, from) in short.iter_mut().zip(from) {
                short[..len].copy_from_slice(std::slice::from_raw_parts(from, len));
            }
            let mut words = [0.0f32; RUN];
            let short = [short[0].as_ptr(), short[1].as_ptr(), short[2].as_ptr(), short[3].as_ptr()];
            join::<F>(short, levels, words.as_mut_ptr(), lanes);
            to.copy_from_slice(&words[..len]);
        }
    }
}

/// Makes `len` words of the numbers of four channels; they may lie over the first.
///
/// # Safety
/// As many elements, a multiple of the lanes, are readable and writable; the instruction set of `F` is available.
#[inline(always)]
unsafe fn join<F: Factors>(
    from: [*const f32; MOST_PER_WORD],
    levels: [[f32; 2]; MOST_PER_WORD],
    to: *mut f32,
    len: usize,
) {
    let [a, b, c, d] = from;
    for i in (0..len).step_by(F::Sums::N) {
        // SAFETY: the caller's promise.
        unsafe {
            let load = [
                F::Sums::load(a.add(i)),
                F::Sums::load(b.add(i)),
                F::Sums::load(c.add(i)),
                F::Sums::load(d.add(i)),
            ];
            F::join(load, levels).write(to.add(i));
        }
    }
}

/// Gathers input channels as they are.
///
/// # Safety
/// `x` is readable for `params.x_span()` elements.
#[inline(always)]
pub(super) unsafe fn gather(
    params: &Conv2dParams,
    window: &Window,
    channels: Range<usize>,
    x: *const f32,
    buffer: &mut [f32],
) {
    let axes = [Axis::new(params, 0), Axis::new(params, 1)];
    let columns = Columns::new(&axes[1], window);
    let (plane, width, row_step) = (params.x_plane(), axes[1].stored, window.row_step);
    let image = window.image * params.x_batch_stride as usize;
    for (slot, channel) in channels.enumerate() {
        let to = &mut buffer[slot * window.channel_step..][..window.rows * row_step];
        for (row, to) in to.chunks_exact_mut(row_step).enumerate() {
            match axes[0].source(window.first_row + row as isize) {
                Some(row) => {
                    let start = image + channel * plane + row * width;
                    // SAFETY: a source row lies inside the plane.
                    columns.copy(unsafe { std::slice::from_raw_parts(x.add(start), width) }, to);
                }
                None => to.fill(0.0),
            }
        }
    }
}

/// The pixels of a window that need no gathering: rows of x, and zeros around them.
pub(super) struct InPlace {
    /// Columns of the window that lie in x.
    pub columns: Range<usize>,
    /// The first of them in a row of x, and the first row of the image, in elements.
    at: [usize; 2],
    plane: usize,
    width: usize,
    first_row: isize,
    height: isize,
}

impl InPlace {
    /// `None` where x is read strided, enlarged or mirrored, or has fewer columns in the window than `least`.
    pub fn new(params: &Conv2dParams, window: &Window, least: usize) -> Option<Self> {
        let plain = params.stride[1] == 1 && params.upsample == 1 && params.pad_mode == PadMode::Zero as u32;
        let axis = Axis::new(params, 1);
        let columns = Columns::new(&axis, window).inside;
        (plain && columns.len() >= least).then(|| Self {
            at: [
                (window.first_column + columns.start as isize) as usize,
                window.image * params.x_batch_stride as usize,
            ],
            columns,
            plane: params.x_plane(),
            width: axis.stored,
            first_row: window.first_row,
            height: params.h_in as isize,
        })
    }

    /// Where in x a row's columns begin; `None` where the row lies outside.
    #[inline(always)]
    pub fn row(&self, channel: usize, row: usize) -> Option<usize> {
        let row = self.first_row + row as isize;
        let inside = (0..self.height).contains(&row);
        inside.then(|| self.at[1] + channel * self.plane + row as usize * self.width + self.at[0])
    }
}

/// Asks for what [`gather`] will read of one channel.
#[inline(always)]
pub(super) fn prefetch<L: Lanes>(params: &Conv2dParams, window: &Window, channel: usize, x: *const f32) {
    let axes = [Axis::new(params, 0), Axis::new(params, 1)];
    let width = axes[1].stored;
    let plane = window.image * params.x_batch_stride as usize + channel * params.x_plane();
    let last = window.first_column + window.phase_width as isize - 1;
    let [first, last] = [window.first_column, last].map(|column| {
        let inside = column.clamp(0, axes[1].extent - 1);
        axes[1].source(inside).unwrap_or(0)
    });
    let mut before = None;
    for row in 0..window.rows {
        let row = axes[0].source(window.first_row + row as isize);
        if let Some(row) = row.filter(|_| row != before) {
            for column in (first..=last).step_by(RUN) {
                L::prefetch(x.wrapping_add(plane + row * width + column));
            }
        }
        before = row;
    }
}

/// How coordinates along one axis map to stored elements.
struct Axis {
    /// Extent the kernel sees.
    extent: isize,
    /// Extent that is stored.
    stored: usize,
    upsample: usize,
    stride: usize,
    reflect: bool,
}

impl Axis {
    fn new(params: &Conv2dParams, axis: usize) -> Self {
        let extent = if axis == 0 { params.h_in } else { params.w_in };
        Self {
            extent: extent as isize,
            stored: (extent / params.upsample) as usize,
            upsample: params.upsample as usize,
            stride: params.stride[axis] as usize,
            reflect: params.pad_mode == PadMode::Reflect as u32,
        }
    }

    /// The stored element at a coordinate, None where it is zero.
    #[inline(always)]
    fn source(&self, at: isize) -> Option<usize> {
        let inside = if (0..self.extent).contains(&at) {
            at
        } else if self.reflect {
            let mirrored = if at < 0 { -at } else { 2 * (self.extent - 1) - at };
            // What vectors read past the last pixel that is needed may lie anywhere.
            mirrored.clamp(0, self.extent - 1)
        } else {
            return None;
        };
        Some(if self.upsample == 1 { inside as usize } else { inside as usize / self.upsample })
    }
}

/// The columns of a gathered row: `phases` runs of `width`, each every `stride`-th column.
struct Columns<'a> {
    axis: &'a Axis,
    start: isize,
    width: usize,
    /// Part of the row that lies inside of x; empty when strided columns must be picked singly.
    inside: Range<usize>,
}

impl<'a> Columns<'a> {
    fn new(axis: &'a Axis, window: &Window) -> Self {
        let (start, width) = (window.first_column, window.phase_width);
        let clamp = |at: isize| at.clamp(0, width as isize) as usize;
        let inside = if axis.stride == 1 { clamp(-start)..clamp(axis.extent - start) } else { 0..0 };
        Self { axis, start, width, inside }
    }

    #[inline(always)]
    fn copy(&self, from: &[f32], to: &mut [f32]) {
        if self.inside.is_empty() {
            for (phase, to) in to.chunks_exact_mut(self.width).enumerate() {
                self.pick(from, to, self.start + phase as isize, 0..self.width);
            }
            return;
        }
        let at = (self.start + self.inside.start as isize) as usize;
        self.pick(from, to, self.start, 0..self.inside.start);
        match self.axis.upsample {
            1 => copy_run(&from[at..at + self.inside.len()], &mut to[self.inside.clone()]),
            2 => double(from, at, &mut to[self.inside.clone()]),
            upsample => repeat(from, at, upsample, &mut to[self.inside.clone()]),
        }
        self.pick(from, to, self.start, self.inside.end..self.width);
    }

    /// Every `stride`-th column from `start` on, those of `range`.
    #[inline(always)]
    fn pick(&self, from: &[f32], to: &mut [f32], start: isize, range: Range<usize>) {
        let at = |i: usize| start + (i * self.axis.stride) as isize;
        let one = |to: &mut [f32], i: usize| {
            to[i] = self.axis.source(at(i)).map_or(0.0, |source| from[source]);
        };
        let mut rest = range.clone();
        if self.axis.stride == 2 && self.axis.upsample == 1 {
            // Columns of which the next lies inside too.
            let first = ((1 - start) / 2).clamp(range.start as isize, range.end as isize) as usize;
            let end = ((self.axis.extent - start) / 2).clamp(first as isize, range.end as isize) as usize;
            (range.start..first).for_each(|i| one(to, i));
            if first < end {
                let pairs = from[at(first) as usize..].chunks_exact(2);
                to[first..end].iter_mut().zip(pairs).for_each(|(to, pair)| *to = pair[0]);
            }
            rest.start = end;
        }
        rest.for_each(|i| one(to, i));
    }
}

/// Each stored element twice, from the enlarged coordinate `at`.
#[inline(always)]
fn double(from: &[f32], at: usize, to: &mut [f32]) {
    let (odd, pairs) = to.split_at_mut((at % 2).min(to.len()));
    odd.fill(from[at / 2]);
    let from = &from[at.div_ceil(2)..];
    let (whole, half) = pairs.split_at_mut(pairs.len() / 2 * 2);
    for (pair, &value) in whole.chunks_exact_mut(2).zip(from) {
        pair.fill(value);
    }
    if let [last] = half {
        *last = from[whole.len() / 2];
    }
}

/// Each stored element `times` times, from the enlarged coordinate `at`.
#[inline(always)]
fn repeat(from: &[f32], at: usize, times: usize, to: &mut [f32]) {
    let (mut source, mut phase) = (at / times, at % times);
    for to in to {
        *to = from[source];
        phase += 1;
        if phase == times {
            (source, phase) = (source + 1, 0);
        }
    }
}

/// Copies a short run without the cost of a call; the last registers overlap those before.
#[inline(always)]
fn copy_run(from: &[f32], to: &mut [f32]) {
    let length = from.len().min(to.len());
    if length < RUN {
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
        return;
    }
    let target = to.as_mut_ptr();
    let copy = |at: usize| {
        // SAFETY: callers keep `at + RUN` inside of both.
        unsafe {
            let run = from.as_ptr().add(at).cast::<[f32; RUN]>().read();
            target.add(at).cast::<[f32; RUN]>().write(run);
        }
    };
    (0..length / RUN).for_each(|run| copy(run * RUN));
    copy(length - RUN);
}
