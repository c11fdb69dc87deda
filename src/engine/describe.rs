//! What a weights file holds, for people (`swath info`, `swath weights inspect`) and as JSON.

use std::fmt;

use serde::Serialize;

use super::model::LoadedModel;
use crate::error::Result;
use crate::graph::{halo, Halo};
use crate::models::{graph, Frames, InputSize, Network, Overlap, INPUT, OUTPUT};

/// Side of the image whose cost is stated: a chip of the training sets.
const CHIP: usize = 32;

/// A weights file in figures.
#[derive(Debug, Clone, Serialize)]
pub struct Description {
    /// The file.
    pub file: String,
    /// Its container.
    pub format: String,
    /// Key of the chosen state dict; empty when the file is one.
    pub param_key: String,
    /// Id of the family.
    pub family: &'static str,
    /// What that is.
    pub title: &'static str,
    /// The network's numbers, as `--set` takes them.
    pub config: Vec<(&'static str, String)>,
    /// Extents of an input, sizes that are free as letters.
    pub input: String,
    /// Bands of one frame in channel order.
    pub bands: Vec<String>,
    /// Output channels.
    pub output_channels: usize,
    /// Output pixels per input pixel along each side.
    pub scale: usize,
    /// Names of its results, with their extents for one 32×32 input.
    pub outputs: Vec<String>,
    /// Tensors that the network uses.
    pub tensors: usize,
    /// Values in them.
    pub parameters: usize,
    /// Element types of the tensors.
    pub dtypes: Vec<String>,
    /// Multiplications with additions for one 32×32 input, in thousand millions.
    pub gmac_per_chip: f64,
    /// Input pixels around a pixel that its result depends on; `None` when all do.
    pub exact_halo: Option<usize>,
    /// Overlap of tiles unless another is asked for, in input pixels.
    pub default_overlap: Option<usize>,
    /// What is odd.
    pub warnings: Vec<String>,
}

impl LoadedModel {
    /// The file in figures.
    ///
    /// # Errors
    /// `Shape` for layers that do not fit together.
    pub fn describe(&self) -> Result<Description> {
        let network = self.network();
        let (input, output) = (network.input(), network.output());
        let frames = match (input.frames.start(), input.frames.end()) {
            (from, to) if from == to => from.to_string(),
            (from, to) => format!("{from}..{to}"),
        };
        let mut dtypes: Vec<String> = self.weights().tensors().iter().map(|t| t.dtype.to_string()).collect();
        dtypes.sort();
        dtypes.dedup();
        let chip = scene_graph(network, CHIP.next_multiple_of(input.multiple))?;
        let used: Vec<usize> = chip.params().map(|(_, value)| value.spec.shape.numel()).collect();
        let exact_halo = self.halo()?.map(|halo| halo.radius);
        Ok(Description {
            file: self.weights().path().display().to_string(),
            format: self.weights().checkpoint().format().to_string(),
            param_key: self.weights().wrapper().to_string(),
            family: self.family().id,
            title: self.family().title,
            config: network.config(),
            input: match input.layout {
                Frames::Stacked => format!("N, {frames}·{}, H, W", input.channels),
                Frames::Apart => format!("N, {frames}, {}, H, W", input.channels),
            },
            bands: input.bands.iter().map(|b| b.name.clone()).collect(),
            output_channels: output.channels,
            scale: output.scale,
            outputs: chip
                .outputs
                .iter()
                .map(|(name, id)| format!("{name} {}", chip.value(*id).spec.shape))
                .collect(),
            tensors: used.len(),
            parameters: used.iter().sum(),
            dtypes,
            gmac_per_chip: chip.cost().flops as f64 / 2e9,
            exact_halo,
            default_overlap: match self.family().overlap {
                Overlap::Exact => exact_halo,
                Overlap::Pixels(pixels) => Some(exact_halo.map_or(pixels, |halo| halo.min(pixels))),
            },
            warnings: self.warnings().to_vec(),
        })
    }

    /// How far the network sees, for inputs of any size; `None` when its output depends on all pixels.
    ///
    /// # Errors
    /// `Shape` for layers that do not fit together.
    pub fn halo(&self) -> Result<Option<Halo>> {
        let side = CHIP.next_multiple_of(self.network().input().multiple);
        let graph = scene_graph(self.network(), side)?;
        let output = graph.outputs.first().map_or(OUTPUT, |(name, _)| name);
        halo(&graph, output, INPUT)
    }
}

fn scene_graph(network: &dyn Network, side: usize) -> Result<crate::graph::Graph> {
    let free = network.for_scenes();
    let network = free.as_deref().unwrap_or(network);
    let frames = network.input().default_frames;
    graph(network, InputSize { batch: 1, frames, height: side, width: side })
}

impl fmt::Display for Description {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |key: &str, text: &str| writeln!(f, "{key:<12} {text}");
        line("file", &self.file)?;
        let key = if self.param_key.is_empty() { String::new() } else { format!(", key {}", self.param_key) };
        line("format", &format!("{}{key}", self.format))?;
        line("network", &format!("{} ({})", self.title, self.family))?;
        let config: Vec<String> =
            self.config.iter().filter(|(_, v)| !v.is_empty()).map(|(k, v)| format!("{k}={v}")).collect();
        line("options", &config.join(" "))?;
        let bands = if self.bands.is_empty() {
            "; bands unknown, name them by --set s2_bands=…".to_string()
        } else {
            format!("; frames of {}", self.bands.join(", "))
        };
        line("input", &format!("{}{bands}", self.input))?;
        match self.output_channels {
            0 => line("outputs", &format!("{}; for {CHIP} x {CHIP} pixels", self.outputs.join(", ")))?,
            n => line("output", &format!("N, {n}, {0}·H, {0}·W", self.scale))?,
        }
        line(
            "parameters",
            &format!("{} in {} tensors, {}", self.parameters, self.tensors, self.dtypes.join(", ")),
        )?;
        line("cost", &format!("{:.3} GMAC for {CHIP} x {CHIP} pixels", self.gmac_per_chip))?;
        line(
            "halo",
            &format!("{}; tiles overlap by {}", pixels(self.exact_halo), pixels(self.default_overlap)),
        )?;
        self.warnings.iter().try_for_each(|warning| line("warning", warning))
    }
}

fn pixels(count: Option<usize>) -> String {
    count.map_or("the whole image".to_string(), |n| format!("{n} px"))
}
