//! Small helpers with no better home; each in its own file.

pub mod memory_use;
mod nearest;
pub mod npy;
pub mod ranges;
mod spread;

pub use nearest::nearest;
pub use spread::spread;
