//! What commands on scenes say: the job before it runs, and what it did.

use crate::cli::print::precisions;
use crate::cli::values::human_bytes;
use crate::error::{Error, Result};
use crate::pipeline::{Job, JobReport};
use crate::raster::FrameSource;
use crate::tensor::DType;

/// What the job will do, for `--dry-run` and `--verbose`.
///
/// # Errors
/// What the file's layout and, if `timed`, running one tile say.
pub fn outline(job: &Job, timed: bool) -> Result<String> {
    use std::fmt::Write;
    let (grid, series) = (job.grid(), job.series());
    let size = series.grid();
    let place = match &size.georef {
        Some(georef) => format!("EPSG:{}", georef.epsg),
        None => "not georeferenced".to_string(),
    };
    let (working_set, cache) = job.working_set();
    let mut out = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "series   {} dates, {} at a time, {}x{} px, {place}",
        series.frames().len(),
        job.dates(),
        size.width,
        size.height
    );
    for frame in series.frames() {
        let _ = writeln!(out, "  {}  {}", frame.label, frame.notes.join("; "));
    }
    let _ = writeln!(
        out,
        "tiles    {} of {}x{} px, {} shared by neighbours, {:.2} times the pixels are computed",
        grid.len(),
        grid.x.tile,
        grid.y.tile,
        grid.spec().overlap,
        grid.redundancy()
    );
    if let Some(ran) = precisions(job.options().precision, job.precisions()) {
        let _ = writeln!(out, "network  {ran}");
    }
    if job.samples() != DType::F32 {
        let _ = writeln!(out, "input    {} samples, made numbers by the device", job.samples());
    }
    let _ = writeln!(out, "memory\n{}", job.budget());
    if let Some(gpu) = job.gpu_budget() {
        let _ = writeln!(out, "GPU memory\n{gpu}");
    }
    let _ = writeln!(
        out,
        "reading  {} of blocks let each be decoded once; {} are there{}",
        human_bytes(working_set),
        human_bytes(cache),
        if cache < working_set { ": some will be decoded again" } else { "" }
    );
    for target in job.targets() {
        let estimate = target.cog.estimate()?;
        let _ = writeln!(
            out,
            "result   {}: {}x{} px, {} levels, at most {}; disk at most {}",
            target.path.display(),
            target.cog.width,
            target.cog.height,
            estimate.levels,
            human_bytes(estimate.file_at_most),
            human_bytes(estimate.disk_at_most)
        );
    }
    if timed {
        let tile = job.time_one_tile()?;
        let all = tile.as_secs_f64() * grid.len() as f64;
        let _ = writeln!(
            out,
            "time     {:.3} s a tile on {} threads, about {} in all",
            tile.as_secs_f64(),
            job.options().threads,
            human_time(all)
        );
    }
    Ok(out)
}

/// What the job did, a line or a few.
pub fn summary(job: &Job, report: &JobReport) -> String {
    use std::fmt::Write;
    let mut out = String::new();
    let seconds = report.elapsed.0.as_secs_f64() + report.elapsed.1.as_secs_f64();
    // Writing to a String cannot fail.
    let size = job.targets().first().map_or_else(
        || (job.series().grid().width, job.series().grid().height),
        |target| (target.cog.width, target.cog.height),
    );
    let bytes: u64 = report.summaries.iter().map(|summary| summary.bytes).sum();
    let _ = writeln!(
        out,
        "{}x{} px, {}, in {} ({} tiles, {} without data; {} blocks decoded, {} again; peak memory {})",
        size.0,
        size.1,
        human_bytes(bytes),
        human_time(seconds),
        report.stream.tiles,
        report.stream.skipped,
        report.reads.decoded,
        report.reads.repeated,
        human_bytes(report.peak_memory)
    );
    if let Some(ran) = precisions(job.options().precision, job.precisions()) {
        let _ = writeln!(out, "{ran}");
    }
    if let Some(repeated) = repeated(report.repeated) {
        let _ = writeln!(out, "{repeated}");
    }
    if job.series().grid().georef.is_none() {
        let _ = writeln!(
            out,
            "the input has no coordinates, so the result has none; --crs and --transform supply them"
        );
    }
    if let Some(seams) = report.stream.seams.figures() {
        let _ = writeln!(
            out,
            "seams: neighbours differ by {:.6} across tile borders, {:.6} within tiles there: ratio {:.3} ± {:.3}",
            seams.border, seams.within, seams.ratio, seams.error
        );
    }
    out
}

/// What is to be said of runs that were repeated in f32.
pub fn repeated(runs: usize) -> Option<String> {
    let what = "runs of the network were repeated in f32: rounding left no numbers, or the same one all over";
    (runs > 0).then(|| format!("{runs} {what}"))
}

/// Whether the results may be trusted: where tiles came out as one value all over, that must be `allowed`.
///
/// # Errors
/// `Doubtful` where it is not.
pub fn trusted<T: ToString>(constant: &[T], allowed: bool) -> Result<()> {
    /// Tiles that are named.
    const NAMED: usize = 3;
    if allowed || constant.is_empty() {
        return Ok(());
    }
    let named: Vec<String> = constant.iter().take(NAMED).map(T::to_string).collect();
    let more = match constant.len() {
        0..=NAMED => String::new(),
        all => format!(" and {} more", all - NAMED),
    };
    Err(Error::doubtful(format!(
        "the result is written, but in f32 too the network gives one value all over where its input varies: {}{more}; \
         look there, and at the weights; --allow-constant takes it as it is",
        named.join(", ")
    )))
}

fn human_time(seconds: f64) -> String {
    match seconds as u64 {
        0..60 => format!("{seconds:.1} s"),
        s @ 60..3600 => format!("{} min {:02} s", s / 60, s % 60),
        s => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
    }
}

/// Says, on stderr, why tiles are smaller than they would be, where a GPU is to blame.
pub fn small_tiles(job: &Job) {
    if let Some(note) = job.note() {
        eprintln!("swath: {note}");
    }
}

/// Warns, on stderr, of fewer dates than the network was made for.
pub fn few_dates(job: &Job) {
    let (given, made_for) = (job.dates(), job.model().network().input().default_frames);
    if given < made_for {
        eprintln!(
            "swath: warning: the network was made for {made_for} dates of a place; it is given {given}"
        );
    }
}
