//! The stream: scene windows → tiles → network → blended output blocks, within a stated memory.
//!
//! The output pulls: tiles are taken in the order in which output blocks can be finished, a fixed number of tile
//! slots circulates between reader and network, and nothing else queues.

mod accumulate;
mod budget;
mod chips;
mod choices;
mod frames;
mod progress;
mod quantize;
mod reader;
mod scratch;
mod seam;
mod stream;
mod tiling;
mod upscale;

pub use accumulate::{blocks_of, Accumulator, BlockId};
pub use budget::{peak_blocks, Budget};
pub use chips::{count_chips, run_chips, ChipJob, ChipReport, CHIP};
pub use choices::write_choices;
pub use frames::InputLayout;
pub use progress::{Progress, ProgressMode};
pub use quantize::OutputKind;
pub use seam::{Borders, SeamFigures, SeamReport};
pub use stream::{stream, Choice, StreamReport, StreamSpec, TileNet};
pub use tiling::OverlapChoice;
pub use upscale::{Upscale, UpscaleOptions, UpscaleReport};
