//! Objects that a detector finds in tiles become the objects of an image: which tile answers for an object, and
//! which of those that several tiles show is kept. Plain boxes; knows nothing of networks or files.

mod bounds;
mod suppress;
mod window;

pub use bounds::Bounds;
pub use suppress::{suppress, Suppression};
pub use window::Window;

/// Something found in a window of an image.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Object {
    /// Where it is, in pixels of the image.
    pub bounds: Bounds,
    /// How sure the detector is.
    pub score: f32,
    /// What it is.
    pub class: u32,
    /// Number of the window it was found in.
    pub window: u32,
    /// Its place among the objects of that window.
    pub place: u32,
    /// Whether its centre lies in the part of the image that its window answers for.
    pub own: bool,
    /// Whether it reaches a border of its window beyond which the image goes on, so that it may be a part only.
    pub cut: bool,
}
