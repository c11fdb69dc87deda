//! The stream: scene windows → tiles → network → blended output blocks, within a stated memory.
//!
//! The output pulls: tiles are taken in the order in which output blocks can be finished, a fixed number of tile
//! slots circulates between reader and network, and nothing else queues.

mod accumulate;
mod budget;
mod chips;
mod choices;
mod detect;
mod encode;
mod fit;
mod frames;
mod guard;
mod heads;
mod input;
mod job;
mod legend;
mod maps;
mod masks;
mod needs;
mod polygons;
mod preview;
mod progress;
mod provenance;
mod reader;
mod sample;
mod scratch;
mod seam;
mod stream;
mod target;
mod tiling;
mod upscale;

pub use accumulate::{blocks_of, Accumulator, BlockId, TileOutput};
pub use budget::{peak_blocks, Budget};
pub use chips::{count_chips, run_chips, ChipJob, ChipReport, CHIP};
pub use choices::write_choices;
pub use detect::{Detect, DetectOptions, DetectReport, Shape};
pub use encode::{Classes, Encoding, OutputKind};
pub use frames::{ChannelScale, InputLayout};
pub use guard::{Guard, Kept, Meaning, Watch};
pub use heads::choose_head;
pub use input::Input;
pub use job::{Demand, Job, JobOptions, JobReport};
pub use legend::Legend;
pub use maps::{regress, segment, MapOptions, RegressOptions, SegmentOptions};
pub use polygons::{PolygonOptions, Polygons};
pub use preview::{check as check_preview, Picture};
pub use progress::{Progress, ProgressMode};
pub use sample::sample;
pub use seam::{Borders, SeamFigures, SeamReport};
pub use stream::{stream, Choice, Layer, StreamReport, StreamSpec, TileNet};
pub use target::Target;
pub use tiling::OverlapChoice;
pub use upscale::{upscale, UpscaleOptions};
