//! HighResNet: frames encoded one by one, then halved again and again by one shared fusion block
//! until a single map is left, enlarged by a pixel-shuffle. Frames missing to a power of two are
//! zeros.

use super::build::one_output;
use super::family::{Alias, Family, Network, Outputs};
use super::options::Options;
use super::spec::{InputSpec, OutputSpec, Overlap};
use super::worldstrat::{self, as_series, conv, frames_of_mixer, is_worldstrat, prelu, residual, Common};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::weights::Names;

/// Its line in the table of families.
pub const FAMILY: Family = Family {
    id: "highresnet",
    title: "HighRes-net, recursive fusion of dates",
    types: &["HighResNet"],
    detect: |names| is_worldstrat(names) && !names.has_prefix("fusion.0."),
    renames: &[],
    options: worldstrat::OPTIONS,
    overlap: Overlap::Exact,
    repeats_pixels: false,
    largest_tile: 256,
    configure: |names, options, warnings| Ok(Box::new(HighResNet::configure(names, options, warnings)?)),
};

/// Most rounds of fusion: 1024 frames.
const MAX_ROUNDS: usize = 10;

/// HighResNet's numbers.
#[derive(Debug, Clone, PartialEq)]
pub struct HighResNet {
    /// What it shares with SRCNN.
    pub common: Common,
    /// Number of frames it was made for.
    pub revisits: usize,
    /// Rounds of fusion, L: it runs on more than 2^(L-1) and at most 2^L frames.
    pub rounds: usize,
}

impl HighResNet {
    /// Reads the numbers off the shapes.
    ///
    /// # Errors
    /// As [`Common::configure`]; `Limit` for more rounds than 1024 frames need.
    pub fn configure(names: &Names, options: &Options, warnings: &mut Vec<String>) -> Result<Self> {
        let common = Common::configure(names, options, warnings)?;
        let rounds = names.count("fusion.fusion.{}.fuse.1.weight");
        if rounds > MAX_ROUNDS {
            return Err(Error::limit(format!("{rounds} rounds of fusion (at most {MAX_ROUNDS})")));
        }
        let range = frame_range(rounds);
        // The mixer that SRCNN uses is saved here too, and remembers the number of frames.
        let mut revisits = frames_of_mixer(names).filter(|t| range.contains(t)).unwrap_or(1 << rounds);
        for key in ["revisits", "n_s2_images"] {
            match options.count(key)? {
                Some(told) if range.contains(&told) => revisits = told,
                Some(_) => {
                    options.contradiction(key, &format!("{} to {}", range.start(), range.end()), warnings)?
                }
                None => {}
            }
        }
        Ok(Self { common, revisits, rounds })
    }
}

impl HighResNet {
    /// The block that every round shares: two maps, concatenated, to one.
    fn fuse<'b>(&self, b: &'b Builder, pair: Var<'b>) -> Var<'b> {
        let _scope = b.scope("fusion.fusion.0.fuse");
        let y = residual(b, "0", pair, self.common.kernel);
        prelu(b, "3", conv(b, "1", y, self.common.hidden, self.common.kernel))
    }
}

/// Numbers of frames that need exactly `rounds` halvings.
fn frame_range(rounds: usize) -> std::ops::RangeInclusive<usize> {
    match rounds {
        0 => 1..=1,
        _ => (1 << (rounds - 1)) + 1..=1 << rounds,
    }
}

impl Network for HighResNet {
    fn family(&self) -> &'static str {
        FAMILY.id
    }

    fn config(&self) -> Vec<(&'static str, String)> {
        let mut config = self.common.config();
        config.push(("revisits", self.revisits.to_string()));
        config
    }

    fn input(&self) -> InputSpec {
        self.common.input(frame_range(self.rounds), self.revisits)
    }

    fn output(&self) -> OutputSpec {
        self.common.output()
    }

    fn build<'b>(&self, b: &'b Builder, x: Var<'b>) -> Outputs<'b> {
        let [n, t, h, w] = [0, 1, 3, 4].map(|axis| x.dim(axis));
        let hidden = self.common.hidden;
        let mut frames = 1usize << self.rounds;
        let y = self.common.encode(b, x).reshape(&[n, t, hidden, h, w]);
        let mut y = if t < frames { y.pad_axis(1, 0, frames - t) } else { y };
        for round in 0..self.rounds {
            frames /= 2;
            let paired = y.slice(1, 0..frames).concat(&[y.slice(1, frames..2 * frames)], 2);
            let fused = self.fuse(b, paired.reshape(&[n * frames, 2 * hidden, h, w]));
            y = fused.reshape(&[n, frames, hidden, h, w]).name(&format!("fusion.fusion.{round}"));
        }
        one_output(as_series(self.common.head(b, y.reshape(&[n, hidden, h, w]))))
    }

    fn aliases(&self) -> Vec<Alias> {
        (1..self.rounds).map(|l| ("fusion.fusion.0.".to_string(), format!("fusion.fusion.{l}."))).collect()
    }

    fn is_unused(&self, name: &str) -> bool {
        worldstrat::is_mask_encoder(name)
            || name.starts_with("doubleconv2d.")
            || name.starts_with("residualblocks.")
    }
}
