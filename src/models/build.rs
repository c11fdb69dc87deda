//! A network's graph for one input size, checked against what the network can take.

use super::family::{Network, Outputs};
use crate::error::{Error, Result};
use crate::graph::{Builder, Graph, Mode, Var};
use crate::kernel::boxes::NO_BOX;
use crate::kernel::samples::{ChannelScale, MAX_CHANNELS};
use crate::tensor::DType;

/// Largest batch, number of frames and side of an input.
const MAX_BATCH: usize = 1 << 16;
const MAX_SIDE: usize = 1 << 16;

/// Name of the input of every network here.
pub const INPUT: &str = "input";

/// Name of the result where there is one.
pub const OUTPUT: &str = "output";

/// End of the name of a detector's rows, (n, capacity, 6): box, score, label; see [`crate::ops::Nms`].
pub const DETECTIONS: &str = "_detections";

/// Numbers of one of its rows.
pub const DETECTION_ROW: usize = 6;

/// Score of a detector's row that holds no object.
pub const NO_OBJECT: f32 = NO_BOX;

/// Side of their masks.
pub const MASK_SIDE: usize = 28;

/// Most detections of an image.
pub const MAX_DETECTIONS: usize = 100;

/// End of the name of their masks, (n, capacity, h, w).
pub const MASKS: &str = "_masks";

/// The results of a network that has one.
pub(super) fn one_output(y: Var<'_>) -> Outputs<'_> {
    vec![(OUTPUT.to_string(), y)]
}

/// Extents of an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputSize {
    /// Items computed at once.
    pub batch: usize,
    /// Frames (dates) of each.
    pub frames: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

/// Samples of files as a network's input: the graph begins with what makes numbers of them.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleInput {
    /// Their type.
    pub samples: DType,
    /// How a frame's channels become the network's.
    pub channels: Vec<ChannelScale>,
}

impl SampleInput {
    /// Samples that can stand for numbers: where no frame has a pixel, the network's 0 does, which must be a sample of
    /// each channel.
    pub fn new(samples: DType, channels: &[ChannelScale]) -> Option<Self> {
        let mut back = [0; 4];
        let is_sample = |zero: f32| {
            let bytes = &mut back[..samples.size()];
            samples.store(&[zero], bytes);
            samples.load(bytes).eq([zero])
        };
        let possible = channels.len() <= MAX_CHANNELS && channels.iter().map(|c| c.zero).all(is_sample);
        possible.then(|| Self { samples, channels: channels.to_vec() })
    }
}

/// The graph of a network for inputs of one size: input [`INPUT`], output [`OUTPUT`] where there is one.
///
/// # Errors
/// `Shape` for a size the network cannot take, `Limit` for one over all bounds.
pub fn graph(network: &dyn Network, size: InputSize) -> Result<Graph> {
    graph_of(network, size, None)
}

/// The same, of samples where they are given.
///
/// # Errors
/// As [`graph`].
pub fn graph_of(network: &dyn Network, size: InputSize, samples: Option<&SampleInput>) -> Result<Graph> {
    check(network, size)?;
    let b = Builder::new(Mode::Infer);
    let dims = network.input().dims(size.batch, size.frames, size.height, size.width);
    let x = match samples {
        None => b.input(INPUT, &dims),
        Some(of) => b.input_of_samples(INPUT, &dims, of.samples).normalise(&of.channels),
    };
    for (name, y) in network.build(&b, x) {
        b.output(&name, y);
    }
    b.finish()
}

/// The graph for the smallest input: what parameters and names there are.
///
/// # Errors
/// As [`graph`]; `Shape` for shapes of layers that do not fit together.
pub fn smallest_graph(network: &dyn Network) -> Result<Graph> {
    let free = network.for_scenes();
    let network = free.as_deref().unwrap_or(network);
    let input = network.input();
    let side = input.min_side.next_multiple_of(input.multiple);
    graph(network, InputSize { batch: 1, frames: input.default_frames, height: side, width: side })
}

fn check(network: &dyn Network, size: InputSize) -> Result<()> {
    let input = network.input();
    let InputSize { batch, frames, height, width } = size;
    if !input.frames.contains(&frames) {
        let (from, to) = (input.frames.start(), input.frames.end());
        let wanted = if from == to { from.to_string() } else { format!("{from} to {to}") };
        return Err(Error::shape(format!("{frames} frames, but this network runs on {wanted}")));
    }
    if height % input.multiple != 0 || width % input.multiple != 0 {
        let message =
            format!("{height} x {width} pixels, but this network takes multiples of {}", input.multiple);
        return Err(Error::shape(message));
    }
    if height.min(width) < input.min_side {
        let message =
            format!("{height} x {width} pixels, but this network takes at least {} a side", input.min_side);
        return Err(Error::shape(message));
    }
    if batch == 0 || batch > MAX_BATCH || height > MAX_SIDE || width > MAX_SIDE {
        let message = format!(
            "an input of {batch} x {height} x {width} (at most {MAX_BATCH} x {MAX_SIDE} x {MAX_SIDE})"
        );
        return Err(Error::limit(message));
    }
    Ok(())
}
