//! JPEG 2000 reading against the pixels and georeferencing that GDAL and OpenJPEG report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod raster_common;

use std::path::Path;

use raster_common::{shared, whole, Pixels};
use swath::raster::jp2::encode::{encode, EncodeSpec};
use swath::raster::{open, open_path, Bytes, GeoTransform, Georef, Jp2Decoder, OpenOptions, Samples};
use swath::tile::Rect;

/// CRC-32 of the interleaved little-endian pixels as GDAL 3 reads them, columns, rows, bands.
const REAL: &[(&str, u32, usize, usize, usize)] = &[
    ("data/s2_l1c_19UDP_jp2/B02.jp2", 882905330, 687, 687, 1),
    ("data/s2_l1c_19UDP_jp2/B03.jp2", 2029666782, 687, 687, 1),
    ("data/s2_l1c_19UDP_jp2/B04.jp2", 1319731104, 687, 687, 1),
    ("data/s2_l1c_19UDP_jp2/B08.jp2", 2555262880, 687, 687, 1),
    ("data/s2_l1c_19UDP_jp2/preview_tci.jp2", 890178924, 343, 343, 3),
    ("golden/ssr/reproject/utm31n_48N_TCI.jp2", 655901584, 260, 220, 3),
    ("golden/ssr/reproject/utm36s_1S_TCI.jp2", 655901584, 260, 220, 3),
];

#[test]
fn real_files_decode_to_gdals_pixels() {
    for &(file, crc, width, height, bands) in REAL {
        let Some(path) = shared(file) else { continue };
        let source = open_path(&path, &OpenOptions::default()).unwrap();
        let info = source.info();
        assert_eq!((info.width, info.height, info.bands.len()), (width, height, bands), "{file}");
        assert_eq!(whole(&*source, 0).crc32(), crc, "{file}");
    }
}

#[test]
fn gmljp2_gives_gdals_georeferencing() {
    let expected = [
        ("data/s2_l1c_19UDP_jp2/preview_tci.jp2", 32619, [399960.0, 320.0, 5_400_000.0, -320.0]),
        ("golden/ssr/reproject/utm31n_48N_TCI.jp2", 32631, [399960.0, 10.0, 5_400_000.0, -10.0]),
        ("golden/ssr/reproject/utm36s_1S_TCI.jp2", 32736, [600_000.0, 10.0, 9_890_240.0, -10.0]),
    ];
    for (file, epsg, [x, dx, y, dy]) in expected {
        let Some(path) = shared(file) else { continue };
        let source = open_path(&path, &OpenOptions::default()).unwrap();
        let transform = GeoTransform::north_up(x, y, dx, dy);
        assert_eq!(source.info().georef, Some(Georef { epsg, transform }), "{file}");
    }
    if let Some(path) = shared("data/s2_l1c_19UDP_jp2/B02.jp2") {
        assert_eq!(open_path(&path, &OpenOptions::default()).unwrap().info().georef, None);
    }
}

#[test]
fn every_truncation_is_an_error_of_one_line() {
    let Some(path) = shared("golden/ssr/reproject/utm31n_48N_TCI.jp2") else { return };
    let bytes = std::fs::read(&path).unwrap();
    for i in 0..64 {
        let cut = bytes[..bytes.len() * i / 64].to_vec();
        let error = match open(cut.into(), &path, &OpenOptions::default()) {
            Err(error) => error,
            Ok(source) => source.decode(0, 0, 0).expect_err("a truncated file decoded"),
        };
        let text = error.to_string();
        assert!(text.contains("utm31n_48N_TCI.jp2: ") && !text.contains('\n'), "{text}");
    }
}

/// A smooth picture with some texture, the same for any rectangle of it.
fn picture(rect: Rect, components: usize, top: u32) -> Vec<u32> {
    let mut out = Vec::with_capacity(rect.area() * components);
    for y in rect.y0..rect.y1 {
        for x in rect.x0..rect.x1 {
            for c in 0..components as i64 {
                let noise = (x * 7919 + y * 104729 + c * 31) % 13;
                out.push(((x * (c + 1) + y * 2 + noise) as u32) % (top + 1));
            }
        }
    }
    out
}

fn encoded(spec: &EncodeSpec) -> Vec<u8> {
    let mut out = Vec::new();
    let mut read = |rect: Rect| {
        let values = picture(rect, spec.components.into(), (1 << spec.precision) - 1);
        Ok(if spec.precision <= 8 {
            Samples::U8(values.iter().map(|&v| v as u8).collect())
        } else {
            Samples::U16(values.iter().map(|&v| v as u16).collect())
        })
    };
    encode(spec, &mut read, &mut out).unwrap();
    out
}

fn expected(spec: &EncodeSpec) -> Pixels {
    let rect = Rect::of_size(spec.width as usize, spec.height as usize);
    let values = picture(rect, spec.components.into(), (1 << spec.precision) - 1);
    Pixels(if spec.precision <= 8 {
        values.iter().map(|&v| v as u8).collect()
    } else {
        values.iter().flat_map(|&v| (v as u16).to_le_bytes()).collect()
    })
}

#[test]
fn what_is_encoded_decodes_exactly_with_both_decoders() {
    let georef = Georef { epsg: 32719, transform: GeoTransform::north_up(3e5, 7.1e6, 10.0, -10.0) };
    for (width, height, components, precision, tile) in
        [(700, 300, 3, 8, 256), (513, 515, 1, 16, 256), (300, 700, 1, 15, 1024), (90, 70, 3, 8, 16)]
    {
        let spec = EncodeSpec {
            tile,
            georef: Some(georef.clone()),
            threads: 2,
            ..EncodeSpec::new(width, height, components, precision)
        };
        let bytes = Bytes::from(encoded(&spec));
        for jp2_decoder in [Jp2Decoder::Hayro, Jp2Decoder::OpenJpeg] {
            let options = OpenOptions { jp2_decoder, ..OpenOptions::default() };
            let source = open(bytes.clone(), Path::new("made.jp2"), &options).unwrap();
            assert_eq!(source.info().georef, Some(georef.clone()));
            assert!(whole(&*source, 0) == expected(&spec), "{spec:?} {jp2_decoder:?}");
        }
    }
}

#[test]
fn reduced_levels_are_the_same_with_both_decoders() {
    for (width, height, tile) in [(700, 300, 256), (257, 1025, 256), (400, 400, 64), (333, 77, 1024)] {
        let spec = EncodeSpec { tile, ..EncodeSpec::new(width, height, 3, 8) };
        let bytes = Bytes::from(encoded(&spec));
        let [hayro, openjpeg] = [Jp2Decoder::Hayro, Jp2Decoder::OpenJpeg].map(|jp2_decoder| {
            let options = OpenOptions { jp2_decoder, ..OpenOptions::default() };
            open(bytes.clone(), Path::new("made.jp2"), &options).unwrap()
        });
        assert_eq!(hayro.levels(), 6, "{spec:?}");
        for level in 0..hayro.levels() {
            assert!(whole(&*hayro, level) == whole(&*openjpeg, level), "{spec:?} level {level}");
        }
    }
}

#[test]
fn both_decoders_agree_on_real_files_at_every_level() {
    for (file, ..) in REAL {
        let Some(path) = shared(file) else { continue };
        let options = OpenOptions { jp2_decoder: Jp2Decoder::OpenJpeg, ..OpenOptions::default() };
        let (hayro, openjpeg) =
            (open_path(&path, &OpenOptions::default()).unwrap(), open_path(&path, &options).unwrap());
        for level in 0..hayro.levels() {
            assert!(whole(&*hayro, level) == whole(&*openjpeg, level), "{file} level {level}");
        }
    }
}

#[test]
fn a_damaged_tile_is_named_with_what_helps() {
    let spec = EncodeSpec { tile: 256, ..EncodeSpec::new(512, 512, 1, 8) };
    let mut bytes = encoded(&spec);
    let at = bytes.windows(2).rposition(|w| w == [0xff, 0x93]).unwrap();
    bytes[at + 2..at + 60].fill(0xff);
    let source = open(bytes.into(), Path::new("made.jp2"), &OpenOptions::default()).unwrap();
    source.decode(0, 0, 0).unwrap();
    let text = source.decode(0, 1, 1).unwrap_err().to_string();
    assert!(text.starts_with("made.jp2: JPEG 2000 block 1,1 of level 0: "), "{text}");
    assert!(text.ends_with("--jp2-decoder openjpeg decodes with OpenJPEG instead"), "{text}");
}
