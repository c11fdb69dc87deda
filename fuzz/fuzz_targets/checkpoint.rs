//! Any bytes as a checkpoint of any container: opened, selected, every tensor read.
//! Start from real files: `cargo fuzz run checkpoint <folder of small .pth and .safetensors>`.

#![no_main]

use libfuzzer_sys::fuzz_target;
use weights_tools::{Checkpoint, Limits};

fuzz_target!(|bytes: &[u8]| {
    let limits = Limits { expanded_bytes: 1 << 20, inflated_bytes: 1 << 20, items: 100_000, ..Limits::default() };
    let Ok(checkpoint) = Checkpoint::from_bytes(bytes.to_vec(), &limits) else { return };
    for info in checkpoint.tensors() {
        let gathered = checkpoint.bytes_of(info).map(|b| b.len());
        assert!(matches!(gathered, Ok(n) if n == info.bytes()));
    }
    if let Ok(state) = checkpoint.select(None) {
        assert!(state.names().all(|name| state.get(name).is_some()));
    }
});
