//! `swath bench`: where a network's time goes.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Instant;

use clap::Args as ClapArgs;

use super::model::{ModelArgs, NetworkArgs};
use super::print::say;
use super::values::{extents, human_bytes};
use crate::engine::{DevicePick, Engine, Session};
use crate::error::{Error, Result};
use crate::models::InputSize;
use crate::plan::Step;

const EXAMPLES: &str = "\
Examples:
  swath bench esrgan_8S2.pth --size 128
  swath bench demo --size 64x96 --threads 1 --layers";

/// Runs a network on made-up pixels and says where the time goes.
#[derive(Debug, ClapArgs)]
#[command(after_help = EXAMPLES)]
pub struct Args {
    /// Weights (.pth or .safetensors); `demo` means the built-in ones.
    model: PathBuf,
    #[command(flatten)]
    network: NetworkArgs,
    /// Rows and columns of the input, e.g. 128x96, or one number for a square.
    #[arg(long, value_name = "PX", default_value = "128", value_parser = extents)]
    size: [usize; 2],
    /// Images at a time.
    #[arg(long, value_name = "N", default_value_t = 1)]
    batch: usize,
    /// One line for each layer in running order, instead of one for each kind
    /// of kernel call.
    #[arg(long)]
    layers: bool,
    /// Runs, of which the fastest counts.
    #[arg(long, value_name = "N", default_value_t = 5)]
    runs: usize,
    /// Threads (default: all).
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    threads: usize,
    /// auto, cpu; on a GPU see `swath profile`.
    #[arg(long, default_value = "auto")]
    device: DevicePick,
}

/// Runs the command.
///
/// # Errors
/// What the file, the network and the device say.
pub fn run(args: &Args) -> Result<()> {
    let model = ModelArgs { model: args.model.clone(), network: args.network.clone() }.open()?.for_scenes();
    let frames = model.network().input().default_frames;
    let size = InputSize { batch: args.batch, frames, height: args.size[0], width: args.size[1] };
    let mut session = Engine::new(args.device, args.threads)?.compile(&model, size, &[], None)?;
    for (k, pixel) in session.input().iter_mut().enumerate() {
        *pixel = (k % 251) as f32 / 251.0;
    }
    let fastest = fastest(&mut session, args.runs.max(1))?;
    let rows = if args.layers { layers(&session, &fastest) } else { kinds(&session, &fastest) };
    say(&table(&session, model.family().id, &fastest, &rows))
}

/// Seconds of one run.
struct Timing {
    whole: f64,
    steps: Vec<f64>,
}

/// The fastest of so many runs, after one that does not count.
fn fastest(session: &mut Session, runs: usize) -> Result<Timing> {
    session.compute()?;
    let mut best = Timing { whole: f64::INFINITY, steps: Vec::new() };
    for _ in 0..runs {
        let start = Instant::now();
        let steps = session.time_steps()?;
        let timing = Timing { whole: start.elapsed().as_secs_f64(), steps };
        if timing.whole < best.whole {
            best = timing;
        }
    }
    if best.steps.is_empty() {
        return Err(Error::unsupported("this device does not time single steps; --device cpu does"));
    }
    Ok(best)
}

/// A line of the table.
struct Row {
    name: String,
    calls: usize,
    seconds: f64,
    operations: f64,
}

impl Row {
    fn new(name: String) -> Self {
        Self { name, calls: 0, seconds: 0.0, operations: 0.0 }
    }

    fn add(&mut self, step: &Step, seconds: f64) {
        self.calls += 1;
        self.seconds += seconds;
        self.operations += 2.0 * step.kernel.products();
    }

    /// Rates count two operations for each product of a direct computation.
    fn line(&self, whole: f64) -> String {
        let rate = match self.operations > 0.0 {
            true => format!("{:.1}", self.operations / self.seconds.max(1e-9) / 1e9),
            false => String::new(),
        };
        let share = 100.0 * self.seconds / whole.max(1e-9);
        format!("{:>10.3}{share:>7.1}%{:>6}{rate:>9}  {}", 1e3 * self.seconds, self.calls, self.name)
    }
}

/// One row a step.
fn layers(session: &Session, timing: &Timing) -> Vec<Row> {
    let row = |(step, seconds): (&Step, &f64)| {
        let mut row = Row::new(format!("{} [{}] {}", step.label, step.choice.entry, step.kernel));
        row.add(step, *seconds);
        row
    };
    session.plan().steps.iter().zip(&timing.steps).map(row).collect()
}

/// One row for all steps that do the same, the dearest first.
fn kinds(session: &Session, timing: &Timing) -> Vec<Row> {
    let mut rows: HashMap<String, Row> = HashMap::new();
    for (step, seconds) in session.plan().steps.iter().zip(&timing.steps) {
        let name = format!("{} {}", step.choice.entry, step.kernel);
        rows.entry(name).or_insert_with_key(|name| Row::new(name.clone())).add(step, *seconds);
    }
    let mut rows: Vec<Row> = rows.into_values().collect();
    rows.sort_by(|a, b| b.seconds.total_cmp(&a.seconds).then_with(|| a.name.cmp(&b.name)));
    rows
}

fn table(session: &Session, family: &str, timing: &Timing, rows: &[Row]) -> String {
    let mut all = Row::new("all steps".to_string());
    session.plan().steps.iter().zip(&timing.steps).for_each(|(step, seconds)| all.add(step, *seconds));
    let memory = session.memory();
    let mut lines = vec![
        format!(
            "{family}, {} -> {}: {:.3} ms, {} beyond {} of weights",
            session.input_shape(),
            session.output_shape(),
            1e3 * timing.whole,
            human_bytes(memory.per_session() as u64),
            human_bytes(memory.params as u64)
        ),
        format!("{:>10}{:>8}{:>6}{:>9}  what", "ms", "share", "calls", "GFLOP/s"),
    ];
    lines.extend(rows.iter().chain([&all]).map(|row| row.line(timing.whole)));
    lines.join("\n")
}
