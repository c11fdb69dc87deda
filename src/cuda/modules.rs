//! The PTX that is part of the program.

/// PTX files for the same GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Set {
    /// For all GPUs.
    Base,
    /// For those whose matrix units take f16 by pairs of quads, which later ones only imitate.
    Sm70,
    /// For those whose matrix units take f16 and whose copies do not run by themselves.
    Sm75,
    /// For those with matrix units for bf16 and tf32.
    Sm80,
    /// For those with warpgroups, which later ones lack.
    Sm90a,
}

impl Set {
    /// Whether it runs on GPUs of a compute capability, ten times the major plus the minor number.
    pub fn runs_on(self, capability: u32) -> bool {
        match self {
            Self::Base => capability >= 70,
            Self::Sm70 => (70..75).contains(&capability),
            Self::Sm75 => (75..80).contains(&capability),
            Self::Sm80 => capability >= 80,
            Self::Sm90a => capability == 90,
        }
    }
}

/// One PTX file.
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// Set and name: `<set>/<name>`.
    pub name: &'static str,
    /// Its text.
    pub ptx: &'static str,
}

macro_rules! modules {
    ($($set:literal: $($name:literal)+;)+) => {
        /// All PTX files.
        pub const MODULES: &[Module] = &[$($(Module {
            name: concat!($set, "/", $name),
            ptx: include_str!(concat!("../../kernels/ptx/", $set, "/", $name, ".ptx")),
        },)+)+];
    };
}

modules! {
    "base": "attention" "blur" "boxes" "conv" "conv_transpose" "layer_norm" "map" "matmul" "pool" "reduce" "resize" "roi_align" "samples" "select" "softmax";
    "sm70": "conv_transpose" "conv_windows" "matmul";
    "sm75": "attention" "conv_transpose" "conv_windows" "matmul";
    "sm80": "attention" "conv" "conv_chain" "conv_laid" "conv_transpose" "conv_windows" "layer_norm" "matmul";
    "sm90a": "conv" "matmul";
}

impl Module {
    /// Names of its entries.
    pub fn entries(&self) -> impl Iterator<Item = &'static str> {
        const MARK: &str = ".visible .entry ";
        self.ptx.lines().filter_map(|l| l.strip_prefix(MARK)).filter_map(|rest| rest.split('(').next())
    }
}

/// The module that holds an entry.
pub fn module_of(entry: &str) -> Option<&'static Module> {
    MODULES.iter().find(|m| m.entries().any(|name| name == entry))
}
