//! Small helpers with no better home; each in its own file.

pub mod memory_use;
