//! TIFF reading against what GDAL reads from the same files (tests/data/raster, made by make.py there), and
//! against real scenes where the shared fixtures are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod raster_common;

use std::collections::BTreeMap;
use std::path::Path;

use raster_common::{fixture, level_size, shared, whole, whole_mask, Pixels};
use serde::Deserialize;
use swath::error::Kind;
use swath::raster::{open, open_path, GeoTransform, OpenOptions};

#[derive(Deserialize)]
struct Expected {
    size: [usize; 2],
    bands: usize,
    dtype: String,
    names: Vec<Option<String>>,
    nodata: Option<String>,
    epsg: Option<u32>,
    transform: Option<[f64; 6]>,
    levels: Vec<u32>,
    mask: Option<u32>,
}

fn table() -> BTreeMap<String, Expected> {
    serde_json::from_slice(&std::fs::read(fixture("expected.json")).unwrap()).unwrap()
}

#[test]
fn every_layout_codec_and_type_reads_as_gdal_reads_it() {
    let table = table();
    assert!(table.len() > 40);
    for (name, expected) in &table {
        let source = open_path(&fixture(name), &OpenOptions::default()).unwrap();
        let info = source.info();
        assert_eq!([info.width, info.height], expected.size, "{name}");
        assert_eq!(info.bands.len(), expected.bands, "{name}");
        let dtype = format!("{:?}", info.sample);
        let short = expected.dtype.replace("uint", "U").replace("int", "I").replace("float", "F");
        assert_eq!(dtype, short, "{name}");
        if name.starts_with("jpeg_") {
            continue;
        }
        for (level, crc) in expected.levels.iter().enumerate() {
            assert!((level as u8) < source.levels(), "{name} has no level {level}");
            assert_eq!(whole(&*source, level as u8).crc32(), *crc, "{name} level {level}");
        }
        assert_eq!(usize::from(source.levels()), expected.levels.len(), "{name}");
        assert_eq!(whole_mask(&*source, 0).map(|m| m.crc32()), expected.mask, "{name}");
    }
}

#[test]
fn names_nodata_and_places_are_gdals() {
    for (name, expected) in &table() {
        let source = open_path(&fixture(name), &OpenOptions::default()).unwrap();
        let info = source.info();
        for (band, named) in info.bands.iter().zip(&expected.names) {
            if let Some(named) = named {
                assert_eq!(&band.name, named, "{name}");
            }
            let nodata = expected.nodata.as_ref().map(|n| n.parse::<f64>().unwrap());
            assert!(band.nodata.map(f64::to_bits) == nodata.map(f64::to_bits), "{name}: {:?}", band.nodata);
        }
        assert_eq!(info.georef.as_ref().map(|g| g.epsg), expected.epsg, "{name}");
        assert_eq!(info.georef.as_ref().map(|g| g.transform), expected.transform.map(GeoTransform), "{name}");
    }
}

#[test]
fn jpeg_is_within_rounding_of_gdals() {
    // Inverse transforms round differently; chroma that was halved is also interpolated differently.
    for (name, most, mean) in [("jpeg_gray", 1, 0.1), ("jpeg_rgb", 1, 0.1), ("jpeg_ycbcr", 8, 1.0)] {
        let source = open_path(&fixture(&format!("{name}.tif")), &OpenOptions::default()).unwrap();
        let (ours, gdals) = (whole(&*source, 0).0, std::fs::read(fixture(&format!("{name}.raw"))).unwrap());
        assert_eq!(ours.len(), gdals.len());
        let differences: Vec<u8> = ours.iter().zip(&gdals).map(|(a, b)| a.abs_diff(*b)).collect();
        let average = differences.iter().map(|d| f64::from(*d)).sum::<f64>() / differences.len() as f64;
        let largest = differences.iter().max().unwrap();
        assert!(average <= mean && *largest <= most, "{name}: mean {average}, max {largest}");
    }
}

#[test]
fn real_scenes_read_as_gdal_reads_them() {
    let folder = "data/s2_l2a_29RKH";
    for (file, crc, side, bands) in [
        ("B02.tif", 554022377, 1098, 1),
        ("B03.tif", 1204516277, 1098, 1),
        ("B04.tif", 2443137481, 1098, 1),
        ("B05.tif", 4064433328, 549, 1),
        ("B06.tif", 1761826528, 549, 1),
        ("B07.tif", 1729122068, 549, 1),
        ("B08.tif", 987348953, 1098, 1),
        ("B11.tif", 3852190715, 549, 1),
        ("B12.tif", 3104634987, 549, 1),
        ("TCI.tif", 3234133822, 1098, 3),
    ] {
        let Some(path) = shared(&format!("{folder}/{file}")) else { continue };
        let source = open_path(&path, &OpenOptions::default()).unwrap();
        let info = source.info();
        assert_eq!((info.width, info.height, info.bands.len()), (side, side, bands), "{file}");
        assert_eq!(info.bands[0].nodata, Some(0.0), "{file}");
        let georef = info.georef.clone().unwrap();
        let pixel = 109_800.0 / side as f64;
        assert_eq!(georef.epsg, 32629, "{file}");
        assert_eq!(georef.transform, GeoTransform::north_up(199_980.0, 2_800_020.0, pixel, -pixel), "{file}");
        assert_eq!(whole(&*source, 0).crc32(), crc, "{file}");
        assert!(
            source.levels() >= 2 && level_size(&*source, 1) == (side.div_ceil(2), side.div_ceil(2)),
            "{file}"
        );
    }
    for (file, crc) in [("iw-vh.tiff", 1155089054), ("iw-vv.tiff", 3169696095)] {
        let Some(path) = shared(&format!("data/s1_grd/{file}")) else { continue };
        let source = open_path(&path, &OpenOptions::default()).unwrap();
        assert_eq!(whole(&*source, 0).crc32(), crc, "{file}");
    }
}

#[test]
fn truncated_files_are_errors_that_name_the_file() {
    for name in ["tiles_deflate_u16.tif", "strips_lzw_rgb.tif", "big_endian_f32.tif", "mask_inside.tif"] {
        let bytes = std::fs::read(fixture(name)).unwrap();
        let intact =
            whole(&*open(bytes.clone().into(), Path::new(name), &OpenOptions::default()).unwrap(), 0);
        for i in 0..64 {
            let cut = bytes[..bytes.len() * i / 64].to_vec();
            let result = open(cut.into(), Path::new(name), &OpenOptions::default());
            match result.and_then(|s| try_whole(&*s)) {
                // What is cut off may be an overview or a mask's directory.
                Ok(pixels) => assert!(pixels == intact, "{name} at {i}/64"),
                Err(error) => {
                    assert_eq!(error.kind(), Kind::Format, "{error}");
                    assert!(error.to_string().starts_with(name), "{error}");
                }
            }
        }
    }
}

fn try_whole(source: &dyn swath::raster::BlockSource) -> swath::Result<Pixels> {
    let (width, height) = level_size(source, 0);
    let (columns, rows) = source.blocks_touching(0, &swath::tile::Rect::of_size(width, height));
    for row in rows {
        for column in columns.clone() {
            source.decode(0, column, row)?;
        }
    }
    Ok(whole(source, 0))
}

#[test]
fn what_cannot_be_read_says_what_helps() {
    let bytes = std::fs::read(fixture("tiles_zstd_u16.tif")).unwrap();
    let at = bytes.windows(12).position(|w| w[..8] == [3, 1, 3, 0, 1, 0, 0, 0]).unwrap();
    let mut lerc = bytes;
    lerc[at + 8..at + 10].copy_from_slice(&34887u16.to_le_bytes());
    let error = open(lerc.into(), Path::new("x.tif"), &OpenOptions::default()).err().unwrap();
    assert_eq!(error.kind(), Kind::Unsupported);
    assert!(error.to_string().contains("LERC"), "{error}");
}
