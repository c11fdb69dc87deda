//! Convolutions that follow each other as one launch: blocks take what a block of each would compute, in order, and wait
//! for what it reads (`kernels/conv_chain_sm80.cu`).

use std::ops::Range;

use bytemuck::{Pod, Zeroable};

use super::conv_laid::{BF16_3X3_32, BF16_3X3_64, F16_3X3_32, F16_3X3_64};
use super::conv_units::{arguments, stage_bytes, stages, unit_count, CHANNELS};
use super::launch::{Launch, Operands};
use super::stored::{bytes, images, Parts};
use crate::kernel::conv::Conv2dParams;
use crate::util::ranges::meet;
use crate::{Error, Result};

const BF16: &str = "conv_chain_fwd_bf16f32__laid_3x3_sm80";
const F16: &str = "conv_chain_fwd_f16f32__laid_3x3_sm80";
/// Blocks that registers let run on one multiprocessor.
const BLOCKS_OF_MULTIPROCESSOR: u64 = 2;
/// Most items of a chain, so that tickets of all blocks stay below 32 bits.
const MOST_ITEMS: u64 = 1 << 31;
/// Bytes that tables begin at multiples of.
const ALIGNMENT: usize = 256;
/// Counters that every chain has: the next ticket, and blocks that have left.
const OWN_COUNTERS: usize = 2;

/// What the entries take beside operands (mirrored in `kernels/params.cuh`).
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct ChainParams {
    /// Convolutions.
    pub links: u32,
    /// Items of all of them.
    pub items: u32,
    /// Counters of items that are done.
    pub counters: u32,
    reserved: u32,
}

/// One convolution as the entries read it (mirrored in `kernels/params.cuh`).
#[repr(C)]
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
pub struct Link {
    operands: Operands,
    params: Conv2dParams,
    first: u32,
    halves: u32,
    blocks: u32,
    tiles: u32,
    /// The first of the counters of its items that are done.
    pub counter: u32,
    by_unit: u32,
}

/// A launch, and the steps of the plan that it is of.
pub(super) type OfSteps = (Range<usize>, Launch);

/// Puts runs of launches that have such a form together, each as one launch for a GPU of so many multiprocessors, and
/// gives the bytes that these read: tables, and counters that all of them share. Where they lie is up to [`place`].
///
/// # Errors
/// `Device` when a launch holds other arguments.
pub(super) fn merge(launches: Vec<OfSteps>, multiprocessors: u32) -> Result<(Vec<OfSteps>, Vec<u8>)> {
    let (mut merged, mut run, mut tables, mut counters) = (Vec::new(), Run::default(), Vec::new(), 0);
    for of_steps in launches {
        if !run.takes(&of_steps.1) {
            run.end(multiprocessors, &mut tables, &mut counters, &mut merged)?;
        }
        match form(of_steps.1.entry) {
            Some(_) => run.0.push(of_steps),
            None => merged.push(of_steps),
        }
    }
    run.end(multiprocessors, &mut tables, &mut counters, &mut merged)?;
    let place = tables.len() as u64;
    for (_, launch) in merged.iter_mut().filter(|(_, launch)| is_chain(launch)) {
        launch.change_operands(|o| o.workspace = place);
    }
    if counters > 0 {
        tables.resize(tables.len() + (OWN_COUNTERS + counters) * size_of::<u32>(), 0);
    }
    Ok((merged, tables))
}

/// Tells merged launches where their bytes lie.
pub(super) fn place(launches: &mut [OfSteps], at: u64) {
    for (_, launch) in launches.iter_mut().filter(|(_, launch)| is_chain(launch)) {
        launch.change_operands(|o| {
            o.prepared += at;
            o.workspace += at;
        });
    }
}

fn is_chain(launch: &Launch) -> bool {
    [BF16, F16].contains(&launch.entry)
}

/// The entry that computes what an entry does as a part of a chain, and tiles of 16 channels of its blocks.
fn form(entry: &str) -> Option<(&'static str, u32)> {
    let forms =
        [(&BF16_3X3_32, BF16, 2), (&BF16_3X3_64, BF16, 4), (&F16_3X3_32, F16, 2), (&F16_3X3_64, F16, 4)];
    forms.into_iter().find(|(alone, ..)| alone.choose.entry == entry).map(|(_, chain, tiles)| (chain, tiles))
}

/// Blocks of a launch.
fn items(launch: &Launch) -> u64 {
    launch.grid.iter().map(|n| u64::from(*n)).product()
}

/// Launches that one chain can stand for.
#[derive(Default)]
struct Run(Vec<OfSteps>);

impl Run {
    /// Whether another launch may follow.
    fn takes(&self, launch: &Launch) -> bool {
        let chain = |launch: &Launch| form(launch.entry).map(|(chain, _)| chain);
        let all: u64 = self.0.iter().map(|(_, launch)| items(launch)).sum();
        self.0.last().is_none_or(|(_, last)| chain(last) == chain(launch))
            && all.saturating_add(items(launch)) <= MOST_ITEMS
    }

    /// Adds the launch that stands for them, its table and its counters; one alone stays what it is.
    fn end(
        &mut self,
        multiprocessors: u32,
        tables: &mut Vec<u8>,
        counters: &mut usize,
        merged: &mut Vec<OfSteps>,
    ) -> Result<()> {
        let launches = std::mem::take(&mut self.0);
        let [(first, one), .., (last, _)] = &launches[..] else {
            merged.extend(launches);
            return Ok(());
        };
        let entry = form(one.entry).map_or(one.entry, |(chain, _)| chain);
        let (links, of_chain) = links(&launches)?;
        tables.resize(tables.len().next_multiple_of(ALIGNMENT), 0);
        let o = Operands { prepared: tables.len() as u64, ..Operands::default() };
        tables.extend_from_slice(bytemuck::cast_slice(&links));
        *counters = of_chain.max(*counters);
        let items: u64 = launches.iter().map(|(_, launch)| items(launch)).sum();
        let p = ChainParams {
            links: links.len() as u32,
            items: items as u32,
            counters: of_chain as u32,
            reserved: 0,
        };
        let blocks = items.min(u64::from(multiprocessors) * BLOCKS_OF_MULTIPROCESSOR).max(1);
        merged.push((first.start..last.end, Launch::new(entry, [blocks, 1, 1], one.block, &o, &p)?));
        Ok(())
    }
}

/// The links of launches, and how many counters they need.
fn links(launches: &[OfSteps]) -> Result<(Vec<Link>, usize)> {
    let touched = launches.iter().map(|(_, launch)| Touched::by(launch)).collect::<Result<Vec<_>>>()?;
    // The first of those that may not all be done when an item of this one is computed.
    let mut running = 0;
    let (mut links, mut first, mut counters) = (Vec::with_capacity(launches.len()), 0, 0);
    for (at, (_, launch)) in launches.iter().enumerate() {
        let (operands, params) = arguments(launch)?;
        let (_, tiles) =
            form(launch.entry).ok_or_else(|| Error::device(format!("{} is in no chain", launch.entry)))?;
        let next = touched.get(at + 1);
        let by_unit =
            next.is_some_and(|next| touched[running..=at].iter().all(|before| next.keeps_near(before)));
        if !by_unit {
            running = at + 1;
        }
        let [halves, blocks, _] = launch.grid;
        let counter = counters as u32;
        links.push(Link { operands, params, first, halves, blocks, tiles, counter, by_unit: by_unit.into() });
        first += items(launch) as u32;
        counters += if by_unit { params.batch as usize * unit_count(&params) } else { 1 };
    }
    Ok((links, counters))
}

/// Addresses that a convolution reads and writes.
struct Touched {
    /// Images, and rows and columns of y: whether units are the same pixels.
    pixels: [u32; 3],
    /// Bytes of 16 channels of all units.
    stage: u64,
    /// The layout that is multiplied, and the one that is made.
    layouts: [Range<u64>; 2],
    /// Bias, slopes and residuals, and y.
    stored: [Parts; 2],
}

impl Touched {
    fn by(launch: &Launch) -> Result<Self> {
        let (o, p) = arguments(launch)?;
        let stage = stage_bytes(&p) as u64;
        let layout =
            |from: u64, stages: usize| from..from + if from == 0 { 0 } else { stages as u64 * stage };
        let laid = layout(o.laid, (p.c_out as usize).div_ceil(CHANNELS));
        let image = p.c_out as usize * p.y_plane();
        let of_images = |(from, stride): (u64, u64)| match from {
            0 => Parts::new(),
            _ => images(from, p.batch, stride, image),
        };
        // As the entries take them (`conv::by_role`).
        let of_channels =
            o.x[1..3].iter().filter(|from| **from != 0).map(|from| bytes(*from, p.c_out as usize));
        let residuals = o.x[3..].iter().copied().zip(p.r_batch_stride).take(p.epilogue.residuals as usize);
        Ok(Self {
            pixels: [p.batch, p.h_out, p.w_out],
            stage,
            layouts: [layout(o.workspace, stages(&p)), laid],
            stored: [
                of_channels.chain(residuals.flat_map(of_images)).collect(),
                of_images((o.y, p.y_batch_stride)),
            ],
        })
    }

    /// Whether a unit of this one needs nothing of another before it but what that one laid out of the unit and of those
    /// around it, and writes nothing that the other touches.
    fn keeps_near(&self, before: &Self) -> bool {
        let one = std::slice::from_ref;
        let apart = |a: &[Range<u64>], b: &[Range<u64>]| !a.iter().any(|a| b.iter().any(|b| meet(a, b)));
        let ([read, laid], [added, y]) = (&self.layouts, &self.stored);
        let ([read_before, laid_before], [added_before, y_before]) = (&before.layouts, &before.stored);
        let written = [one(laid), y].concat();
        let touched_before = [one(read_before), one(laid_before), added_before, y_before].concat();
        let written_before = [one(laid_before), y_before].concat();
        let same_units = laid_before.start.abs_diff(read.start).is_multiple_of(self.stage);
        self.pixels == before.pixels
            && apart(&written, &touched_before)
            && apart(added, &written_before)
            && apart(one(read), y_before)
            && (same_units || apart(one(read), one(laid_before)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cuda::launch::BYTES_OF_ELEMENT;
    use crate::cuda::table::find;
    use crate::kernel::Kernel;

    const SIDE: [usize; 2] = [130, 20];
    const LAYOUT: u64 = 1 << 30;

    /// Where a channel of a slab of 64 lies.
    fn channel(k: u64) -> u64 {
        4096 + k * (SIDE[0] * SIDE[1]) as u64 * BYTES_OF_ELEMENT
    }

    /// A convolution of channels of a layout that lays its 16 out behind them, as `change` makes it.
    fn conv(c_in: u32, change: impl FnOnce(&mut Operands, &mut Conv2dParams)) -> OfSteps {
        let mut p = Conv2dParams::same([2, c_in, SIDE[0] as u32, SIDE[1] as u32], 16, 3);
        let stride = channel(64) - channel(0);
        (p.y_batch_stride, p.r_batch_stride) = (stride / BYTES_OF_ELEMENT, [stride / BYTES_OF_ELEMENT; 2]);
        let laid = LAYOUT + (stages(&p) * stage_bytes(&p)) as u64;
        let mut o = Operands { workspace: LAYOUT, laid, ..Operands::default() };
        change(&mut o, &mut p);
        let launches = (find(BF16_3X3_32.choose.entry).unwrap().launch)(&Kernel::Conv2d(p), &o).unwrap();
        (0..1, launches.into_iter().next_back().unwrap())
    }

    fn by_unit(launches: &[OfSteps]) -> Vec<u32> {
        links(launches).unwrap().0.iter().map(|link| link.by_unit).collect()
    }

    #[test]
    fn a_dense_block_waits_by_units() {
        let plain = |c_in| conv(c_in, |_, _| {});
        let last = conv(64, |o, p| {
            (o.laid, o.y) = (0, channel(1000));
            // A residual of the slab, which nobody writes meanwhile.
            (o.x[2], p.epilogue.residuals) = (channel(0), 1);
        });
        let block = [plain(16), plain(32), plain(48), last];
        assert_eq!(by_unit(&block), [1, 1, 1, 0]);
        let (links, counters) = links(&block).unwrap();
        let units = 2 * 3 * 3;
        assert_eq!(counters, 3 * units + 1);
        assert_eq!(
            links.iter().map(|l| l.first as usize).collect::<Vec<_>>(),
            [0, 2 * units, 4 * units, 6 * units]
        );
        assert_eq!(links[3].counter as usize, 3 * units);
    }

    #[test]
    fn what_is_overwritten_or_lies_elsewhere_is_waited_for() {
        let plain = |c_in| conv(c_in, |_, _| {});
        // A result over what the first reads, or laid out a second time; one that is read as it was stored.
        let over = |o: &mut Operands, _: &mut Conv2dParams| o.laid = LAYOUT;
        assert_eq!(by_unit(&[plain(16), plain(32), conv(48, over)]), [1, 0, 0]);
        assert_eq!(by_unit(&[plain(16), conv(32, over), plain(32), plain(48)]), [0, 1, 1, 0]);
        let again = |o: &mut Operands, p: &mut Conv2dParams| o.laid = LAYOUT + stage_bytes(p) as u64;
        assert_eq!(by_unit(&[plain(16), conv(16, again)]), [0, 0]);
        let stored = |o: &mut Operands, _: &mut Conv2dParams| o.y = channel(16);
        let residual =
            |o: &mut Operands, p: &mut Conv2dParams| (o.x[2], p.epilogue.residuals) = (channel(20), 1);
        assert_eq!(by_unit(&[conv(16, stored), plain(32), conv(48, residual)]), [1, 0, 0]);
        assert_eq!(by_unit(&[conv(16, residual), plain(32), conv(48, stored)]), [1, 0, 0]);
        // In another image's channels, which end before the first's begin again.
        let beside =
            |o: &mut Operands, p: &mut Conv2dParams| (o.x[2], p.epilogue.residuals) = (channel(32), 1);
        assert_eq!(by_unit(&[conv(16, stored), conv(32, beside)]), [1, 0]);
        // Other pixels in units of the same size, and layouts that are not whole stages apart.
        let lower = |_: &mut Operands, p: &mut Conv2dParams| (p.h_in, p.h_out) = (129, 129);
        assert_eq!(by_unit(&[plain(16), conv(32, lower)]), [0, 0]);
        let askew = |o: &mut Operands, _: &mut Conv2dParams| o.workspace += 64;
        assert_eq!(by_unit(&[plain(16), conv(48, askew)]), [0, 0]);
    }

    #[test]
    fn runs_of_one_kind_become_one_launch() {
        let other = || {
            let (steps, launch) = conv(16, |_, _| {});
            (steps, Launch { entry: F16_3X3_32.choose.entry, ..launch })
        };
        let alone = || {
            let (steps, launch) = conv(16, |_, _| {});
            (steps, Launch { entry: "map_fwd_f32__strided", ..launch })
        };
        let plain = |c_in| conv(c_in, |_, _| {});
        let all = [plain(16), plain(32), other(), other(), other(), alone(), plain(16), alone()];
        let all: Vec<_> = all.into_iter().enumerate().map(|(at, (_, launch))| (at..at + 1, launch)).collect();
        let (mut merged, bytes) = merge(all, 3).unwrap();
        let kinds: Vec<_> = merged.iter().map(|(steps, launch)| (steps.clone(), launch.entry)).collect();
        let single = BF16_3X3_32.choose.entry;
        let map = "map_fwd_f32__strided";
        assert_eq!(kinds, [(0..2, BF16), (2..5, F16), (5..6, map), (6..7, single), (7..8, map)]);
        place(&mut merged, 1 << 20);
        let [first, second] = [0, 1].map(|k: usize| merged[k].1.operands());
        assert_eq!((first.prepared, second.prepared), (1 << 20, (1 << 20) + 512));
        // The counters lie behind the tables and are as many as any chain needs.
        let counters = (1 << 20) + 512 + 3 * size_of::<Link>() as u64;
        assert_eq!((first.workspace, second.workspace), (counters, counters));
        assert_eq!(merged[0].1.grid, [6, 1, 1]);
        let together = 3 + OWN_COUNTERS;
        let by_units = 2 * 3 * 3 + 1 + OWN_COUNTERS;
        assert!(bytes.len() == 512 + 720 + 4 * by_units.max(together), "{}", bytes.len());
    }
}
