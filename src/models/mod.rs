//! The networks: recognised from a checkpoint's names, configured from its shapes, built once for
//! every device and use. Knows no device and no file.

mod bands;
mod build;
mod family;
mod highresnet;
mod options;
mod rrdbnet;
mod spec;
mod srcnn;
mod worldstrat;

pub use bands::Stack;
pub use build::{graph, smallest_graph, InputSize, INPUT, OUTPUT};
pub use family::{family, recognise, Alias, Configure, Family, Network, FAMILIES};
pub use highresnet::HighResNet;
pub use options::{Options, Origin};
pub use rrdbnet::RrdbNet;
pub use spec::{Band, Frames, InputSpec, OutputSpec, Overlap, Scaling};
pub use srcnn::Srcnn;
pub use worldstrat::Common;
