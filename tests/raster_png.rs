//! PNG reading against Pillow's pixels (tests/data/raster/*.png, made by make_png.py there), and writing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod raster_common;

use std::path::Path;

use raster_common::{fixture, whole, whole_mask};
use swath::error::Kind;
use swath::raster::{open, open_path, png, OpenOptions, SampleType, Samples};

const EXPECTED: &[(&str, usize, SampleType, u32, Option<u32>)] = &[
    ("rgb.png", 3, SampleType::U8, 1978488299, None),
    ("gray.png", 1, SampleType::U8, 2045191956, None),
    ("deep.png", 1, SampleType::U16, 913744829, None),
    ("rgba.png", 3, SampleType::U8, 1978488299, Some(2509827893)),
    ("gray_alpha.png", 1, SampleType::U8, 2045191956, Some(2509827893)),
    ("palette.png", 3, SampleType::U8, 2375434643, None),
    ("bits.png", 1, SampleType::U8, 3661365286, None),
];

#[test]
fn pictures_of_every_kind_read_as_pillow_reads_them() {
    // CRC-32 of interleaved little-endian pixels and of the mask, as make_png.py prints them.
    for (name, bands, sample, pixels, mask) in EXPECTED {
        let source = open_path(&fixture(name), &OpenOptions::default()).unwrap();
        let info = source.info();
        assert_eq!(
            (info.width, info.height, info.bands.len(), info.sample),
            (23, 17, *bands, *sample),
            "{name}"
        );
        assert_eq!(whole(&*source, 0).crc32(), *pixels, "{name}");
        assert_eq!(whole_mask(&*source, 0).map(|m| m.crc32()), *mask, "{name}");
    }
}

#[test]
fn what_is_written_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    for bands in [1, 3] {
        let path = folder.path().join(format!("{bands}.png"));
        let bytes: Vec<u8> = (0..5 * 4 * bands).map(|i| (i * 11) as u8).collect();
        png::write(&path, 5, 4, bands, &Samples::U8(bytes.clone())).unwrap();
        let block = open_path(&path, &OpenOptions::default()).unwrap().decode(0, 0, 0).unwrap();
        assert_eq!(block.samples, Samples::U8(bytes));
        let words: Vec<u16> = (0..5 * 4 * bands).map(|i| (i * 997) as u16).collect();
        png::write(&path, 5, 4, bands, &Samples::U16(words.clone())).unwrap();
        let block = open_path(&path, &OpenOptions::default()).unwrap().decode(0, 0, 0).unwrap();
        assert_eq!(block.samples, Samples::U16(words));
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn what_cannot_be_written_leaves_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.png");
    let error = png::write_rgb(&path, 5, 4, &[0; 59]).unwrap_err();
    assert_eq!(error.kind(), Kind::Shape, "{error}");
    let error = png::write(&path, 1, 1, 1, &Samples::F32(vec![0.0])).unwrap_err();
    assert_eq!(error.kind(), Kind::Unsupported, "{error}");
    let error = png::write_rgb(&folder.path().join("no/x.png"), 1, 1, &[0; 3]).unwrap_err();
    assert_eq!(error.kind(), Kind::Io, "{error}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn truncated_pictures_are_errors() {
    let bytes = std::fs::read(fixture("rgb.png")).unwrap();
    let intact = open_path(&fixture("rgb.png"), &OpenOptions::default()).unwrap().decode(0, 0, 0).unwrap();
    let mut refused = 0;
    for i in 0..64 {
        let cut = bytes[..bytes.len() * i / 64].to_vec();
        match open(cut.into(), Path::new("x.png"), &OpenOptions::default()).and_then(|s| s.decode(0, 0, 0)) {
            // Nothing but the end chunk is missing.
            Ok(block) => assert_eq!(block.samples, intact.samples),
            Err(error) => {
                assert_eq!(error.kind(), Kind::Format, "{error}");
                assert!(error.to_string().starts_with("x.png: "), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused >= 60, "{refused}");
}
