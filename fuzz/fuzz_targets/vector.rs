//! Any bytes as a vector file, the first one choosing the format: whatever is read is a feature that can be written.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use swath::raster::vector::{read_from, Format, ReadLimits};

const LIMITS: ReadLimits = ReadLimits { bytes: 1 << 20, feature_bytes: 1 << 16, features: 1000 };

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let format = [Format::GeoJson, Format::NdJson, Format::FlatGeobuf][usize::from(first % 3)];
    let _ = read_from(Cursor::new(rest), format, &LIMITS, &mut |_, record| {
        assert!(record.geometry.points().flatten().all(f64::is_finite));
        let closed = |ring: &Vec<[f64; 2]>| ring.len() >= 4 && ring.first() == ring.last();
        assert!(record.geometry.polygons().iter().flatten().all(closed));
        Ok(())
    });
});
