//! Bytes to named tensors and back: `.pth` (zip and legacy) and safetensors.
//! Knows nothing of networks; never executes what a file asks for.
//!
//! ```no_run
//! # fn main() -> weights_tools::Result<()> {
//! let checkpoint = weights_tools::Checkpoint::open("net_g_latest.pth")?;
//! let weights = checkpoint.select(None)?; // params_ema, params, state_dict, … or the root
//! for tensor in weights.tensors() {
//!     println!("{} {:?} {}", tensor.name, tensor.shape, tensor.dtype);
//! }
//! let first = weights.read_f32("conv_first.weight")?;
//! # drop(first); Ok(()) }
//! ```

mod archive;
mod checkpoint;
mod dtype;
mod error;
mod legacy;
mod limits;
mod pickle;
mod report;
mod safetensors;
mod source;
mod state_dict;
mod tensor;
mod value;
mod write;

pub use checkpoint::{Checkpoint, Format};
pub use dtype::DType;
pub use error::{Error, Kind, Result};
pub use limits::Limits;
pub use report::{
    convert, diff, inspect, Conversion, ConvertOptions, Difference, InspectOptions, Inspection,
    TensorDifference, TensorRow,
};
pub use state_dict::StateDict;
pub use tensor::{row_major, TensorInfo};
pub use value::{Dict, Object, Value};
pub use write::{write_pth, write_safetensors, NamedTensor, TensorSet};
