//! Contracts: what a kernel promises on any device, as one plain parameter struct per operator.
//!
//! A device implements a contract; a plan carries its parameters by value. The structs are
//! `#[repr(C)]` without padding, so that the same bytes can be handed to a GPU entry.

pub mod conv;
