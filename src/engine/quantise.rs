//! Levels for a network's bytes, found on tiles of the user's own: the range of what each product multiplies, how
//! channels share levels, and which products do without because too much would be lost.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::device::{DevicePick, Setup};
use super::forward::input_size;
use super::loss::{decibels, outputs, Loss, Outputs};
use super::model::LoadedModel;
use super::session::{Engine, Session};
use crate::error::{Error, Result};
use crate::kernel::levels::{Calibration, Levels};
use crate::kernel::precision::Precision;
use crate::kernel::Kernel;
use crate::models::InputSize;
use crate::plan::{Plan, Step};
use crate::util::npy::Array;

/// Of so many tiles one is held out, to measure what is lost.
const HELD_OUT: usize = 4;
/// How much of a channel's own range its levels have, see [`Levels::of_ranges`]; the best is taken.
const OWN: [f32; 3] = [0.0, 0.5, 1.0];
/// Attempts to reach the goal before bytes are given up.
const ROUNDS: usize = 6;

/// What is wanted, and on what it runs.
#[derive(Debug, Clone, Copy)]
pub struct QuantiseOptions {
    /// Least peak signal-to-noise ratio against f32, decibels.
    pub goal: f64,
    /// Threads; 0: all.
    pub threads: usize,
    /// Bytes that a compiled network may take.
    pub memory: u64,
}

/// What was found.
#[derive(Debug, Clone, Serialize)]
pub struct Quantised {
    /// Tiles whose ranges were taken, and tiles that were held out.
    pub tiles: [usize; 2],
    /// Decibels of the held-out tiles in bf16, with all bytes, and with the bytes that are left.
    pub bf16: f64,
    /// With every product in bytes that the device multiplies so.
    pub all: f64,
    /// With those that are left.
    pub int8: f64,
    /// Seconds that a tile takes in bf16 and with the bytes that are left.
    pub seconds: [f64; 2],
    /// How much of a channel's own range its levels have, 0 to 1.
    pub own: f32,
    /// Products with levels.
    pub products: usize,
    /// Products that do without, by their weights: decibels of each alone.
    pub left_out: Vec<(String, f64)>,
    /// Shares of all products of a run.
    pub shares: String,
}

/// Finds levels on `tiles`, inputs of one size, and gives them to the model. `said` hears what is going on.
///
/// # Errors
/// `Usage` for too few tiles, `Unsupported` when this machine multiplies no bytes or the goal is missed even without;
/// what compiling and running say.
pub fn quantise(
    model: &mut LoadedModel,
    tiles: &[Array],
    options: QuantiseOptions,
    said: &mut dyn FnMut(&str),
) -> Result<Quantised> {
    let Some(first) = tiles.first().filter(|_| tiles.len() >= 2) else {
        return Err(Error::usage(format!("{} tiles; at least 2 are needed, one to compare on", tiles.len())));
    };
    let size = input_size(model, &first.shape)?;
    let is_held =
        |(i, _): &(usize, &Array)| i % HELD_OUT == HELD_OUT / 2 || tiles.len() < HELD_OUT && *i == 1;
    let (held, seen): (Vec<_>, Vec<_>) = tiles.iter().enumerate().partition(is_held);
    let mut trial = Trial { model, size, options, held: held.into_iter().map(|(_, tile)| tile).collect() };
    said(&format!("ranges of {} tiles", seen.len()));
    let mut ranges = Ranges::new();
    let mut session = trial.session(Precision::F32)?;
    seen.iter().try_for_each(|(_, tile)| observe(&mut session, tile, &mut ranges))?;
    let exact = trial.run(&mut session)?;
    drop(session);
    let rounded = trial.outputs(Precision::Bf16)?;
    let bf16 = trial.loss(&rounded, &exact);
    said(&format!("bf16: {:.1} dB", bf16.decibels()));
    let (mut all, mut own, mut levels) = (f64::INFINITY, 0.0, Calibration::new());
    for share in OWN {
        let found = trial.multiplied(calibration(&ranges, share)?)?;
        let noise = trial.noise(found.clone(), &exact)?;
        said(&format!("int8, levels {share} of each channel's own: {:.1} dB", decibels(noise)));
        if noise < all || levels.is_empty() {
            (all, own, levels) = (noise, share, found);
        }
    }
    let mut left_out = Vec::new();
    let mut noise = all;
    if decibels(all) < options.goal {
        (noise, left_out) = trial.leave_out(&mut levels, [bf16.noise(), all], &exact, &rounded, said)?;
    }
    trial.model.set_calibration(levels);
    let plan = trial.plan(Precision::Int8)?;
    said("time of a tile");
    let seconds = [trial.seconds(Precision::Bf16)?, trial.seconds(Precision::Int8)?];
    Ok(Quantised {
        tiles: [seen.len(), trial.held.len()],
        bf16: bf16.decibels(),
        all: decibels(all),
        int8: decibels(noise),
        seconds,
        own,
        products: trial.model.calibration().len(),
        left_out,
        shares: plan.precisions().to_string(),
    })
}

/// A model that is run with one calibration after the other.
struct Trial<'a> {
    model: &'a mut LoadedModel,
    size: InputSize,
    options: QuantiseOptions,
    held: Vec<&'a Array>,
}

impl Trial<'_> {
    fn engine(&self, precision: Precision) -> Result<Engine> {
        let QuantiseOptions { threads, .. } = self.options;
        Engine::open(Setup { device: DevicePick::Cpu, threads, precision, ..Setup::default() })
    }

    fn plan(&self, precision: Precision) -> Result<Arc<Plan>> {
        self.engine(precision)?.plan(self.model, self.size, &[])
    }

    fn session(&self, precision: Precision) -> Result<Session> {
        self.engine(precision)?.compile(self.model, self.size, &[], Some(self.options.memory))
    }

    /// What the tiles that were held out give.
    fn run(&self, session: &mut Session) -> Result<Vec<Outputs>> {
        let each = self.held.iter().map(|tile| {
            session.run(&tile.data)?;
            Ok(outputs(session))
        });
        each.collect()
    }

    fn outputs(&self, precision: Precision) -> Result<Vec<Outputs>> {
        self.run(&mut self.session(precision)?)
    }

    /// Seconds of the faster of two runs.
    fn seconds(&self, precision: Precision) -> Result<f64> {
        let (mut session, mut least) = (self.session(precision)?, f64::INFINITY);
        for tile in self.held.iter().cycle().take(2) {
            let began = Instant::now();
            session.run(&tile.data)?;
            least = least.min(began.elapsed().as_secs_f64());
        }
        Ok(least)
    }

    fn loss(&self, got: &[Outputs], exact: &[Outputs]) -> Loss {
        let has_image = self.model.network().output().channels > 0;
        let mut loss = Loss::default();
        got.iter().zip(exact).for_each(|(got, exact)| loss.add(got, exact, has_image));
        loss
    }

    /// The noise of bytes on these levels against `exact`.
    fn noise(&mut self, levels: Calibration, exact: &[Outputs]) -> Result<f64> {
        self.model.set_calibration(levels);
        Ok(self.loss(&self.outputs(Precision::Int8)?, exact).noise())
    }

    /// The levels of those products that the device multiplies in bytes.
    fn multiplied(&mut self, levels: Calibration) -> Result<Calibration> {
        self.model.set_calibration(levels.clone());
        let plan = self.plan(Precision::Int8)?;
        let bytes = plan.steps.iter().filter(|step| Precision::of(step.choice.entry) == Precision::Int8);
        let names: BTreeSet<&str> = bytes.filter_map(|step| plan.weights(step)).collect();
        if names.is_empty() {
            return Err(Error::unsupported("this machine multiplies nothing of the network in int8"));
        }
        Ok(levels.into_iter().filter(|(name, _)| names.contains(name.as_str())).collect())
    }

    /// Takes levels away, first those of products whose bytes cost most for the time they win, until the goal is met.
    /// Noises of products add up, nearly: each is measured alone, beside bf16. Gives what noise is left, and which
    /// products do without.
    fn leave_out(
        &mut self,
        levels: &mut Calibration,
        [base, all]: [f64; 2],
        exact: &[Outputs],
        rounded: &[Outputs],
        said: &mut dyn FnMut(&str),
    ) -> Result<(f64, Vec<(String, f64)>)> {
        let goal = 10f64.powf(-self.options.goal / 10.0);
        if base >= goal {
            return Err(Error::unsupported(format!(
                "{:.1} dB even in bf16; a --goal below that can be met",
                decibels(base)
            )));
        }
        let plan = self.plan(Precision::F32)?;
        let mut work: BTreeMap<&str, f64> = BTreeMap::new();
        for step in &plan.steps {
            if let Some(name) = plan.weights(step) {
                *work.entry(name).or_default() += step.kernel.products();
            }
        }
        let mut alone = Vec::new();
        for (at, (name, own)) in levels.iter().enumerate() {
            if at % 10 == 0 {
                said(&format!("each product alone: {at} of {}", levels.len()));
            }
            let noise = self.noise(Calibration::from([(name.clone(), own.clone())]), rounded)?;
            alone.push((name.clone(), noise, work.get(name.as_str()).copied().unwrap_or(1.0)));
        }
        alone.sort_by(|a, b| (b.1 * a.2).total_cmp(&(a.1 * b.2)));
        let sum: f64 = alone.iter().map(|(_, noise, _)| noise).sum();
        let scale = (all - base).max(0.0) / sum.max(f64::MIN_POSITIVE);
        let (mut noise, mut left, mut room) = (all, sum, goal - base);
        let mut out = alone.iter();
        let mut left_out = Vec::new();
        for _ in 0..ROUNDS {
            while left * scale > room {
                let Some((name, own, _)) = out.next() else { break };
                levels.remove(name);
                left -= own;
                left_out.push((name.clone(), decibels(*own)));
            }
            if levels.is_empty() {
                break;
            }
            noise = self.noise(levels.clone(), exact)?;
            said(&format!("without {} of them: {:.1} dB", left_out.len(), decibels(noise)));
            if noise <= goal {
                return Ok((noise, left_out));
            }
            // They add up to more than was thought.
            room = (left * scale).min(room) * 0.8 * (goal - base) / (noise - base);
        }
        Err(Error::unsupported(format!(
            "{:.1} dB is as near as int8 comes; a --goal below that can be met",
            decibels(noise)
        )))
    }
}

/// The least and the largest number of each channel of what products multiply, by their weights.
type Ranges = BTreeMap<String, Vec<[f32; 2]>>;

/// Widens the ranges by those of a tile.
fn observe(session: &mut Session, tile: &Array, ranges: &mut Ranges) -> Result<()> {
    session.watch(&tile.data, &mut |plan, step, x| {
        let Some(name) = plan.weights(step) else { return };
        let mut channels = channel_ranges(step, x);
        if let Some(before) = ranges.get(name).filter(|before| before.len() == channels.len()) {
            let widen = |([low, high], [l, h]): (&mut [f32; 2], &[f32; 2])| {
                (*low, *high) = (low.min(*l), high.max(*h))
            };
            channels.iter_mut().zip(before).for_each(widen);
        }
        ranges.insert(name.to_string(), channels);
    })
}

/// The range of each channel of a step's first operand.
fn channel_ranges(step: &Step, x: &[f32]) -> Vec<[f32; 2]> {
    let mut ranges = Vec::new();
    let range =
        |values: &[f32]| values.iter().fold([0.0f32; 2], |[low, high], v| [low.min(*v), high.max(*v)]);
    match &step.kernel {
        Kernel::Conv2d(p) => {
            ranges.resize(p.c_in as usize, [0.0f32; 2]);
            for image in x.chunks((p.x_batch_stride as usize).max(1)).take(p.batch as usize) {
                for (channel, plane) in ranges.iter_mut().zip(image.chunks(p.x_plane().max(1))) {
                    let [low, high] = range(plane);
                    *channel = [channel[0].min(low), channel[1].max(high)];
                }
            }
        }
        Kernel::Matmul(p) => {
            ranges.resize(p.k as usize, [0.0f32; 2]);
            for row in x.chunks_exact((p.k as usize).max(1)) {
                for ([low, high], v) in ranges.iter_mut().zip(row) {
                    (*low, *high) = (low.min(*v), high.max(*v));
                }
            }
        }
        _ => {}
    }
    ranges
}

/// Levels that hold the ranges.
fn calibration(ranges: &Ranges, own: f32) -> Result<Calibration> {
    let levels = |(name, ranges): (&String, &Vec<[f32; 2]>)| {
        Ok((name.clone(), Arc::new(Levels::of_ranges(ranges, own).map_err(|e| e.while_doing(name))?)))
    };
    ranges.iter().map(levels).collect()
}
