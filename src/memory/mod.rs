//! Memory that is allocated once and then only handed out.

mod arena;

pub use arena::Arena;
