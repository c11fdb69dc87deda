//! SRCNN: frames encoded one by one, concatenated, mixed by convolutions, enlarged by a
//! pixel-shuffle and, where an output size is told, resized to it. Runs on exactly T frames.

use super::build::one_output;
use super::family::{Alias, Family, Network, Outputs};
use super::options::Options;
use super::spec::{InputSpec, OutputSpec, Overlap};
use super::worldstrat::{self, as_series, double_conv, frames_of_mixer, is_worldstrat, residual, Common};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::weights::Names;

/// Its line in the table of families.
pub const FAMILY: Family = Family {
    id: "srcnn",
    title: "SRCNN over several dates",
    types: &["SRCNN"],
    detect: |names| {
        is_worldstrat(names)
            && !names.has_prefix("fusion.fusion.")
            && (names.has_prefix("fusion.0.") || frames_of_mixer(names).is_some_and(|t| t > 1))
    },
    renames: &[],
    options: worldstrat::OPTIONS,
    overlap: Overlap::Exact,
    repeats_pixels: false,
    largest_tile: 256,
    configure: |names, options, warnings| Ok(Box::new(Srcnn::configure(names, options, warnings)?)),
};

/// SRCNN's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct Srcnn {
    /// What it shares with HighResNet.
    pub common: Common,
    /// Number of frames, T.
    pub revisits: usize,
    /// Residual blocks after the mixing convolutions.
    pub residual_layers: usize,
    /// Shorter side of the output; `None` leaves it at zoom times the input.
    pub output_size: Option<usize>,
}

impl Srcnn {
    /// Reads the numbers off the shapes; `output_size` comes from options.
    ///
    /// # Errors
    /// As [`Common::configure`].
    pub fn configure(names: &Names, options: &Options, warnings: &mut Vec<String>) -> Result<Self> {
        let common = Common::configure(names, options, warnings)?;
        let revisits = frames_of_mixer(names).ok_or_else(|| {
            Error::weights("no convolution that mixes frames (doubleconv2d.doubleconv2d.0.weight)")
        })?;
        let residual_layers = names
            .count("residualblocks.{}.residualblock.doubleconv2d.0.weight")
            .max(names.count("fusion.1.{}.residualblock.doubleconv2d.0.weight"));
        options.agree("revisits", revisits, warnings)?;
        options.agree("n_s2_images", revisits, warnings)?;
        options.agree("residual_layers", residual_layers, warnings)?;
        Ok(Self { common, revisits, residual_layers, output_size: options.count("output_size")? })
    }
}

impl Network for Srcnn {
    fn family(&self) -> &'static str {
        FAMILY.id
    }

    fn config(&self) -> Vec<(&'static str, String)> {
        let mut config = self.common.config();
        config.push(("revisits", self.revisits.to_string()));
        config.push(("residual_layers", self.residual_layers.to_string()));
        config.extend(self.output_size.map(|size| ("output_size", size.to_string())));
        config
    }

    fn input(&self) -> InputSpec {
        self.common.input(self.revisits..=self.revisits, self.revisits)
    }

    fn output(&self) -> OutputSpec {
        self.common.output()
    }

    fn build<'b>(&self, b: &'b Builder, x: Var<'b>) -> Outputs<'b> {
        let [n, t, h, w] = [0, 1, 3, 4].map(|axis| x.dim(axis));
        let Common { hidden, kernel, .. } = self.common;
        let stacked = self.common.encode(b, x).reshape(&[n, t * hidden, h, w]);
        let mut y = double_conv(b, "doubleconv2d", stacked, hidden, kernel).name("doubleconv2d");
        for layer in 0..self.residual_layers {
            let name = format!("residualblocks.{layer}");
            y = residual(b, &name, y, kernel).name(&name);
        }
        let y = self.common.head(b, y);
        one_output(as_series(match self.output_size {
            Some(side) => y.resize_kornia(resized(y.dim(2), y.dim(3), side)),
            None => y,
        }))
    }

    fn aliases(&self) -> Vec<Alias> {
        let mut aliases = vec![("doubleconv2d.".to_string(), "fusion.0.".to_string())];
        aliases.push(("residualblocks.".to_string(), "fusion.1.".to_string()));
        aliases
    }

    fn is_unused(&self, name: &str) -> bool {
        worldstrat::is_mask_encoder(name)
    }

    fn for_scenes(&self) -> Option<Box<dyn Network>> {
        self.output_size.map(|_| Box::new(Self { output_size: None, ..self.clone() }) as Box<dyn Network>)
    }
}

/// Rows and columns when the shorter side becomes `side`, truncated as kornia does.
fn resized(height: usize, width: usize, side: usize) -> [usize; 2] {
    let aspect = width as f64 / height as f64;
    if aspect < 1.0 {
        [(side as f64 / aspect) as usize, side]
    } else {
        [side, (side as f64 * aspect) as usize]
    }
}
