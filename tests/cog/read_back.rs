//! Files read back with the `tiff` crate: every codec, type, mask and shape.

use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

use swath::raster::cog::{BigTiff, CogSpec, Compression, OverviewResampling};
use swath::raster::{BlockSink, SampleType, Samples};
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

use crate::common::*;

const CODECS: [Compression; 4] =
    [Compression::Deflate, Compression::Zstd, Compression::Lzw, Compression::None];
const TYPES: [SampleType; 3] = [SampleType::U8, SampleType::U16, SampleType::F32];

fn open(path: &Path, directory: usize) -> Decoder<File> {
    let mut file = Decoder::new(File::open(path).unwrap()).unwrap();
    file.seek_to_image(directory).unwrap();
    file
}

fn samples(path: &Path, directory: usize) -> Samples {
    match open(path, directory).read_image().unwrap_or_else(|e| panic!("{}: {e}", path.display())) {
        DecodingResult::U8(v) => Samples::U8(v),
        DecodingResult::U16(v) => Samples::U16(v),
        DecodingResult::F32(v) => Samples::F32(v),
        other => panic!("unexpected samples {other:?}"),
    }
}

fn bytes(samples: Samples) -> Vec<u8> {
    match samples {
        Samples::U8(v) => v,
        _ => panic!("not 8-bit"),
    }
}

/// The bits of a mask directory, which the `tiff` crate does not decode: tile by tile from the file.
fn mask(path: &Path, directory: usize, width: usize, height: usize) -> Vec<u8> {
    let file = std::fs::read(path).unwrap();
    let mut tiff = open(path, directory);
    let numbers = |tiff: &mut Decoder<File>, tag| tiff.get_tag_u64_vec(tag).unwrap();
    let (offsets, sizes) = (numbers(&mut tiff, Tag::TileOffsets), numbers(&mut tiff, Tag::TileByteCounts));
    let edge = tiff.get_tag_u32(Tag::TileWidth).unwrap() as usize;
    let deflated = tiff.get_tag_u32(Tag::Compression).unwrap() == 8;
    let tiles: Vec<Vec<u8>> = offsets
        .iter()
        .zip(&sizes)
        .map(|(at, size)| {
            let data = &file[*at as usize..(*at + *size) as usize];
            let mut bits = Vec::new();
            match deflated {
                true => flate2::read::ZlibDecoder::new(data).read_to_end(&mut bits).unwrap(),
                false => bits.write(data).unwrap(),
            };
            assert_eq!(bits.len(), edge * edge / 8);
            bits
        })
        .collect();
    let bit = |x: usize, y: usize| {
        let tile = &tiles[y / edge * width.div_ceil(edge) + x / edge];
        tile[(y % edge * edge + x % edge) / 8] >> (7 - x % 8) & 1
    };
    (0..height).flat_map(|y| (0..width).map(move |x| (x, y))).map(|(x, y)| bit(x, y)).collect()
}

#[test]
fn every_codec_type_and_size_reads_back() {
    let dir = tempfile::tempdir().unwrap();
    for (width, height) in [(1, 1), (64, 64), (129, 70), (200, 33), (128, 192)] {
        for compression in CODECS {
            // The `tiff` crate loses the end of clipped LZW tiles, GDAL's own too; GDAL reads ours.
            let clipped = width % 64 > 0 || height % 64 > 0;
            if compression == Compression::Lzw && clipped {
                continue;
            }
            for sample in TYPES {
                for bands in [1, 3, 4] {
                    let spec = CogSpec { compression, ..spec(width, height, bands, sample) };
                    let path =
                        dir.path().join(format!("{width}x{height}x{bands}_{sample:?}_{compression:?}.tif"));
                    write(&path, &spec);
                    assert_eq!(samples(&path, 0), whole(&spec).samples, "{spec:?}");
                    std::fs::remove_file(&path).unwrap();
                }
            }
        }
    }
}

#[test]
fn masks_follow_their_images() {
    let dir = tempfile::tempdir().unwrap();
    for compression in CODECS {
        let path = dir.path().join(format!("{compression:?}.tif"));
        let spec = CogSpec { compression, mask: true, ..spec(200, 130, 3, SampleType::U8) };
        let summary = write(&path, &spec);
        assert_eq!(summary.levels, 3);
        let expected = whole(&spec);
        assert_eq!(samples(&path, 0), expected.samples);
        assert_eq!(mask(&path, 1, 200, 130), expected.mask.unwrap());
        let kinds: Vec<u32> =
            (0..6).map(|i| open(&path, i).get_tag_u32(Tag::NewSubfileType).unwrap()).collect();
        assert_eq!(kinds, [0, 4, 1, 5, 1, 5]);
    }
}

#[test]
fn overviews_are_the_means_of_valid_pixels() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    let spec = CogSpec { nodata: Some(0.0), ..spec(131, 77, 2, SampleType::U8) };
    write(&path, &spec);
    let full = bytes(whole(&spec).samples);
    let half = bytes(samples(&path, 1));
    assert_eq!(half.len(), 66 * 39 * 2);
    for (i, got) in half.iter().enumerate() {
        let (x, y, band) = (i / 2 % 66 * 2, i / 2 / 66 * 2, i % 2);
        let under = [(x, y), (x + 1, y), (x, y + 1), (x + 1, y + 1)];
        let inside = under.iter().filter(|(x, y)| *x < 131 && *y < 77);
        let valid: Vec<f64> =
            inside.map(|(x, y)| full[(y * 131 + x) * 2 + band]).filter(|v| *v != 0).map(f64::from).collect();
        let mean = valid.iter().sum::<f64>() / valid.len() as f64;
        let expected = if valid.is_empty() { 0 } else { (mean + 0.5).floor() as u8 };
        assert_eq!(*got, expected, "pixel {x},{y} band {band}");
    }
}

#[test]
fn nearest_overviews_keep_classes() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    let nearest = OverviewResampling::Nearest;
    let spec = CogSpec { resampling: nearest, ..spec(150, 90, 1, SampleType::U16) };
    write(&path, &spec);
    let (Samples::U16(full), Samples::U16(half)) = (whole(&spec).samples, samples(&path, 1)) else {
        panic!()
    };
    for (i, got) in half.iter().enumerate() {
        assert_eq!(*got, full[i / 75 * 2 * 150 + i % 75 * 2]);
    }
}

#[test]
fn bigtiff_when_asked_and_only_then() {
    let dir = tempfile::tempdir().unwrap();
    for (bigtiff, version) in [(BigTiff::Yes, 43), (BigTiff::No, 42), (BigTiff::Auto, 42)] {
        let path = dir.path().join(format!("{bigtiff:?}.tif"));
        let spec = CogSpec { bigtiff, mask: true, ..spec(300, 100, 3, SampleType::F32) };
        let summary = write(&path, &spec);
        let file = std::fs::read(&path).unwrap();
        assert_eq!(file[2], version);
        assert_eq!(summary.bytes, file.len() as u64);
        assert_eq!(samples(&path, 0), whole(&spec).samples);
        assert_eq!(mask(&path, 1, 300, 100), whole(&spec).mask.unwrap());
    }
}

#[test]
fn tiles_come_smallest_overview_first_each_framed() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    write(&path, &spec(300, 200, 3, SampleType::U8));
    let file = std::fs::read(&path).unwrap();
    let mut last = 0;
    for directory in (0..4).rev() {
        let mut tiff = open(&path, directory);
        let offsets = tiff.get_tag_u32_vec(Tag::TileOffsets).unwrap();
        let sizes = tiff.get_tag_u32_vec(Tag::TileByteCounts).unwrap();
        for (at, size) in offsets.iter().zip(&sizes).map(|(a, s)| (*a as usize, *s as usize)) {
            assert!(at > last, "directory {directory}");
            assert_eq!(file[at - 4..at], (size as u32).to_le_bytes());
            assert_eq!(file[at + size - 4..at + size], file[at + size..at + size + 4]);
            last = at + size;
        }
    }
    assert_eq!(last + 4, file.len());
}

#[test]
fn empty_blocks_read_as_nodata_like_written_ones() {
    let dir = tempfile::tempdir().unwrap();
    let spec = CogSpec { nodata: Some(7.0), mask: true, ..spec(256, 192, 1, SampleType::U16) };
    let is_empty = |at: &(usize, usize)| at.0 >= 2;
    let written = |name: &str, call_empty: bool| {
        let path = dir.path().join(name);
        let writer = create(&path, &spec, false).unwrap();
        for at in all_blocks(&writer) {
            if !is_empty(&at) {
                put(&writer, at).unwrap();
            } else if call_empty {
                writer.put_empty(at.0, at.1).unwrap();
            } else {
                let mut block = block(&spec, writer.block_rect(at.0, at.1));
                block.mask.as_mut().unwrap().fill(0);
                writer.put(at.0, at.1, &block).unwrap();
            }
        }
        finish(writer).unwrap();
        path
    };
    let (empty, full) = (written("empty.tif", true), written("full.tif", false));
    assert_eq!(std::fs::read(&empty).unwrap(), std::fs::read(&full).unwrap());
    let Samples::U16(v) = samples(&empty, 0) else { panic!() };
    assert!(v.iter().enumerate().all(|(i, v)| i % 256 < 128 || *v == 7));
    assert!(mask(&empty, 1, 256, 192).iter().enumerate().all(|(i, m)| i % 256 < 128 || *m == 0));
}

#[test]
fn the_estimate_is_an_upper_bound() {
    let dir = tempfile::tempdir().unwrap();
    for compression in CODECS {
        let path = dir.path().join(format!("{compression:?}.tif"));
        let spec = CogSpec { compression, mask: true, ..spec(500, 300, 3, SampleType::U8) };
        let summary = write(&path, &spec);
        let estimate = spec.estimate().unwrap();
        assert_eq!(estimate.levels, summary.levels);
        assert!(summary.bytes <= estimate.file_at_most, "{} {estimate:?}", summary.bytes);
        assert!(estimate.file_likely <= estimate.file_at_most);
        assert!(compression != Compression::None || estimate.raw_bytes < summary.bytes);
    }
}
