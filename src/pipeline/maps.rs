//! The jobs that measure every pixel: scenes and a network to a map of classes, of probabilities or of numbers.

use std::path::{Path, PathBuf};

use super::encode::{Classes, Encoding, OutputKind};
use super::heads::only_head;
use super::input::Input;
use super::job::{Demand, Job, JobOptions};
use super::legend::Legend;
use super::provenance::provenance;
use super::target::Target;
use super::tiling::BLOCK;
use crate::engine::LoadedModel;
use crate::error::{Error, Result};
use crate::models::Task;
use crate::raster::cog::{CogSpec, Compression, OverviewResampling};
use crate::raster::{FrameSource, SampleType};

/// The reference's regressions count in these.
const BYTE: f32 = 255.0;

/// What all maps are told. Plain data; see the command line's help for the meaning of each.
#[derive(Debug, Clone)]
pub struct MapOptions {
    /// What all jobs are told.
    pub job: JobOptions,
    /// The map: `.tif` or `.png`.
    pub output: PathBuf,
    /// Dates the network is given; what it was made for, or as many as there are.
    pub dates: Option<usize>,
    /// Codec of GeoTIFFs.
    pub compression: Compression,
    /// Its effort.
    pub compression_level: Option<u32>,
    /// Whether GeoTIFFs get a mask beside their nodata value.
    pub mask: bool,
    /// Raster of where there was imagery.
    pub coverage: Option<PathBuf>,
}

/// A map of classes.
#[derive(Debug, Clone)]
pub struct SegmentOptions {
    /// What all maps are told.
    pub map: MapOptions,
    /// Probability above which a class counts: one for all, or one each. Without any, 0.5 where several classes may be
    /// true of a pixel, else none.
    pub thresholds: Vec<f32>,
    /// Raster of the probabilities.
    pub probabilities: Option<PathBuf>,
    /// Its samples.
    pub kind: OutputKind,
}

/// A map of numbers.
#[derive(Debug, Clone)]
pub struct RegressOptions {
    /// What all maps are told.
    pub map: MapOptions,
    /// Its samples.
    pub kind: OutputKind,
}

/// Prepares a map of classes. Writes nothing.
///
/// # Errors
/// `Usage` for a network that gives no classes of pixels and for thresholds that do not fit; as [`Job::fit`].
pub fn segment<'a>(options: &'a SegmentOptions, model: &'a LoadedModel) -> Result<(Job<'a>, Legend)> {
    let head = only_head(model, &[Task::Segment, Task::BinSegment])?;
    let legend = Legend::of(head)?;
    let above = thresholds(&options.thresholds, head.kind.outputs(), head.task)?;
    let input = input(&options.map, model)?;
    let mut targets = Vec::new();
    let values = match above.iter().all(|t| *t == f32::NEG_INFINITY) {
        true => "the most probable class; 0 = no data".to_string(),
        false => format!("the most probable class above {above:?}; 0 = no data"),
    };
    let mut cog = map_spec(&options.map, &input, vec![head.title().to_string()], SampleType::U8);
    cog.nodata = Some(0.0);
    cog.resampling = OverviewResampling::Nearest;
    cog.palette = legend.palette();
    cog.metadata = provenance(&options.map.job, &input, model, &values)?;
    cog.metadata.extend(legend.metadata());
    let encoding = Encoding::Classes(Classes { above, first: legend.first, none: legend.none });
    targets.push(Target { path: options.map.output.clone(), cog, encoding });
    if let Some(path) = &options.probabilities {
        let names = (0..head.kind.outputs()).map(|class| head.category(class)).collect();
        let cog = numbers_spec(&options.map, &input, names, options.kind, 1.0, model)?;
        let encoding = Encoding::Numbers { kind: options.kind, one: 1.0 };
        targets.push(Target { path: path.clone(), cog, encoding });
    }
    let bands = head.kind.outputs();
    Ok((job(&options.map, model, input, bands, targets)?, legend))
}

/// Prepares a map of numbers. Writes nothing.
///
/// # Errors
/// `Usage` for a network that gives no number of pixels; as [`Job::fit`].
pub fn regress<'a>(options: &'a RegressOptions, model: &'a LoadedModel) -> Result<Job<'a>> {
    let head = only_head(model, &[Task::Regress])?;
    let input = input(&options.map, model)?;
    let names = vec![head.title().to_string()];
    let cog = numbers_spec(&options.map, &input, names, options.kind, BYTE, model)?;
    let encoding = Encoding::Numbers { kind: options.kind, one: BYTE };
    let target = Target { path: options.map.output.clone(), cog, encoding };
    job(&options.map, model, input, 1, vec![target])
}

fn input(options: &MapOptions, model: &LoadedModel) -> Result<Input> {
    let mut input = Input::open(&options.job, model)?;
    input.limit_dates(options.dates, model)?;
    Ok(input)
}

fn job<'a>(
    options: &'a MapOptions,
    model: &'a LoadedModel,
    input: Input,
    bands: usize,
    mut targets: Vec<Target>,
) -> Result<Job<'a>> {
    if let (Some(path), Some(main)) = (&options.coverage, targets.first()) {
        let metadata = main.cog.metadata.clone();
        targets.push(coverage(path, &input, &metadata));
    }
    let demand = Demand { bands, targets, kept_per_tile: 0, output: options.output.clone() };
    Job::fit(&options.job, model, input, demand)
}

/// Thresholds of all classes.
fn thresholds(asked: &[f32], classes: usize, task: Task) -> Result<Vec<f32>> {
    match asked {
        [] if task == Task::Segment => Ok(vec![f32::NEG_INFINITY; classes]),
        [] => Ok(vec![0.5; classes]),
        [one] => Ok(vec![*one; classes]),
        all if all.len() == classes => Ok(all.to_vec()),
        all => Err(Error::usage(format!(
            "{} thresholds for {classes} classes; give --threshold one number or {classes}",
            all.len()
        ))),
    }
}

/// The raster of where there was imagery.
pub(super) fn coverage(path: &Path, input: &Input, metadata: &[(String, String)]) -> Target {
    let mut cog = cog_spec(input, vec!["coverage".to_string()], SampleType::U8);
    cog.nodata = Some(0.0);
    cog.resampling = OverviewResampling::Nearest;
    cog.metadata = metadata.iter().filter(|(name, _)| name != "SWATH_VALUES").cloned().collect();
    cog.metadata.push(("SWATH_VALUES".into(), "1 = some date has data, 0 = none has".into()));
    Target { path: path.to_path_buf(), cog, encoding: Encoding::Coverage }
}

/// A raster of numbers; `one` is the network's number that [`OutputKind`] takes for 1.
fn numbers_spec(
    options: &MapOptions,
    input: &Input,
    bands: Vec<String>,
    kind: OutputKind,
    one: f32,
    model: &LoadedModel,
) -> Result<CogSpec> {
    let mut cog = map_spec(options, input, bands, kind.sample());
    cog.nodata = Some(kind.nodata());
    cog.scale = kind.step(one);
    let values = match kind {
        OutputKind::F32 => "as the network gives them; NaN = no data".to_string(),
        _ => format!("the network's numbers in steps of {}, from one step on; 0 = no data", cog.scale),
    };
    cog.metadata = provenance(&options.job, input, model, &values)?;
    Ok(cog)
}

fn map_spec(options: &MapOptions, input: &Input, bands: Vec<String>, sample: SampleType) -> CogSpec {
    let mut cog = cog_spec(input, bands, sample);
    cog.mask = options.mask;
    cog.compression = options.compression;
    cog.level = options.compression_level;
    cog
}

/// A raster on the input's grid.
fn cog_spec(input: &Input, bands: Vec<String>, sample: SampleType) -> CogSpec {
    let grid = input.series.grid();
    let mut cog = CogSpec::new(grid.width, grid.height, bands, sample);
    cog.georef = grid.georef.clone();
    cog.tile = BLOCK;
    cog
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_one_for_all_or_one_each() {
        assert_eq!(thresholds(&[], 2, Task::BinSegment).unwrap(), [0.5, 0.5]);
        assert_eq!(thresholds(&[], 2, Task::Segment).unwrap(), [f32::NEG_INFINITY; 2]);
        assert_eq!(thresholds(&[0.7], 2, Task::Segment).unwrap(), [0.7, 0.7]);
        assert_eq!(thresholds(&[0.7, 0.1], 2, Task::BinSegment).unwrap(), [0.7, 0.1]);
        assert!(thresholds(&[0.7, 0.1], 3, Task::BinSegment).is_err());
    }
}
