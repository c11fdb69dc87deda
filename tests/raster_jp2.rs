//! JPEG 2000 reading against the pixels and georeferencing that GDAL and OpenJPEG report.

mod raster_common;

use raster_common::{shared, whole, Pixels};
use swath::raster::{open_path, GeoTransform, Georef, OpenOptions};

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
        let error = match swath::raster::open(cut.into(), &path, &OpenOptions::default()) {
            Err(error) => error,
            Ok(source) => source.decode(0, 0, 0).expect_err("a truncated file decoded"),
        };
        let text = error.to_string();
        assert!(text.contains("utm31n_48N_TCI.jp2: ") && !text.contains('\n'), "{text}");
    }
}

#[test]
fn damaged_bytes_never_panic() {
    let Some(path) = shared("golden/ssr/reproject/utm31n_48N_TCI.jp2") else { return };
    let bytes = std::fs::read(&path).unwrap();
    let mut state = 1u64;
    for _ in 0..60 {
        let mut damaged = bytes.clone();
        for _ in 0..8 {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            let at = (state >> 33) as usize % damaged.len().min(6000);
            damaged[at] = (state >> 20) as u8;
        }
        if let Ok(source) = swath::raster::open(damaged.into(), &path, &OpenOptions::default()) {
            if let Ok(block) = source.decode(0, 0, 0) {
                assert_eq!(Pixels::of(&block).0.len() % block.rect.area(), 0);
            }
        }
    }
}
