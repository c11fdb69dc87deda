//! Launches of the convolution by warpgroups: x laid out in units, then the products; and its weights as the copies
//! bring them.

use super::conv::{by_role, check_positions};
use super::conv_matrix::{plain, MIN_CHANNELS};
use super::conv_units::{lay_out, stages, unit_count, whole, workspace, CHANNELS, UNIT_BYTES};
use super::launch::{Launch, Operands};
use super::modules::Set;
use super::table::{mismatch, Entry};
use crate::kernel::precision::Precision;
use crate::kernel::registry::Impl;
use crate::kernel::Kernel;
use crate::plan::Packed;
use crate::{Error, Result};

/// Rows of weights in a product.
const LEFT: usize = 64;
/// Threads of a block: two warpgroups that multiply and a warp that copies.
const THREADS: u32 = 2 * 128 + 32;
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

/// Whether products of that form take the call.
fn fits(kernel: &Kernel, form: Form) -> bool {
    let Kernel::Conv2d(p) = kernel else { return false };
    let last = (p.c_out - 1) as usize % LEFT + 1;
    plain(p, form.side) && p.c_out >= MIN_CHANNELS && whole(p) && (form.rows == 1 || last <= form.channels())
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
