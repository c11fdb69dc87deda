//! The super-resolution job: a time series and a network to a sharper, georeferenced raster.

use std::path::PathBuf;

use super::encode::{Encoding, OutputKind};
use super::input::Input;
use super::job::{Demand, Job, JobOptions};
use super::provenance::provenance;
use super::target::Target;
use super::tiling::BLOCK;
use crate::engine::LoadedModel;
use crate::error::{Error, Result};
use crate::raster::cog::{CogSpec, Compression};
use crate::raster::{FrameSource, Georef};

/// What to do. Plain data; see the command line's help for the meaning of each.
#[derive(Debug, Clone)]
pub struct UpscaleOptions {
    /// What all jobs are told.
    pub job: JobOptions,
    /// The result: `.tif` or `.png`.
    pub output: PathBuf,
    /// Sample type of the result.
    pub kind: OutputKind,
    /// Codec of the GeoTIFF.
    pub compression: Compression,
    /// Its effort.
    pub compression_level: Option<u32>,
    /// Whether the GeoTIFF gets a mask beside its nodata value.
    pub mask: bool,
}

impl UpscaleOptions {
    /// The usual choices for these scenes, this result, memory (bytes) and number of threads.
    pub fn new(scenes: Vec<PathBuf>, output: PathBuf, memory: u64, threads: usize) -> Self {
        Self {
            job: JobOptions::new(scenes, memory, threads),
            output,
            kind: OutputKind::U8,
            compression: Compression::Deflate,
            compression_level: None,
            mask: false,
        }
    }
}

/// Opens the series, chooses tiles that fit the memory, compiles the network. Writes nothing.
///
/// # Errors
/// What opening says; `Usage` for bands, overlaps or outputs that do not fit the network; `Limit` when the
/// memory does not suffice for the smallest tile.
pub fn upscale<'a>(options: &'a UpscaleOptions, model: &'a LoadedModel) -> Result<Job<'a>> {
    let output = model.network().output();
    if output.channels == 0 {
        return Err(Error::usage(format!(
            "{} holds a {} network, which gives no image to write; swath segment, regress, detect or forward run it",
            model.weights().path().display(),
            model.family().id
        )));
    }
    let input = Input::open(&options.job, model)?;
    let mut cog = cog_spec(options, &input, model);
    cog.metadata = provenance(&options.job, &input, model, options.kind.meaning())?;
    let encoding = Encoding::Numbers { kind: options.kind, one: 1.0 };
    let demand = Demand {
        bands: output.channels,
        targets: vec![Target { path: options.output.clone(), cog, encoding }],
        kept_per_tile: 0,
        output: options.output.clone(),
    };
    Job::fit(&options.job, model, input, demand)
}

fn cog_spec(options: &UpscaleOptions, input: &Input, model: &LoadedModel) -> CogSpec {
    let output = model.network().output();
    let grid = input.series.grid();
    let bands = match output.channels {
        3 => ["red", "green", "blue"].map(String::from).to_vec(),
        n => (1..=n).map(|i| format!("band {i}")).collect(),
    };
    let (width, height) = (grid.width * output.scale, grid.height * output.scale);
    let mut cog = CogSpec::new(width, height, bands, options.kind.sample());
    cog.georef = grid
        .georef
        .as_ref()
        .map(|g| Georef { epsg: g.epsg, transform: g.transform.refine(output.scale as f64) });
    cog.nodata = Some(options.kind.nodata());
    cog.mask = options.mask;
    cog.compression = options.compression;
    cog.level = options.compression_level;
    cog.tile = BLOCK;
    cog
}
