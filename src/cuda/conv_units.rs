//! x of a convolution laid out in units in the workspace: who does it, who reads it, and what of it is there already.

use super::launch::{Launch, Operands};
use crate::kernel::conv::Conv2dParams;
use crate::kernel::Kernel;
use crate::{Error, Result};

/// Rows and columns of y in a unit, and of its pixels with their halo.
const UNIT: [u32; 2] = [64, 8];
const WITH_HALO: [u32; 2] = [66, 10];
/// Channels of x that one product sums over.
pub(super) const CHANNELS: usize = 16;
/// Bytes of a unit's pixels in so many channels.
pub(super) const UNIT_BYTES: usize = (WITH_HALO[0] * WITH_HALO[1]) as usize * CHANNELS * 2;
/// Threads of a block that lays out x.
const LAYING: u32 = 128;

/// Rows and columns of an image's units.
fn units(p: &Conv2dParams) -> [u32; 2] {
    [p.h_out.div_ceil(UNIT[0]), p.w_out.div_ceil(UNIT[1])]
}

/// Units of an image.
pub(super) fn unit_count(p: &Conv2dParams) -> usize {
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

/// Stages of x's channels.
pub(super) fn stages(p: &Conv2dParams) -> usize {
    (p.c_in as usize).div_ceil(CHANNELS)
}

/// Whether at least half of the units' pixels are of y.
pub(super) fn whole(p: &Conv2dParams) -> bool {
    unit_count(p) * (UNIT[0] * UNIT[1]) as usize <= 2 * p.y_plane()
}

/// Elements of x's layout.
pub(super) fn workspace(kernel: &Kernel) -> usize {
    let Kernel::Conv2d(p) = kernel else { return 0 };
    stages(p) * stage_bytes(p) / size_of::<f32>()
}

/// The launch of an entry that lays x out.
///
/// # Errors
/// `Limit` when there are too many pixels or channels.
pub(super) fn lay_out(entry: &'static str, p: &Conv2dParams, o: &Operands) -> Result<Launch> {
    let [down, right] = units(p).map(u64::from);
    let row = (right * u64::from(WITH_HALO[1])).div_ceil(LAYING.into());
    let octets = u64::from(p.batch) * 2 * stages(p) as u64;
    Launch::new(entry, [row, down * u64::from(WITH_HALO[0]), octets], [LAYING, 1, 1], o, p)
}

/// Whether an entry multiplies what was laid out.
pub(super) fn multiplies(entry: &str) -> bool {
    is_form(entry, "wgmma") || is_form(entry, "laid")
}

/// Whether an entry lays x out.
pub(super) fn lays_out(entry: &str) -> bool {
    is_form(entry, "units")
}

/// Whether a convolution's entry is of that form.
fn is_form(entry: &str, form: &str) -> bool {
    let (contract, name) = entry.split_once("__").unwrap_or_default();
    contract.starts_with("conv2d_fwd") && name.starts_with(form)
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
pub(super) fn stage_bytes(p: &Conv2dParams) -> usize {
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
