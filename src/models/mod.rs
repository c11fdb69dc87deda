//! The networks: recognised from a checkpoint's names, configured from its shapes, built once for
//! every device and use. Knows no device and no file.

mod bands;
mod build;
mod family;
mod highresnet;
mod layers;
mod options;
mod resnet;
mod rrdbnet;
mod satlas;
mod spec;
mod srcnn;
mod swin;
mod worldstrat;

pub use crate::kernel::samples::{rounded, ChannelScale};
pub use bands::Stack;
pub use build::{
    graph, graph_of, smallest_graph, InputSize, SampleInput, DETECTIONS, DETECTION_ROW, INPUT, MASKS,
    MASK_SIDE, MAX_DETECTIONS, NO_OBJECT, OUTPUT,
};
pub use family::{family, recognise, Alias, Configure, Family, Network, Outputs, FAMILIES};
pub use highresnet::HighResNet;
pub use options::{Options, Origin};
pub use resnet::{ResNet, ResNetLayer};
pub use rrdbnet::RrdbNet;
pub use satlas::{
    known_task, Aggregation, Backbone, Colour, Fpn, Head, HeadKind, KnownTask, Satlas, Task, Upsample,
    ANCHORS,
};
pub use spec::{Band, Frames, InputSpec, OutputSpec, Overlap, Scaling, LANDSAT_BANDS};
pub use srcnn::Srcnn;
pub use swin::{Swin, SwinStage};
pub use worldstrat::Common;
