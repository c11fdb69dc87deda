//! The PTX that is part of the program.

/// One PTX file.
#[derive(Debug, Clone, Copy)]
pub struct Module {
    /// Set and name: `<set>/<name>`.
    pub name: &'static str,
    /// Least compute capability, major and minor, times ten and one.
    pub capability: u32,
    /// Its text.
    pub ptx: &'static str,
}

macro_rules! modules {
    ($($set:literal $capability:literal: $($name:literal)+;)+) => {
        /// All PTX files.
        pub const MODULES: &[Module] = &[$($(Module {
            name: concat!($set, "/", $name),
            capability: $capability,
            ptx: include_str!(concat!("../../kernels/ptx/", $set, "/", $name, ".ptx")),
        },)+)+];
    };
}

modules! {
    "sm72" 72: "attention" "blur" "boxes" "conv" "conv_transpose" "layer_norm" "map" "matmul" "pool" "reduce" "resize" "roi_align" "select" "softmax";
    "sm80" 80: "conv";
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
