//! Any bytes as a `.npy` stream.

#![no_main]

use libfuzzer_sys::fuzz_target;
use swath::util::npy;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(array) = npy::read_from(&mut &bytes[..], bytes.len() as u64) {
        assert_eq!(array.data.len(), array.shape.numel());
    }
});
