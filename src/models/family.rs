//! The table of networks: how each is recognised from key names and configured from shapes.

use std::fmt::Debug;

use super::options::Options;
use super::spec::{InputSpec, OutputSpec, Overlap};
use super::{highresnet, rrdbnet, satlas, srcnn, worldstrat};
use crate::error::{Error, Result};
use crate::graph::{Builder, Var};
use crate::weights::{Names, Rename};

/// Reads a network's numbers off names, shapes and options; adds warnings.
pub type Configure = fn(&Names, &Options, &mut Vec<String>) -> Result<Box<dyn Network>>;

/// One kind of network.
pub struct Family {
    /// Short name: `rrdbnet`.
    pub id: &'static str,
    /// What it is, in a few words.
    pub title: &'static str,
    /// Class names that options files give it (`network_g.type`).
    pub types: &'static [&'static str],
    /// Whether a state dict's names are this family's.
    pub detect: fn(&Names) -> bool,
    /// Older spellings of the family's names.
    pub renames: &'static [Rename],
    /// Options it understands.
    pub options: &'static [&'static str],
    /// Overlap of tiles unless another is asked for.
    pub overlap: Overlap,
    /// Whether its images were brought to one grid by repeating coarser pixels.
    pub repeats_pixels: bool,
    /// Side of the largest tiles of a scene unless others are asked for, input pixels.
    pub largest_tile: usize,
    /// The network of the given names and shapes; contradictions of files become warnings.
    pub configure: Configure,
}

/// All families, in the order in which they are tried.
pub const FAMILIES: &[Family] = &[rrdbnet::FAMILY, srcnn::FAMILY, highresnet::FAMILY, satlas::FAMILY];

/// Results of a network by name, the most telling first.
pub type Outputs<'b> = Vec<(String, Var<'b>)>;

/// A tensor saved under two names: the prefix that [`Network::build`] uses, and its copy's.
pub type Alias = (String, String);

/// A network with all its numbers known. Build it as often as needed, for any size.
pub trait Network: Debug + Send + Sync {
    /// Id of its family.
    fn family(&self) -> &'static str;

    /// Options that give this network back from the same tensors, and its other numbers.
    fn config(&self) -> Vec<(&'static str, String)>;

    /// What it eats.
    fn input(&self) -> InputSpec;

    /// What it gives.
    fn output(&self) -> OutputSpec;

    /// Emits the network; parameters carry the checkpoint's names, intermediates their modules'.
    fn build<'b>(&self, b: &'b Builder, x: Var<'b>) -> Outputs<'b>;

    /// Prefixes of tensors saved more than once.
    fn aliases(&self) -> Vec<Alias> {
        Vec::new()
    }

    /// Whether a tensor belongs to the checkpoint, though the network never uses it.
    fn is_unused(&self, _name: &str) -> bool {
        false
    }

    /// Its heads, where it has some: what each measures or finds.
    fn heads(&self) -> &[satlas::Head] {
        &[]
    }

    /// The same network with the head at that place of [`Network::heads`] as its only one, doing a task that its
    /// layers serve; a detector's masks are then a part of its rows.
    fn with_head(&self, _place: usize, _task: satlas::Task) -> Option<Box<dyn Network>> {
        None
    }

    /// The same network without a final size made for training chips: its output is then
    /// [`OutputSpec::scale`] times its input, whatever the input's size.
    fn for_scenes(&self) -> Option<Box<dyn Network>> {
        None
    }
}

/// The family of that id.
pub fn family(id: &str) -> Option<&'static Family> {
    FAMILIES.iter().find(|f| f.id == id)
}

/// The family whose names these are, or the one that option `type` names.
///
/// # Errors
/// `Weights` when no family's names are there, `Usage` for an unknown `--set type`.
pub fn recognise(names: &Names, options: &Options, warnings: &mut Vec<String>) -> Result<&'static Family> {
    let detected = FAMILIES.iter().find(|f| (f.detect)(names));
    let Some(said) = options.text("type") else {
        return detected.ok_or_else(|| unrecognised(names));
    };
    let told = FAMILIES.iter().find(|f| f.id.eq_ignore_ascii_case(said) || f.types.contains(&said));
    match (told, detected) {
        (Some(told), Some(found)) if told.id != found.id && !worldstrat::may_be_either(names) => {
            options.contradiction("type", found.types.first().unwrap_or(&found.id), warnings)?;
            Ok(found)
        }
        (Some(told), _) => Ok(told),
        (None, Some(found)) => {
            options.contradiction("type", found.types.first().unwrap_or(&found.id), warnings)?;
            Ok(found)
        }
        (None, None) => Err(unrecognised(names)),
    }
}

fn unrecognised(names: &Names) -> Error {
    let first: Vec<&str> = names.iter().take(3).map(|(name, _)| name).collect();
    let known: Vec<&str> = FAMILIES.iter().map(|f| f.id).collect();
    Error::weights(format!(
        "{} tensors ({}…) that are no known network's (known: {}); --param-key picks another state dict of the file",
        names.len(),
        first.join(", "),
        known.join(", "),
    ))
}
