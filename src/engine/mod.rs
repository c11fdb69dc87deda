//! From a weights file to a running network: opened, recognised, compiled for a size and a device.

mod check;
mod describe;
mod detections;
mod device;
mod forward;
mod loss;
mod model;
mod profile;
pub mod proof;
mod quantise;
mod session;
pub mod tolerance;

pub use check::{check, Layer};
pub use describe::Description;
pub use device::{DevicePick, Setup};
pub use forward::{forward, input_size, results};
pub use model::{LoadedModel, ModelOptions, CONFIG_KEY, FAMILY_KEY, SOURCE_KEY};
pub use profile::{profile, Calls, Grouping, Profile};
pub use quantise::{quantise, QuantiseOptions, Quantised};
pub use session::{Engine, Session};

pub use crate::kernel::precision::Precision;
pub use crate::plan::{Memory, Precisions};
