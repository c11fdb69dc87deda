//! Which tiles a job is cut into: the largest with which it keeps to the memory.

use super::accumulate::Accumulator;
use super::budget::{peak_blocks, Budget};
use super::frames::InputLayout;
use super::job::{Demand, JobOptions};
use super::needs::Needs;
use super::reader::{Reader, Slot};
use super::tiling::{batch, sizes, tile_grid, OverlapChoice, BLOCK};
use crate::engine::{Engine, LoadedModel, Memory, Precisions, Session, Setup};
use crate::error::{Error, Kind, Result};
use crate::models::{InputSize, SampleInput};
use crate::raster::scene::Series;
use crate::raster::FrameSource;
use crate::tensor::DType;
use crate::tile::TileGrid;

/// Pixels computed over pixels wanted from which smaller weights and larger tiles are looked at:
/// about what pointwise kernels, whose weights are a quarter, take longer.
const DEAR: f64 = 2.0;

/// What is known of a job before it is cut.
pub(super) struct Wanted<'a> {
    pub options: &'a JobOptions,
    pub model: &'a LoadedModel,
    pub series: &'a Series,
    pub layout: &'a InputLayout,
    /// The samples that a device with memory of its own is given instead of numbers.
    pub samples: Option<SampleInput>,
    pub demand: &'a Demand,
    /// Pixels that neighbours share.
    pub shared: usize,
}

/// An engine, and tiles with which it keeps to the memory.
pub(super) struct Fitted {
    pub engine: Engine,
    pub grid: TileGrid,
    pub batch: usize,
    pub plan: Memory,
    pub precisions: Precisions,
    /// Where the process's memory goes.
    pub budget: Budget,
    /// Where the GPU's goes.
    pub gpu: Option<Budget>,
    /// Why the tiles are smaller than they would be, where a GPU's memory is to blame.
    pub note: Option<String>,
    /// Sessions of the network that take turns.
    pub depth: usize,
    /// They, where the network was loaded to see whether the GPU takes it.
    pub loaded: Vec<Session>,
}

impl Wanted<'_> {
    /// The engine and the tiles.
    ///
    /// # Errors
    /// `Limit` when even the smallest tiles do not fit, `Usage` when neighbours share all of one.
    pub fn fit(&self) -> Result<Fitted> {
        let JobOptions { device, threads, precision, overlap, .. } = *self.options;
        let on = |pointwise| {
            let engine = Engine::open(Setup { device, threads, precision, pointwise, ..Setup::default() })?;
            self.largest(match engine.pool()? {
                Some(_) => engine.reading(self.samples.clone()),
                None => engine,
            })
        };
        if overlap == OverlapChoice::Exact || device.is_pointwise() {
            return on(true);
        }
        match on(false) {
            Ok(fast) if fast.grid.redundancy() < DEAR => Ok(fast),
            fast => match (fast, on(true)) {
                (Ok(fast), Ok(other)) if fast.grid.redundancy() < DEAR * other.grid.redundancy() => Ok(fast),
                (Ok(fast), Err(_)) => Ok(fast),
                (_, other) => other,
            },
        }
    }

    /// The largest tiles with which an engine keeps to the memory; a GPU is asked for it.
    fn largest(&self, engine: Engine) -> Result<Fitted> {
        let Self { options, model, series, layout, shared, .. } = *self;
        let (mut refusal, mut first) = (None, None);
        for (side, batched) in sizes(options.tile, shared, model.family().largest_tile) {
            let grid = tile_grid(series.grid(), model, options.overlap, options.blend, side, shared)?;
            let batch = if batched { batch(&grid) } else { 1 };
            let size = input_size(layout, &grid, batch);
            let network = engine.plan(model, size, &[])?;
            let (plan, precisions) = (network.memory(), network.precisions());
            let Needs { depth, host, gpu } = Needs::of(&engine, model, size, options.gpu_memory)?;
            let budget = self.budget(&grid, depth * batch, engine.samples(), &host)?;
            let least = series.least_cache(options.threads);
            let fits = budget.clone().with("decoded blocks", least).check();
            let loaded = fits.and_then(|()| match &gpu {
                Some(gpu) => gpu.check().and_then(|()| load(&engine, model, size, depth)),
                None => Ok(Vec::new()),
            });
            match loaded {
                Ok(loaded) => {
                    let with = |first| format!("{first}; so tiles have {side} px and go {batch} at once");
                    let note = gpu.as_ref().and(first).map(with);
                    return Ok(Fitted {
                        engine,
                        grid,
                        batch,
                        plan,
                        precisions,
                        budget,
                        gpu,
                        note,
                        depth,
                        loaded,
                    });
                }
                Err(e) if e.kind() == Kind::Limit => {
                    first.get_or_insert_with(|| e.to_string());
                    refusal = Some(e);
                }
                Err(e) => return Err(e),
            }
        }
        Err(refusal.unwrap_or_else(|| {
            Error::usage(format!("neighbours share {shared} px; give a larger --tile or a smaller --overlap"))
        }))
    }

    /// Where the process's memory goes, tiles under way and the network's part given.
    fn budget(
        &self,
        grid: &TileGrid,
        tiles: usize,
        samples: DType,
        network: &[(&'static str, u64)],
    ) -> Result<Budget> {
        let Self { options, series, layout, demand, .. } = *self;
        let area = grid.x.tile * grid.y.tile;
        let (frames, bands) = (series.frames().len(), series.bands().len());
        let writers = options.threads.clamp(1, 4);
        let readers = options.threads.min(frames) as u64;
        let (mut compression, mut images) = (0, 0);
        for target in &demand.targets {
            let (thread, fixed, image) = target.memory()?;
            compression += writers as u64 * thread + fixed;
            images += image;
        }
        let sums = match demand.targets.is_empty() {
            true => 0,
            false => Accumulator::block_bytes(BLOCK, demand.bands) as u64,
        };
        let budget = network.iter().fold(Budget::new(options.memory), |all, (what, n)| all.with(what, *n));
        Ok(budget
            .with("tiles in flight", (tiles as u64 + 1) * Slot::bytes(layout, area, samples) as u64)
            .with("dates of a tile", Reader::bytes(frames, bands, area) as u64)
            .with("resampling", readers * series.scratch_bytes(grid.x.tile, grid.y.tile) as u64)
            .with("unfinished blocks", (peak_blocks(grid, BLOCK) + writers + 1) as u64 * sums)
            .with("detections", (grid.len() as u64).saturating_mul(demand.kept_per_tile as u64))
            .with("whole image (PNG)", images)
            .with("compression", compression))
    }
}

/// What the network is compiled for.
pub(super) fn input_size(layout: &InputLayout, grid: &TileGrid, batch: usize) -> InputSize {
    InputSize { batch, frames: layout.frames, height: grid.y.tile, width: grid.x.tile }
}

/// The network in sessions that take turns.
pub(super) fn load(
    engine: &Engine,
    model: &LoadedModel,
    size: InputSize,
    depth: usize,
) -> Result<Vec<Session>> {
    let mut nets = vec![engine.compile(model, size, &[], None)?];
    while nets.len() < depth {
        nets.push(nets[0].another()?);
    }
    Ok(nets)
}
