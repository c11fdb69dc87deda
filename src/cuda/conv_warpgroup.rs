//! Launches of the convolution by warpgroups: x laid out in units in the workspace, then the products; and its
//! weights as the copies bring them.

use super::conv::{by_role, check_positions};
use super::conv_matrix::{plain, MIN_CHANNELS};
use super::launch::{Launch, Operands};
use super::modules::Set;
use super::table::{mismatch, Entry};
use crate::kernel::conv::Conv2dParams;
use crate::kernel::precision::Precision;
use crate::kernel::registry::Impl;
use crate::kernel::Kernel;
use crate::plan::Packed;
use crate::{Error, Result};

/// Rows and columns of y in a unit, and of its pixels with their halo.
const UNIT: [u32; 2] = [64, 8];
const WITH_HALO: [u32; 2] = [66, 10];
/// Channels of x that one product sums over.
const CHANNELS: usize = 16;
/// Bytes of a unit's pixels in so many channels.
const UNIT_BYTES: usize = (WITH_HALO[0] * WITH_HALO[1]) as usize * CHANNELS * 2;
/// Rows of weights in a product.
const LEFT: usize = 64;
/// Threads of a block: two warpgroups that multiply and a warp that copies.
const THREADS: u32 = 2 * 128 + 32;
/// Threads of a block that lays out x.
const LAYING: u32 = 128;
/// Shared memory that the ring of copies may fill, and its most slots.
const RING: u32 = 200 << 10;
const MAX_SLOTS: u32 = 8;

/// A shape of the products.
#[derive(Clone, Copy)]
struct Form {
    /// Extent of the kernel.
    side: u32,
    /// Rows of y that share a product, each with as many of its rows of weights.
    rows: u32,
}

impl Form {
    /// Channels of y in a block.
    fn channels(self) -> usize {
        LEFT / self.rows as usize
    }

    /// Taps of one product: rows, one more where two rows of y share it, and columns.
    fn taps(self) -> [usize; 2] {
        [(self.side + self.rows - 1) as usize, self.side as usize]
    }

    /// Bytes of the ring.
    fn shared(self) -> u32 {
        let [down, right] = self.taps();
        let slot = (self.rows as usize * UNIT_BYTES + down * right * LEFT * CHANNELS * 2) as u32;
        slot * (RING / slot).min(MAX_SLOTS)
    }
}

macro_rules! wgmma {
    ($name:ident, $entry:literal, $units:expr, $precision:ident, $side:literal, $rows:literal) => {
        pub(super) const $name: Entry = Entry {
            choose: Impl {
                contract: "conv2d_fwd",
                entry: $entry,
                rank: 20 + ($rows - 1),
                fits: |k| fits(k, Form { side: $side, rows: $rows }),
            },
            set: Set::Sm90a,
            blocks: |_| u64::MAX,
            workspace,
            packed: |k| packed(k, Form { side: $side, rows: $rows }),
            prepare: |k, w| pack(k, w, Precision::$precision, Form { side: $side, rows: $rows }),
            launch: |k, o| launch(k, o, [$units, $entry], Form { side: $side, rows: $rows }),
        };
    };
}

const BF16_UNITS: &str = "conv2d_fwd_bf16f32__units_sm90a";
const F16_UNITS: &str = "conv2d_fwd_f16f32__units_sm90a";
wgmma!(BF16_1X1_64, "conv2d_fwd_bf16f32__wgmma_1x1_64_sm90a", BF16_UNITS, Bf16, 1, 1);
wgmma!(BF16_3X3_64, "conv2d_fwd_bf16f32__wgmma_3x3_64_sm90a", BF16_UNITS, Bf16, 3, 1);
wgmma!(BF16_3X3_32, "conv2d_fwd_bf16f32__wgmma_3x3_32_sm90a", BF16_UNITS, Bf16, 3, 2);
wgmma!(F16_1X1_64, "conv2d_fwd_f16f32__wgmma_1x1_64_sm90a", F16_UNITS, F16, 1, 1);
wgmma!(F16_3X3_64, "conv2d_fwd_f16f32__wgmma_3x3_64_sm90a", F16_UNITS, F16, 3, 1);
wgmma!(F16_3X3_32, "conv2d_fwd_f16f32__wgmma_3x3_32_sm90a", F16_UNITS, F16, 3, 2);

/// Units of an image: rows and columns of them.
fn units(p: &Conv2dParams) -> [u32; 2] {
    [p.h_out.div_ceil(UNIT[0]), p.w_out.div_ceil(UNIT[1])]
}

fn unit_count(p: &Conv2dParams) -> usize {
    units(p).iter().map(|&n| n as usize).product()
}

/// Rows and columns of pixels that a unit holds before those that y's first ones look at.
pub(super) fn halo(p: &Conv2dParams) -> [i32; 2] {
    p.pad.map(|pad| pad + i32::from(p.kernel == [1; 2]))
}

/// Whether x's units are what y's would be for a convolution like it.
pub(super) fn keeps_pixels(p: &Conv2dParams) -> bool {
    halo(p) == [1; 2] && [p.h_in, p.w_in, 1] == [p.h_out, p.w_out, p.upsample]
}

fn stages(p: &Conv2dParams) -> usize {
    (p.c_in as usize).div_ceil(CHANNELS)
}

/// Whether products of that form take the call, and at least half of the units' pixels are of y.
fn fits(kernel: &Kernel, form: Form) -> bool {
    let Kernel::Conv2d(p) = kernel else { return false };
    let whole = unit_count(p) * (UNIT[0] * UNIT[1]) as usize <= 2 * p.y_plane();
    let last = (p.c_out - 1) as usize % LEFT + 1;
    plain(p, form.side) && p.c_out >= MIN_CHANNELS && whole && (form.rows == 1 || last <= form.channels())
}

/// Elements of x's layout.
pub(super) fn workspace(kernel: &Kernel) -> usize {
    let Kernel::Conv2d(p) = kernel else { return 0 };
    stages(p) * stage_bytes(p) / size_of::<f32>()
}

fn packed(kernel: &Kernel, form: Form) -> Option<Packed> {
    let Kernel::Conv2d(p) = kernel else { return None };
    let blocks = (p.c_out as usize).div_ceil(form.channels());
    let taps: usize = form.taps().iter().product();
    Some(Packed { operand: 1, len: blocks * stages(p) * taps * LEFT * CHANNELS / 2, variant: 0 })
}

/// Weights as (blocks, stages, rows of taps, columns of taps, two octets of channels of x, 64 rows, octet); a
/// row of weights is a channel for one of the rows of y.
fn pack(kernel: &Kernel, weights: &[f32], precision: Precision, form: Form) -> Result<Vec<u8>> {
    let Kernel::Conv2d(p) = kernel else { return Err(mismatch(kernel)) };
    if weights.len() != p.weight_len() {
        return Err(Error::shape(format!("conv2d: {} weights, {} wanted", weights.len(), p.weight_len())));
    }
    let [c_in, c_out, side] = [p.c_in, p.c_out, form.side].map(|v| v as usize);
    let [down, right] = form.taps();
    let blocks = c_out.div_ceil(form.channels());
    let mut words: Vec<u32> = Vec::with_capacity(packed(kernel, form).map_or(0, |packed| packed.len));
    for (block, stage) in (0..blocks).flat_map(|b| (0..stages(p)).map(move |s| (b, s))) {
        for (down, right) in (0..down).flat_map(|d| (0..right).map(move |r| (d, r))) {
            for (octet, left) in (0..2).flat_map(|o| (0..LEFT).map(move |l| (o, l))) {
                let channel = block * form.channels() + left % form.channels();
                let row = down.checked_sub(left / form.channels()).filter(|row| *row < side);
                let weight = |from: usize| match row {
                    Some(row) if channel < c_out && from < c_in => {
                        weights[((channel * c_in + from) * side + row) * side + right]
                    }
                    _ => 0.0,
                };
                let first = stage * CHANNELS + octet * 8;
                words.extend(
                    (0..4).map(|k| precision.word([weight(first + 2 * k), weight(first + 2 * k + 1)])),
                );
            }
        }
    }
    Ok(bytemuck::cast_slice(&words).to_vec())
}

fn launch(kernel: &Kernel, o: &Operands, entries: [&'static str; 2], form: Form) -> Result<Vec<Launch>> {
    let Kernel::Conv2d(p) = kernel else { return Err(mismatch(kernel)) };
    check_positions(p)?;
    let o = by_role(p, o);
    let blocks = (p.c_out as usize).div_ceil(form.channels()) as u64;
    let grid = [(unit_count(p) as u64).div_ceil(form.rows.into()), blocks, p.batch.into()];
    let multiply = Launch::new(entries[1], grid, [THREADS, 1, 1], &o, p)?;
    Ok(vec![lay_out(entries[0], p, &o)?, Launch { shared: form.shared(), ..multiply }])
}

fn lay_out(entry: &'static str, p: &Conv2dParams, o: &Operands) -> Result<Launch> {
    let [down, right] = units(p).map(u64::from);
    let row = (right * u64::from(WITH_HALO[1])).div_ceil(LAYING.into());
    let octets = u64::from(p.batch) * 2 * stages(p) as u64;
    Launch::new(entry, [row, down * u64::from(WITH_HALO[0]), octets], [LAYING, 1, 1], o, p)
}

/// Whether an entry multiplies what was laid out.
pub(super) fn multiplies(entry: &str) -> bool {
    [&BF16_1X1_64, &BF16_3X3_64, &BF16_3X3_32, &F16_1X1_64, &F16_3X3_64, &F16_3X3_32]
        .iter()
        .any(|known| known.choose.entry == entry)
}

/// Whether an entry lays x out.
pub(super) fn lays_out(entry: &str) -> bool {
    [BF16_UNITS, F16_UNITS].contains(&entry)
}

/// What is left of a launch that lays x out when its first channels are laid out already.
///
/// # Errors
/// `Device` when the launch holds other arguments.
pub(super) fn rest(launch: &Launch, channels: u32) -> Result<Option<Launch>> {
    let (mut o, mut p) = arguments(launch)?;
    if channels >= p.c_in {
        return Ok(None);
    }
    let stages = channels as usize / CHANNELS;
    let channels = stages * CHANNELS;
    o.x[0] += (channels * p.x_plane() * size_of::<f32>()) as u64;
    o.workspace += (stages * stage_bytes(&p)) as u64;
    p.c_in -= channels as u32;
    lay_out(launch.entry, &p, &o).map(Some)
}

/// Makes the launch of a convolution's products lay y out behind x, for the convolutions that read both. False
/// where y's pixels are not x's, a stage would hold channels of both, or a workspace of `room` elements has no
/// place for it.
///
/// # Errors
/// `Device` when the launch holds other arguments.
pub(super) fn lay_result_out(launch: &mut Launch, room: usize) -> Result<bool> {
    let (o, p) = arguments(launch)?;
    let both = Conv2dParams { c_in: p.c_in.saturating_add(p.c_out), ..p };
    if !keeps_pixels(&p) || !p.c_in.is_multiple_of(CHANNELS as u32) || workspace(&Kernel::Conv2d(both)) > room
    {
        return Ok(false);
    }
    launch.change_operands(|to| to.laid = o.workspace + (stages(&p) * stage_bytes(&p)) as u64);
    Ok(true)
}

/// Bytes of one stage of all units.
fn stage_bytes(p: &Conv2dParams) -> usize {
    p.batch as usize * unit_count(p) * UNIT_BYTES
}

/// The arguments of a launch of either entry.
///
/// # Errors
/// `Device` when the launch holds others.
pub(super) fn arguments(launch: &Launch) -> Result<(Operands, Conv2dParams)> {
    let (o, p) = launch.arguments.split_at(Launch::PARAMS.min(launch.arguments.len()));
    match (bytemuck::try_pod_read_unaligned(o), bytemuck::try_pod_read_unaligned(p)) {
        (Ok(o), Ok(p)) => Ok((o, p)),
        _ => Err(Error::device(format!("{} takes other arguments", launch.entry))),
    }
}
