//! `swath upscale --chips`: PNG chips in, PNG chips out.

use std::path::Path;

use super::Args;
use crate::cli::print::{precisions, say};
use crate::cli::report::{repeated, trusted};
use crate::engine::{Engine, Setup};
use crate::error::{Error, Result};
use crate::models::InputSize;
use crate::pipeline::{count_chips, run_chips, ChipJob, Guard, Progress, CHIP};

/// Runs the network over a folder of chips.
///
/// # Errors
/// `Usage` for a network that does not take or give RGB; what the files say.
pub fn run(args: &Args, folder: &Path) -> Result<()> {
    /// Chips the network takes at once.
    const BATCH: usize = 8;
    let model = args.model.open()?;
    let (input, output) = (model.network().input(), model.network().output());
    if (input.channels, output.channels) != (3, 3) {
        return Err(Error::usage(format!(
            "chips are RGB; this network takes {} channels a date and gives {}",
            input.channels, output.channels
        )));
    }
    let chips = count_chips(folder)?;
    let size = InputSize { batch: BATCH.min(chips), frames: input.default_frames, height: CHIP, width: CHIP };
    let engine = Engine::open(Setup { lean: chips <= BATCH, ..args.run.setup() })?;
    let net = engine.compile(&model, size, &[], Some(args.run.memory()))?;
    let ran = precisions(args.run.setup().precision, &net.plan().precisions());
    let side = net.output_shape().last().copied().unwrap_or(CHIP);
    let progress = Progress::new(args.run.progress(), "chips", chips as u64);
    let job = ChipJob { input: folder, output: &args.output, frames: size.frames, side, batch: size.batch };
    let mut net = Guard::of(&engine, &model, size, vec![net], args.run.threads());
    let report = run_chips(&job, &mut net, &progress)?;
    progress.finish();
    if !args.talk.quiet {
        report.notes.iter().for_each(|note| eprintln!("swath: {note}"));
        let folder = args.output.display();
        say(&format!("{} chips, {} stitched grids in {folder}", report.chips, report.grids))?;
        repeated(net.repeated()).map_or(Ok(()), |line| say(&line))?;
        ran.map_or(Ok(()), |ran| say(&ran))?;
    }
    trusted(&report.constant, args.raster.allow_constant)
}
