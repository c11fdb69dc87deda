//! Transposed convolution as plain convolutions, one per phase of y's pixels: each computes every
//! `stride`-th row and column and stores them at their places.

use super::args::Args;
use super::conv::{Algorithm, Kept, Method, Operands, PackedConv, Spread};
use super::isa::Isa;
use super::pool::Pool;
use crate::kernel::conv::{Activation, Conv2dParams, Epilogue, PadMode};
use crate::kernel::conv_transpose::ConvTranspose2dParams;
use crate::kernel::precision::Precision;
use crate::{Error, Result};

/// A transposed convolution's weights, phase by phase.
pub(super) struct PackedPhases(Vec<PackedConv>);

/// How phases are computed.
fn method() -> Result<Method> {
    Ok(Method { algorithm: Algorithm::Direct, precision: Precision::F32, isa: Isa::current()? })
}

/// The phases: the first row and column of y, and their convolution.
fn phases(p: &ConvTranspose2dParams) -> impl Iterator<Item = ([u32; 2], Conv2dParams)> + '_ {
    (0..p.stride * p.stride).filter_map(|k| {
        let first = [k / p.stride, k % p.stride];
        let (rows, columns) = (p.phase(first[0], p.h_out), p.phase(first[1], p.w_out));
        let params = Conv2dParams {
            batch: p.batch,
            c_in: p.c_in,
            h_in: p.h_in,
            w_in: p.w_in,
            c_out: p.c_out,
            h_out: rows.extent,
            w_out: columns.extent,
            kernel: [rows.taps, columns.taps],
            stride: [1; 2],
            dilation: [1; 2],
            pad: [rows.pad as i32, columns.pad as i32],
            groups: 1,
            pad_mode: PadMode::Zero as u32,
            upsample: 1,
            x_batch_stride: p.x_batch_stride,
            y_batch_stride: p.y_batch_stride,
            r_batch_stride: [0; 2],
            epilogue: Epilogue {
                has_bias: p.has_bias,
                act: if p.relu == 1 { Activation::Relu } else { Activation::None } as u32,
                ..Epilogue::NONE
            },
        };
        (rows.extent > 0 && columns.extent > 0).then_some((first, params))
    })
}

impl PackedPhases {
    /// Packs `weights` (c_in, c_out, kernel, kernel).
    ///
    /// # Errors
    /// `Shape` when they are not as many, or the parameters are no transposed convolution.
    pub fn new(p: &ConvTranspose2dParams, weights: &[f32]) -> Result<Self> {
        p.check()?;
        if weights.len() != p.weight_len() {
            return Err(Error::shape(format!("conv_transpose2d: {} weights", weights.len())));
        }
        let (c_in, c_out, kernel, stride) =
            (p.c_in as usize, p.c_out as usize, p.kernel as usize, p.stride as usize);
        let method = method()?;
        let pack = |(first, conv): ([u32; 2], Conv2dParams)| {
            let last = [p.phase(first[0], p.h_out).last, p.phase(first[1], p.w_out).last].map(|v| v as usize);
            let [rows, columns] = conv.kernel.map(|v| v as usize);
            let mut plain = Vec::with_capacity(conv.weight_len());
            for co in 0..c_out {
                for ci in 0..c_in {
                    for tap in 0..rows * columns {
                        let ky = last[0] - tap / columns * stride;
                        let kx = last[1] - tap % columns * stride;
                        plain.push(weights[((ci * c_out + co) * kernel + ky) * kernel + kx]);
                    }
                }
            }
            PackedConv::new(method, &conv, &plain)
        };
        Ok(Self(phases(p).map(pack).collect::<Result<_>>()?))
    }

    /// Elements of packed weights, padding included.
    ///
    /// # Errors
    /// `Shape` or `Limit` when the parameters are no transposed convolution.
    pub fn len(p: &ConvTranspose2dParams) -> Result<usize> {
        p.check()?;
        let method = method()?;
        phases(p).map(|(_, conv)| Ok(PackedConv::form(method, &conv)?.1)).sum()
    }

    /// Elements of scratch that [`PackedPhases::run`] needs on so many threads.
    ///
    /// # Errors
    /// `Shape` or `Limit` when the parameters are no transposed convolution.
    pub fn scratch_len(p: &ConvTranspose2dParams, threads: usize) -> Result<usize> {
        p.check()?;
        let method = method()?;
        let mut lengths = phases(p).map(|(_, conv)| PackedConv::scratch_len(method, &conv, threads));
        lengths.try_fold(0, |most, len| Ok(most.max(len?)))
    }

    /// Computes y.
    ///
    /// # Errors
    /// `Shape` when `p` does not fit the packed weights or scratch.
    ///
    /// # Safety
    /// As [`Args`] says, and no element of y is one of an operand; scratch overlaps nothing.
    pub unsafe fn run(
        &self,
        p: &ConvTranspose2dParams,
        args: &Args,
        scratch: &mut [f32],
        pool: &Pool,
    ) -> Result<()> {
        let bias = match p.has_bias {
            0 => &[][..],
            // SAFETY: an operand readable for its span, which nobody writes.
            _ => unsafe { std::slice::from_raw_parts(args.x[2], p.c_out as usize) },
        };
        let (stride, width) = (p.stride as usize, p.w_out as usize);
        let spread = Spread { column: stride, row: stride * width, plane: p.h_out as usize * width };
        for (packed, (first, conv)) in self.0.iter().zip(phases(p)) {
            let operands = Operands {
                x: args.x[0],
                y: args.y.wrapping_add(first[0] as usize * width + first[1] as usize),
                bias,
                slope: &[],
                residuals: [std::ptr::null(); 2],
                kept: Kept::NONE,
            };
            // SAFETY: this function's; the phase's rows and columns, spread, lie within y.
            unsafe { packed.run_spread(&conv, &operands, spread, scratch, pool)? };
        }
        Ok(())
    }
}
