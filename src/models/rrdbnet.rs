//! SSR_RRDBNet, the generator of the Satlas super-resolution ESRGAN: frames stacked on the channel
//! axis, residual-in-residual dense blocks at input resolution, nearest upsampling, RGB out.

use super::bands::Stack;
use super::build::one_output;
use super::family::{Family, Network, Outputs};
use super::options::Options;
use super::spec::{Frames, InputSpec, OutputSpec, Overlap};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::ops::Conv2d;
use crate::weights::{Names, Rename};

/// Its line in the table of families.
pub const FAMILY: Family = Family {
    id: "rrdbnet",
    title: "SSR ESRGAN generator (RRDBNet)",
    types: &["SSR_RRDBNet", "RRDBNet"],
    detect: |names| names.contains("conv_first.weight") && names.contains("body.0.rdb1.conv1.weight"),
    renames: &[
        Rename { from: "RRDB_trunk.*.RDB*.conv*.*", to: "body.*.rdb*.conv*.*" },
        Rename { from: "trunk_conv.*", to: "conv_body.*" },
        Rename { from: "upconv*.*", to: "conv_up*.*" },
        Rename { from: "HRconv.*", to: "conv_hr.*" },
    ],
    options: &[
        "type",
        "scale",
        "n_s2_images",
        "s2_bands",
        "num_in_ch",
        "num_out_ch",
        "num_feat",
        "num_block",
        "num_grow_ch",
    ],
    overlap: Overlap::Pixels(16),
    repeats_pixels: false,
    largest_tile: 256,
    configure: |names, options, warnings| Ok(Box::new(RrdbNet::configure(names, options, warnings)?)),
};

/// The generator's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct RrdbNet {
    /// Frames and bands of the input.
    pub stack: Stack,
    /// Output channels.
    pub out_channels: usize,
    /// Channels between blocks, F.
    pub features: usize,
    /// Channels that each convolution of a dense block adds, G.
    pub growth: usize,
    /// Residual-in-residual blocks, B.
    pub blocks: usize,
    /// Output pixels per input pixel: 1, 2, 4, 8 or 16.
    pub scale: usize,
}

/// Side of the squares of input pixels that become channels, so that the ×4 network gives `scale`.
fn unshuffle(scale: usize) -> usize {
    match scale {
        1 => 4,
        2 => 2,
        _ => 1,
    }
}

impl RrdbNet {
    /// Reads the numbers off the shapes. Scale 1 and 2 look like scale 4 with more channels, so
    /// they must be told by the option `scale`.
    ///
    /// # Errors
    /// `Weights` for shapes that no RRDBNet has, `Usage` for options that contradict them.
    pub fn configure(names: &Names, options: &Options, warnings: &mut Vec<String>) -> Result<Self> {
        let [features, in_channels, ..] = names.conv("conv_first.weight")?;
        let [growth, ..] = names.conv("body.0.rdb1.conv1.weight")?;
        let [out_channels, ..] = names.conv("conv_last.weight")?;
        let blocks = names.count("body.{}.rdb1.conv1.weight");
        let scale = scale(names, options, warnings)?;
        let pixels = unshuffle(scale) * unshuffle(scale);
        if in_channels % pixels != 0 {
            return Err(Error::usage(format!(
                "scale={scale} turns {pixels} pixels into channels, but the first convolution's {in_channels} \
                 channels are no multiple of that"
            )));
        }
        let stack = Stack::split(in_channels / pixels, options, warnings)?;
        options.agree("num_in_ch", in_channels / pixels, warnings)?;
        options.agree("num_out_ch", out_channels, warnings)?;
        options.agree("num_feat", features, warnings)?;
        options.agree("num_block", blocks, warnings)?;
        options.agree("num_grow_ch", growth, warnings)?;
        Ok(Self { stack, out_channels, features, growth, blocks, scale })
    }

    /// Further upsampling convolutions after the two that every network has.
    fn extra_ups(&self) -> usize {
        match self.scale {
            8 => 1,
            16 => 2,
            _ => 0,
        }
    }
}

/// Output pixels per input pixel, from `conv_up3`, `conv_up4` and the option `scale`. As in the
/// reference, a told scale that is none of 1, 2, 8, 16 (3, for one) runs as 4.
fn scale(names: &Names, options: &Options, warnings: &mut Vec<String>) -> Result<usize> {
    let derived = match (names.contains("conv_up3.weight"), names.contains("conv_up4.weight")) {
        (true, true) => 16,
        (true, false) => 8,
        _ => 4,
    };
    match options.count("scale")? {
        Some(told @ (1 | 2)) if derived == 4 => Ok(told),
        Some(1 | 2 | 8 | 16) => options.agree("scale", derived, warnings).map(|()| derived),
        Some(told) if told != derived => {
            warnings.push(format!("scale={told} has no layers of its own: these tensors give {derived}"));
            Ok(derived)
        }
        _ => Ok(derived),
    }
}

impl Network for RrdbNet {
    fn family(&self) -> &'static str {
        FAMILY.id
    }

    fn config(&self) -> Vec<(&'static str, String)> {
        vec![
            ("scale", self.scale.to_string()),
            ("n_s2_images", self.stack.frames.to_string()),
            ("s2_bands", self.stack.band_list()),
            ("num_in_ch", (self.stack.frames * self.stack.channels).to_string()),
            ("num_out_ch", self.out_channels.to_string()),
            ("num_feat", self.features.to_string()),
            ("num_block", self.blocks.to_string()),
            ("num_grow_ch", self.growth.to_string()),
        ]
    }

    fn input(&self) -> InputSpec {
        InputSpec {
            frames: self.stack.frames..=self.stack.frames,
            default_frames: self.stack.frames,
            channels: self.stack.channels,
            bands: self.stack.bands.clone(),
            layout: Frames::Stacked,
            multiple: unshuffle(self.scale),
            step: unshuffle(self.scale),
            min_side: unshuffle(self.scale),
        }
    }

    fn output(&self) -> OutputSpec {
        OutputSpec { channels: self.out_channels, scale: self.scale }
    }

    fn build<'b>(&self, b: &'b Builder, x: Var<'b>) -> Outputs<'b> {
        let unshuffle = unshuffle(self.scale);
        let x = if unshuffle > 1 { x.pixel_unshuffle(unshuffle) } else { x };
        let first = conv3x3(b, "conv_first", x, self.features);
        let mut body = first;
        for block in 0..self.blocks {
            body = self.block(b, &format!("body.{block}"), body);
        }
        // The last block's result has two names; a value has one.
        let body = body.reshape(&body.shape()).name("body");
        let mut y = first.add(conv3x3(b, "conv_body", body, self.features));
        for up in 1..=2 + self.extra_ups() {
            y = conv3x3(b, &format!("conv_up{up}"), y.upsample_nearest(2), self.features).leaky_relu(SLOPE);
        }
        let y = conv3x3(b, "conv_hr", y, self.features).leaky_relu(SLOPE);
        one_output(conv3x3(b, "conv_last", y, self.out_channels))
    }
}

/// Slope of all activations below zero.
const SLOPE: f32 = 0.2;

/// How much of a block's change is added to its input.
const RESIDUAL: f32 = 0.2;

impl RrdbNet {
    /// Three dense blocks within one more residual.
    fn block<'b>(&self, b: &'b Builder, name: &str, x: Var<'b>) -> Var<'b> {
        let _scope = b.scope(name);
        let y = (1..=3).fold(x, |y, k| self.dense_block(b, &format!("rdb{k}"), y));
        x.scaled_add(RESIDUAL, y).name("")
    }

    /// Five convolutions, each of which sees the outputs of all before it.
    fn dense_block<'b>(&self, b: &'b Builder, name: &str, x: Var<'b>) -> Var<'b> {
        let _scope = b.scope(name);
        let mut grown = vec![conv3x3(b, "conv1", x, self.growth).leaky_relu(SLOPE)];
        for k in 2..=4 {
            let seen = x.concat(&grown, 1);
            grown.push(conv3x3(b, &format!("conv{k}"), seen, self.growth).leaky_relu(SLOPE));
        }
        x.scaled_add(RESIDUAL, conv3x3(b, "conv5", x.concat(&grown, 1), self.features)).name("")
    }
}

/// A 3×3 convolution with bias that keeps the image's size, zeros outside of it.
fn conv3x3<'b>(b: &'b Builder, name: &str, x: Var<'b>, c_out: usize) -> Var<'b> {
    let scope = b.scope(name);
    let w = scope.param("weight", &[c_out, x.dim(1), 3, 3]);
    let bias = scope.param("bias", &[c_out]);
    x.conv2d(w, Some(bias), Conv2d::same(3)).name("")
}
