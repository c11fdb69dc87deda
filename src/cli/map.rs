//! What the commands that measure every pixel share: their flags, and how they run.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use clap::Args;

use super::flags::{
    job_options, InputArgs, RasterArgs, ReadingArgs, RunArgs, SeamArgs, TalkArgs, TilingArgs,
};
use super::print::say;
use super::report::{few_dates, outline, small_tiles, summary, trusted};
use crate::engine::LoadedModel;
use crate::error::Result;
use crate::models::{Colour, Task};
use crate::pipeline::{check_preview, Job, JobOptions, MapOptions};

/// Flags of a map.
#[derive(Debug, Args)]
pub struct MapArgs {
    #[command(flatten)]
    reading: ReadingArgs,
    /// Result: .tif for a GeoTIFF, .png for small images.
    #[arg(short, long, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    tiling: TilingArgs,
    #[command(flatten)]
    seams: SeamArgs,
    #[command(flatten)]
    raster: RasterArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    talk: TalkArgs,
}

impl MapArgs {
    /// The same as the job takes it.
    ///
    /// # Errors
    /// `Usage` for flags that do not go together.
    pub fn options(&self) -> Result<MapOptions> {
        let job = job_options(&self.reading.scenes, &self.input, &self.tiling, Some(&self.seams), &self.run)?;
        let _ = rayon::ThreadPoolBuilder::new().num_threads(job.threads).build_global();
        Ok(MapOptions {
            job: JobOptions { resume: self.raster.resume, overwrite: self.raster.overwrite, ..job },
            output: self.output.clone(),
            dates: self.reading.dates,
            compression: self.raster.compress.into(),
            compression_level: self.raster.compress_level,
            mask: self.raster.mask,
            coverage: self.reading.coverage.clone(),
        })
    }

    /// The model with the head that is asked for, or that alone does one of the tasks.
    ///
    /// # Errors
    /// As [`ReadingArgs::model`].
    pub fn model(&self, tasks: &[Task]) -> Result<LoadedModel> {
        self.reading.model(tasks)
    }

    /// Whether nothing is to be written.
    pub fn dry_run(&self) -> bool {
        self.talk.dry_run
    }

    /// The map's file.
    pub fn output(&self) -> &Path {
        &self.output
    }

    /// Says what will be done, does it unless it is a dry run, and draws the preview, where `colour` gives a number of
    /// the map its colour, if it has one. `after` is called when the map is there; what it returns is said, too.
    ///
    /// # Errors
    /// What the job says; nothing appears under the results' names unless all went well.
    pub fn run(
        &self,
        job: &Job,
        colour: &dyn Fn(f32) -> Option<Colour>,
        after: &mut dyn FnMut() -> Result<Option<String>>,
        stop: &AtomicBool,
    ) -> Result<()> {
        few_dates(job);
        small_tiles(job);
        if self.talk.dry_run || self.talk.verbose {
            say(&outline(job, self.talk.dry_run)?)?;
        }
        if self.talk.dry_run {
            return Ok(());
        }
        let replaces = self.raster.overwrite || self.raster.resume;
        self.reading.preview.iter().try_for_each(|path| check_preview(path, job.targets(), replaces))?;
        let report = job.run(&mut |_| (), self.run.progress(), stop)?;
        let more = after()?;
        if let Some(path) = &self.reading.preview {
            let mut picture = job.picture()?;
            picture.paint(&self.output, colour)?;
            picture.write(path)?;
        }
        if !self.talk.quiet {
            more.iter().try_for_each(|line| say(line))?;
            say(&summary(job, &report))?;
        }
        trusted(&report.stream.constant, self.raster.allow_constant)
    }
}
