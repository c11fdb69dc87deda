//! GeoParquet as pyarrow reads it, and its coordinate systems as PROJ does.

use std::path::{Path, PathBuf};
use std::process::Command;

use swath::raster::vector::{create, Layer};

use super::formats::{features, layer, write};

/// Reads a file: values, geometries as hexadecimal text, boxes, and what the file says of itself.
const READ: &str = "
import json, sys
import pyarrow.parquet as pq
t = pq.read_table(sys.argv[1])
rows = [{**r, 'geometry': r['geometry'].hex()} for r in t.to_pylist()]
meta = {k.decode(): v.decode() for k, v in t.schema.metadata.items()}
print(json.dumps({'rows': rows, 'meta': meta, 'geo': json.loads(meta['geo']),
                  'groups': pq.ParquetFile(sys.argv[1]).num_row_groups}))
";

/// Compares the systems of files with PROJ's by their codes.
const SYSTEMS: &str = "
import json, sys
import pyarrow.parquet as pq
from pyproj import CRS
for path in sys.argv[1:]:
    geo = json.loads(pq.read_schema(path).metadata[b'geo'])
    found = CRS.from_json_dict(geo['columns']['geometry']['crs'])
    code = int(path.split('/')[-1].split('.')[0])
    wanted = CRS.from_epsg(code)
    assert found.to_epsg() == code, (code, found.to_epsg())
    # Datum ensembles apart, of which the description has none.
    assert found.to_proj4() == wanted.to_proj4(), (code, found.to_proj4(), wanted.to_proj4())
    assert [a.abbrev for a in found.axis_info] == [a.abbrev for a in wanted.axis_info], code
    assert found.name == wanted.name, (found.name, wanted.name)
print('same')
";

/// What Python prints; `None`, said aloud, without the modules.
fn python(program: &str, files: &[PathBuf]) -> Option<String> {
    let python = std::env::var_os("SWATH_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let modules = Command::new(&python).args(["-c", "import pyarrow.parquet, pyproj"]).output();
    if !modules.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: {} has no pyarrow and pyproj (set SWATH_PYTHON)", python.display());
        return None;
    }
    let output = Command::new(python).args(["-W", "ignore", "-c", program]).args(files).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

fn geometries(path: &Path, epsg: Option<u32>) {
    let fields = layer(32631).fields;
    write(path, &Layer::new("things", epsg, fields), &features());
}

#[test]
fn pyarrow_reads_what_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    write(&path, &layer(32631), &features());
    let Some(text) = python(READ, &[path]) else { return };
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    assert_eq!(rows[0]["category"], "wind, \"0\" é");
    assert!(rows[1]["category"].is_null());
    assert_eq!((&rows[3]["score"], &rows[3]["n"]), (&serde_json::json!(0.85), &serde_json::json!(1)));
    let hex = |values: &[f64]| -> String {
        values.iter().flat_map(|v| v.to_le_bytes()).map(|b| format!("{b:02x}")).collect()
    };
    assert_eq!(rows[0]["geometry"], format!("0101000000{}", hex(&[500_001.25, 5_300_002.5])));
    let polygon = rows[2]["geometry"].as_str().unwrap();
    assert!(polygon.starts_with("01030000000200000005000000") && polygon.len() == 2 * (9 + 2 * (4 + 80)));
    assert_eq!(
        rows[3]["bbox"],
        serde_json::json!({
            "xmin": 600_000.0, "ymin": 5_200_000.0, "xmax": 600_250.0, "ymax": 5_200_250.0
        })
    );
    assert_eq!(found["meta"]["model"], "m1");
    let column = &found["geo"]["columns"]["geometry"];
    assert_eq!(found["geo"]["version"], "1.1.0");
    assert_eq!(column["geometry_types"], serde_json::json!(["Point", "Polygon"]));
    assert_eq!(column["bbox"], serde_json::json!([399_960.0, 5_190_240.0, 600_250.0, 5_300_200.0]));
    assert_eq!(column["covering"]["bbox"]["ymax"], serde_json::json!(["bbox", "ymax"]));
}

#[test]
fn systems_are_described_as_proj_does() {
    let folder = tempfile::tempdir().unwrap();
    let codes = [32601, 32631, 32660, 32733, 25832, 26910, 3857, 3035, 2154, 4258, 4269];
    let path = |code: &u32| folder.path().join(format!("{code}.parquet"));
    let files: Vec<PathBuf> = codes.iter().map(path).collect();
    for (code, file) in codes.iter().zip(&files) {
        create(file, &Layer::new("none", Some(*code), Vec::new()), false).unwrap().finish().unwrap();
    }
    let Some(text) = python(SYSTEMS, &files) else { return };
    assert_eq!(text.trim(), "same");
    let crs = |epsg: Option<u32>| {
        let path = folder.path().join(format!("{epsg:?}.parquet"));
        geometries(&path, epsg);
        let found: serde_json::Value = serde_json::from_str(&python(READ, &[path]).unwrap()).unwrap();
        found["geo"]["columns"]["geometry"].get("crs").cloned()
    };
    // Nothing said is longitude and latitude on WGS 84; null is a system that is not known.
    assert_eq!(crs(Some(4326)), None);
    assert_eq!(crs(None), Some(serde_json::Value::Null));
}

#[test]
fn groups_of_rows_follow_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    let one = features().remove(1);
    write(&path, &layer(32631), &vec![one; 100_001]);
    let Some(text) = python(READ, &[path]) else { return };
    let found: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!((found["rows"].as_array().unwrap().len(), &found["groups"]), (100_001, &serde_json::json!(2)));
}
