//! Any bytes as the structure of a legacy checkpoint with one storage of six floats.
//! Reaches the pickle machine without a checksum in between.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weights_tools::{Checkpoint, Limits};

/// Magic number, protocol 1001, an empty description of the system.
const HEAD: &[u8] = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.\x80\x02}.";

/// The list of one storage key, its length, its elements.
const TAIL: &[u8] = b"\x80\x02]X\x01\x00\x00\x000a.\x06\x00\x00\x00\x00\x00\x00\x00????????????????????????";

fuzz_target!(|structure: &[u8]| {
    let limits = Limits { expanded_bytes: 1 << 20, items: 100_000, ..Limits::default() };
    if let Ok(checkpoint) = Checkpoint::from_bytes([HEAD, structure, TAIL].concat(), &limits) {
        for info in checkpoint.tensors() {
            assert!(checkpoint.bytes_of(info).is_ok_and(|b| b.len() == info.bytes()));
        }
    }
});
