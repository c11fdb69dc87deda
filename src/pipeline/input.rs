//! Scenes as a network's input: which bands are read, and how their numbers become the network's.

use super::frames::InputLayout;
use super::job::JobOptions;
use crate::engine::LoadedModel;
use crate::error::{Error, Result};
use crate::models::{Band, SampleInput, Scaling};
use crate::raster::scene::Series;
use crate::raster::warp::Sampling;
use crate::raster::{FrameSource, SampleType};
use crate::tensor::DType;

/// Reflectance above which all of red, green and blue are taken for cloud: ESA's true-colour image saturates at
/// 0.3558, its 8-bit numbers are linear below.
const BRIGHT: f32 = 0.85;

/// A series, and how a network reads it.
pub struct Input {
    /// The dates.
    pub series: Series,
    /// How they become the network's input.
    pub layout: InputLayout,
    /// The samples a device can be given instead of numbers, where the series has whole ones.
    pub samples: Option<SampleInput>,
}

impl Input {
    /// Opens scenes with the bands asked for, or else those the network was trained on, for as many dates as the
    /// network was made for.
    ///
    /// # Errors
    /// What opening says; `Usage` for bands that are not the network's.
    pub fn open(options: &JobOptions, model: &LoadedModel) -> Result<Self> {
        let bands = bands(&options.series.bands, model)?;
        let mut wanted = options.series.clone();
        wanted.bands = bands.iter().flat_map(Band::sources).collect();
        wanted.sampling = options.sampling.unwrap_or(match model.family().repeats_pixels {
            true => Sampling::Nearest,
            false => Sampling::Bilinear,
        });
        let series = Series::open(&options.scenes, wanted)?;
        let layout = layout(model, &bands, series.band_samples())?;
        let samples = samples(series.whole_numbers(), &layout);
        Ok(Self { series, layout, samples })
    }

    /// Takes no more dates than there are, or than asked for, where the network runs on fewer than it was made for.
    ///
    /// # Errors
    /// `Usage` for a number of dates that the network does not run on.
    pub fn limit_dates(&mut self, asked: Option<usize>, model: &LoadedModel) -> Result<()> {
        let input = model.network().input();
        let (least, most) = (*input.frames.start(), *input.frames.end());
        if let Some(asked) = asked.filter(|n| !(least..=most).contains(n)) {
            let runs = match most {
                1 => format!("one date; --set n_s2_images={asked} makes it take the largest of several"),
                _ => format!("{least} to {most} dates"),
            };
            return Err(Error::usage(format!("--dates {asked}: this network runs on {runs}")));
        }
        let there = self.series.frames().len();
        self.layout.frames = asked.unwrap_or(input.default_frames).min(there).clamp(least, most);
        Ok(())
    }
}

/// The bands asked for, or those the network was trained on; their channels must be the network's.
fn bands(asked: &[String], model: &LoadedModel) -> Result<Vec<Band>> {
    let input = model.network().input();
    let bands = match asked.is_empty() {
        true => input.bands.clone(),
        false => Band::ordered(asked),
    };
    let channels: usize = bands.iter().map(|b| b.channels).sum();
    if channels == input.channels {
        return Ok(bands);
    }
    let names: Vec<&str> = bands.iter().map(|b| b.name.as_str()).collect();
    Err(Error::usage(format!(
        "the network takes {} channels a date; {} give {channels}; name its bands by --bands, e.g. tci,b08",
        input.channels,
        if names.is_empty() { "no bands".to_string() } else { names.join(",") }
    )))
}

/// Samples of a series for a device that makes numbers of them.
fn samples(kind: SampleType, layout: &InputLayout) -> Option<SampleInput> {
    match kind {
        SampleType::U8 => SampleInput::new(DType::U8, &layout.channels),
        SampleType::U16 => SampleInput::new(DType::U16, &layout.channels),
        _ => None,
    }
}

/// How the files' numbers become the network's; `samples` has one type for each channel.
fn layout(model: &LoadedModel, bands: &[Band], samples: &[SampleType]) -> Result<InputLayout> {
    let mut channels = Vec::new();
    let each = bands.iter().flat_map(|band| std::iter::repeat_n(band, band.channels));
    for (band, sample) in each.zip(samples) {
        let bytes = *sample == SampleType::U8;
        if band.name == "tci" && !bytes {
            return Err(Error::unsupported(format!(
                "true colour of {sample:?} samples; the networks take the 8-bit true-colour image (TCI)"
            )));
        }
        channels.push(if bytes { Scaling::BYTES } else { band.scaling }.scale());
    }
    let first = channels.first().ok_or_else(|| Error::usage("no bands"))?;
    let radar = bands.first().is_some_and(|b| ["vv", "vh", "hh", "hv"].contains(&b.name.as_str()));
    Ok(InputLayout {
        frames: model.network().input().default_frames,
        // Radar sees through clouds.
        bright: if radar { f32::INFINITY } else { first.invert(BRIGHT) },
        channels,
    })
}
