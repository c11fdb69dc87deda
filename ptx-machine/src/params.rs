//! The bytes of an entry's parameters, each aligned to its size as the driver lays them out.

use crate::memory::global::Plain;

/// Builds parameter bytes in order of declaration.
#[derive(Clone, Default, Debug)]
pub struct Params {
    bytes: Vec<u8>,
}

impl Params {
    /// No parameters yet.
    pub fn new() -> Params {
        Params::default()
    }

    /// Any number, aligned to its size.
    #[must_use]
    pub fn value<T: Plain>(mut self, value: T) -> Params {
        self.bytes.resize(self.bytes.len().next_multiple_of(T::BYTES), 0);
        self.bytes.extend(&value.to_bits().to_le_bytes()[..T::BYTES]);
        self
    }

    /// A pointer or 64-bit number.
    #[must_use]
    pub fn u64(self, value: u64) -> Params {
        self.value(value)
    }

    /// A 32-bit number.
    #[must_use]
    pub fn u32(self, value: u32) -> Params {
        self.value(value)
    }

    /// A signed 32-bit number.
    #[must_use]
    pub fn i32(self, value: i32) -> Params {
        self.value(value)
    }

    /// A float.
    #[must_use]
    pub fn f32(self, value: f32) -> Params {
        self.value(value)
    }

    /// A structure passed by value, with its alignment.
    #[must_use]
    pub fn structure(mut self, bytes: &[u8], align: usize) -> Params {
        self.bytes.resize(self.bytes.len().next_multiple_of(align.max(1)), 0);
        self.bytes.extend(bytes);
        self
    }

    /// The bytes.
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes.clone()
    }
}
