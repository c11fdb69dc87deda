//! Executes PTX on the CPU and checks what it does: every access against the allocations, every read
//! against what was written, conflicting accesses against what orders them, every barrier for who comes.
//!
//! ```
//! use ptx_machine::{Launch, Memory, Module, Params};
//!
//! let text = ".version 7.0 .target sm_80 .address_size 64
//!     .visible .entry answer(.param .u64 to) {
//!         .reg .b64 %rd<2>;
//!         ld.param.u64 %rd1, [to];
//!         st.global.u32 [%rd1], 42;
//!         ret;
//!     }";
//! let entry = Module::parse(text)?.entry("answer")?;
//! let mut memory = Memory::new();
//! let to = memory.alloc(4);
//! let launch = Launch { block: [1, 1, 1], ..Launch::default() };
//! launch.run(&entry, &mut memory, &Params::new().u64(to).bytes())?;
//! assert_eq!(memory.read::<u32>(to, 1)?, [42]);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic))]

mod entry;
mod ir;
mod machine;
mod memory;
pub mod mutate;
mod ops;
mod params;
mod parse;

pub use entry::Entry;
pub use machine::{Fault, Launch, Report, TensorMap};
pub use memory::global::{Memory, Plain};
pub use memory::Refusal;
pub use params::Params;
pub use parse::{Module, ParseError};
