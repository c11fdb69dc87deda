//! GDAL as the judge, where a Python with rasterio or osgeo is at hand (`SWATH_PYTHON`, else `python3`).

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;
use swath::raster::cog::{BigTiff, CogSpec, Compression};
use swath::raster::{GeoTransform, Georef, SampleType, Samples};

use crate::common::*;

/// The Pythons that can check a COG; says so when there is none.
fn pythons() -> Vec<String> {
    let named = std::env::var("SWATH_PYTHON").ok();
    let can_check = |python: &String| {
        let script = "import importlib.util as u, sys; sys.exit(not (u.find_spec('rasterio') or u.find_spec('osgeo')))";
        Command::new(python).args(["-c", script]).status().is_ok_and(|s| s.success())
    };
    let found: Vec<String> = named.into_iter().chain(["python3".to_string()]).filter(can_check).collect();
    if found.is_empty() {
        eprintln!("skipped: no Python with rasterio or osgeo (set SWATH_PYTHON)");
    }
    found
}

fn bytes(samples: Samples) -> Vec<u8> {
    match samples {
        Samples::U8(v) => v,
        Samples::U16(v) => v.into_iter().flat_map(u16::to_le_bytes).collect(),
        Samples::F32(v) => v.into_iter().flat_map(f32::to_le_bytes).collect(),
    }
}

/// Writes the test image and what is to be found in it.
fn write_case(dir: &Path, name: &str, spec: &CogSpec) -> serde_json::Value {
    let path = dir.join(format!("{name}.tif"));
    let summary = write(&path, spec);
    let expected = whole(spec);
    let (pixels, mask) = (dir.join(format!("{name}.raw")), dir.join(format!("{name}.mask")));
    fs::write(&pixels, bytes(expected.samples)).unwrap();
    if spec.mask {
        fs::write(&mask, expected.mask.unwrap()).unwrap();
    }
    json!({
        "path": path, "pixels": pixels, "mask": spec.mask.then_some(mask),
        "width": spec.width, "height": spec.height, "bands": spec.bands,
        "dtype": match spec.sample { SampleType::U8 => "uint8", SampleType::U16 => "uint16", _ => "float32" },
        "epsg": spec.georef.as_ref().map(|g| g.epsg),
        "transform": spec.georef.as_ref().map(|g| g.transform.0),
        "nodata": spec.nodata.map(|v| v.to_string()),
        "metadata": spec.metadata, "levels": summary.levels, "tile": spec.tile,
        "compression": format!("{:?}", spec.compression).to_uppercase(),
        "bigtiff": spec.bigtiff == BigTiff::Yes,
    })
}

fn cases() -> Vec<(&'static str, CogSpec)> {
    let utm = Georef { epsg: 32629, transform: GeoTransform([600_000.0, 2.5, 0.0, 3_500_040.0, 0.0, -2.5]) };
    let fine = GeoTransform([-9.123_456_789, 0.000_1 / 3.0, 0.0, 51.0 + 1.0 / 7.0, 0.0, -0.000_1 / 7.0]);
    let degrees = Georef { epsg: 4326, transform: fine };
    let web = Georef { epsg: 3857, transform: GeoTransform([1e6, 9.555, 0.25, 2e6, 0.5, -9.555]) };
    let metadata = vec![
        ("MODEL".to_string(), "a<b> & \"c\"".to_string()),
        ("NOTE".to_string(), "Größe ×4\nline".to_string()),
    ];
    let rgb =
        CogSpec { georef: Some(utm.clone()), metadata, ..CogSpec::new(1300, 1100, names(3), SampleType::U8) };
    let small = |n, sample| CogSpec { tile: 128, ..CogSpec::new(700, 530, names(n), sample) };
    let masked = |compression, sample| CogSpec { mask: true, compression, ..small(3, sample) };
    vec![
        ("rgb", rgb.clone()),
        ("rgb_nodata", CogSpec { nodata: Some(0.0), ..rgb.clone() }),
        ("rgb_mask_big", CogSpec { mask: true, bigtiff: BigTiff::Yes, ..rgb }),
        ("zstd_u16", CogSpec { georef: Some(degrees), ..masked(Compression::Zstd, SampleType::U16) }),
        ("lzw_f32", CogSpec { georef: Some(web), ..masked(Compression::Lzw, SampleType::F32) }),
        ("nan", CogSpec { nodata: Some(f64::NAN), ..small(1, SampleType::F32) }),
        ("minus", CogSpec { nodata: Some(-9999.0), ..small(4, SampleType::F32) }),
        ("plain", masked(Compression::None, SampleType::U8)),
        (
            "rgb_nir",
            CogSpec {
                bands: ["red", "green", "blue", "nir"].map(String::from).to_vec(),
                ..small(4, SampleType::U8)
            },
        ),
        ("one_tile", CogSpec { georef: Some(utm), ..CogSpec::new(50, 40, names(3), SampleType::U16) }),
    ]
}

#[test]
fn gdal_reads_what_was_written_and_its_validators_have_no_word_to_say() {
    let pythons = pythons();
    if pythons.is_empty() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let list: Vec<_> = cases().iter().map(|(name, spec)| write_case(dir.path(), name, spec)).collect();
    let file = dir.path().join("cases.json");
    fs::write(&file, serde_json::to_vec_pretty(&list).unwrap()).unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/check_cog.py");
    for python in pythons {
        let out = Command::new(&python).arg(&script).arg(&file).output().unwrap();
        let text = [out.stdout, out.stderr].concat();
        let text = String::from_utf8_lossy(&text);
        assert!(out.status.success(), "{python}: {text}");
        eprintln!("{python}: {text}");
    }
}
