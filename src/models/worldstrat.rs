//! What SRCNN and HighResNet share: they take frames apart, encode each by the same two
//! convolutions, and end in the same pixel-shuffle head. All their convolutions reflect the border.

use std::ops::RangeInclusive;

use super::bands::{frame_bands, PUBLISHED};
use super::options::Options;
use super::spec::{Band, Frames, InputSpec, OutputSpec};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::ops::Conv2d;
use crate::weights::Names;

/// Options that both understand.
pub(super) const OPTIONS: &[&str] = &[
    "type",
    "revisits",
    "n_s2_images",
    "s2_bands",
    "in_channels",
    "out_channels",
    "hidden_channels",
    "kernel_size",
    "residual_layers",
    "zoom_factor",
    "sr_kernel_size",
    "output_size",
    "use_reference_frame",
];

/// Whether the names are SRCNN's or HighResNet's.
pub(super) fn is_worldstrat(names: &Names) -> bool {
    names.contains("encoder.doubleconv2d.0.weight") && names.contains("sr.upsample.1.weight")
}

/// Whether SRCNN and HighResNet cannot be told apart: one frame, and no layer of the fusion saved.
pub(super) fn may_be_either(names: &Names) -> bool {
    is_worldstrat(names) && !names.has_prefix("fusion.") && frames_of_mixer(names) == Some(1)
}

/// T, by the input of the convolution that mixes all frames.
pub(super) fn frames_of_mixer(names: &Names) -> Option<usize> {
    let mixer = ["doubleconv2d.doubleconv2d.0.weight", "fusion.0.doubleconv2d.0.weight"];
    let [hidden, stacked, ..] = mixer.iter().find_map(|name| names.conv(name).ok())?;
    (stacked % hidden == 0).then_some(stacked / hidden)
}

/// Numbers of either network.
#[derive(Debug, Clone, PartialEq)]
pub struct Common {
    /// Channels of one frame, C.
    pub channels: usize,
    /// A frame's bands in channel order; empty when unknown.
    pub bands: Vec<Band>,
    /// Whether the frames' median is concatenated to every frame.
    pub reference_frame: bool,
    /// Hidden channels, h.
    pub hidden: usize,
    /// Side of the encoder's and body's kernels.
    pub kernel: usize,
    /// Output pixels per hidden pixel, z: the head's pixel-shuffle.
    pub zoom: usize,
    /// Side of the head's kernels.
    pub head_kernel: usize,
    /// Output channels.
    pub out_channels: usize,
}

impl Common {
    /// Reads the numbers off the shapes.
    ///
    /// # Errors
    /// `Weights` for shapes that neither network has, `Unsupported` for mask channels, `Usage` for
    /// `--set` options that contradict the shapes.
    pub fn configure(names: &Names, options: &Options, warnings: &mut Vec<String>) -> Result<Self> {
        let [hidden, encoded, kernel, _] = names.conv("encoder.doubleconv2d.0.weight")?;
        let [_, shuffled, head_kernel, _] = names.conv("sr.upsample.1.weight")?;
        let [out_channels, ..] = names.conv("sr.upsample.4.weight")?;
        let masks = names.shape("mask_encoder.1.doubleconv2d.0.weight").and_then(|s| s.get(1)).copied();
        if masks.is_some_and(|m| m > 0) {
            return Err(Error::unsupported(
                "a network with mask channels, which the reference cannot run either",
            ));
        }
        let zoom = (hidden / shuffled).isqrt();
        if zoom * zoom * shuffled != hidden {
            return Err(Error::weights(format!(
                "{hidden} hidden channels cannot be shuffled into {shuffled} channels of larger images"
            )));
        }
        let reference_frame = reference_frame(encoded, options)?;
        let channels = if reference_frame { encoded / 2 } else { encoded };
        let bands = frame_bands(channels, PUBLISHED, options, warnings)?;
        for (key, derived) in [
            ("in_channels", channels),
            ("hidden_channels", hidden),
            ("kernel_size", kernel),
            ("zoom_factor", zoom),
            ("sr_kernel_size", head_kernel),
            ("out_channels", out_channels),
        ] {
            options.agree(key, derived, warnings)?;
        }
        Ok(Self { channels, bands, reference_frame, hidden, kernel, zoom, head_kernel, out_channels })
    }

    /// What the network takes, on so many frames.
    pub(super) fn input(&self, frames: RangeInclusive<usize>, default_frames: usize) -> InputSpec {
        InputSpec {
            frames,
            default_frames,
            channels: self.channels,
            bands: self.bands.clone(),
            layout: Frames::Apart,
            multiple: 1,
            step: 1,
            min_side: self.min_side(),
        }
    }

    /// What it gives.
    pub(super) fn output(&self) -> OutputSpec {
        OutputSpec { channels: self.out_channels, scale: self.zoom }
    }

    /// Smallest side that the reflections allow.
    pub fn min_side(&self) -> usize {
        (self.kernel / 2 + 1).max((self.head_kernel / 2 + 1).div_ceil(self.zoom))
    }

    /// Every frame through the encoder: (n, t, c, h, w) to (n·t, hidden, h, w).
    pub(super) fn encode<'b>(&self, b: &'b Builder, x: Var<'b>) -> Var<'b> {
        let [n, t, c, h, w] = [0, 1, 2, 3, 4].map(|axis| x.dim(axis));
        let x = if self.reference_frame {
            let median = x.median(1).reshape(&[n, 1, c, h, w]);
            let repeated = if t > 1 { median.concat(&vec![median; t - 1], 1) } else { median };
            x.concat(&[repeated], 2)
        } else {
            x
        };
        let frames = x.reshape(&[n * t, x.dim(2), h, w]);
        double_conv(b, "encoder", frames, self.hidden, self.kernel).name("encoder")
    }

    /// The head: (n, hidden, h, w) to (n, out, z·h, z·w). Its last activation acts on the image.
    pub(super) fn head<'b>(&self, b: &'b Builder, x: Var<'b>) -> Var<'b> {
        let _scope = b.scope("sr.upsample");
        let inner = self.hidden / (self.zoom * self.zoom);
        let y = x.pixel_shuffle(self.zoom).name("0");
        let y = prelu(b, "3", conv(b, "1", y, inner, self.head_kernel));
        prelu(b, "6", conv(b, "4", y, self.out_channels, self.head_kernel))
    }

    /// Options that give these numbers.
    pub fn config(&self) -> Vec<(&'static str, String)> {
        let bands: Vec<&str> = self.bands.iter().map(|b| b.name.as_str()).collect();
        vec![
            ("in_channels", self.channels.to_string()),
            ("s2_bands", bands.join(",")),
            ("use_reference_frame", self.reference_frame.to_string()),
            ("hidden_channels", self.hidden.to_string()),
            ("kernel_size", self.kernel.to_string()),
            ("zoom_factor", self.zoom.to_string()),
            ("sr_kernel_size", self.head_kernel.to_string()),
            ("out_channels", self.out_channels.to_string()),
        ]
    }
}

/// Whether half of the encoder's input is the reference frame: told by options, else assumed for
/// six channels, since the published networks see RGB.
fn reference_frame(encoded: usize, options: &Options) -> Result<bool> {
    let told = options.flag("use_reference_frame")?;
    if told == Some(true) && !encoded.is_multiple_of(2) {
        return Err(Error::usage(format!(
            "use_reference_frame needs an even number of input channels, but the encoder has {encoded}"
        )));
    }
    Ok(match (told, options.count("in_channels")?) {
        (Some(told), _) => told,
        (None, Some(channels)) if channels == encoded || 2 * channels == encoded => 2 * channels == encoded,
        _ => encoded == 6,
    })
}

/// A convolution with bias over an image mirrored at its edge.
pub(super) fn conv<'b>(b: &'b Builder, name: &str, x: Var<'b>, c_out: usize, kernel: usize) -> Var<'b> {
    let scope = b.scope(name);
    let w = scope.param("weight", &[c_out, x.dim(1), kernel, kernel]);
    let bias = scope.param("bias", &[c_out]);
    x.conv2d(w, Some(bias), Conv2d::same(kernel).reflect())
}

/// A PReLU with one slope for all channels.
pub(super) fn prelu<'b>(b: &'b Builder, name: &str, x: Var<'b>) -> Var<'b> {
    x.prelu(b.scope(name).param("weight", &[1]))
}

/// Two convolutions, each with a PReLU.
pub(super) fn double_conv<'b>(
    b: &'b Builder,
    name: &str,
    x: Var<'b>,
    c_out: usize,
    kernel: usize,
) -> Var<'b> {
    let _module = b.scope(name);
    let _layers = b.scope("doubleconv2d");
    let y = prelu(b, "2", conv(b, "0", x, c_out, kernel));
    prelu(b, "6", conv(b, "4", y, c_out, kernel))
}

/// x plus its double convolution.
pub(super) fn residual<'b>(b: &'b Builder, name: &str, x: Var<'b>, kernel: usize) -> Var<'b> {
    let _scope = b.scope(name);
    x.add(double_conv(b, "residualblock", x, x.dim(1), kernel))
}

/// An image batch as a batch of series of one image each, the shape the reference gives.
pub(super) fn as_series<'b>(y: Var<'b>) -> Var<'b> {
    y.reshape(&[y.dim(0), 1, y.dim(1), y.dim(2), y.dim(3)])
}

/// Names of the encoder for masks, which is saved but never used.
pub(super) fn is_mask_encoder(name: &str) -> bool {
    name.starts_with("mask_encoder.")
}
