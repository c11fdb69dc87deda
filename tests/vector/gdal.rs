//! GDAL's programs as oracles, where they are installed.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

/// What a program prints; `None`, said aloud, when it is not installed.
pub fn program<I: AsRef<OsStr>>(name: &str, args: impl IntoIterator<Item = I>) -> Option<String> {
    let Ok(output) = Command::new(name).args(args).output() else {
        eprintln!("skipped: {name} is not installed");
        return None;
    };
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap())
}

/// The features of a file as GDAL reads them, in a coordinate system: a line of WKT and values each.
pub fn features(path: &Path, epsg: u32) -> Option<Vec<String>> {
    let system = format!("EPSG:{epsg}");
    let file = path.to_str().unwrap();
    let args = [
        "-f",
        "CSV",
        "/vsistdout/",
        file,
        "-t_srs",
        &system,
        "-lco",
        "GEOMETRY=AS_WKT",
        "-lco",
        "SEPARATOR=TAB",
    ];
    let text = program("ogr2ogr", args)?;
    Some(text.lines().skip(1).map(str::to_string).collect())
}

/// All numbers of a text.
pub fn numbers(text: &str) -> Vec<f64> {
    let parts = text.split(|c: char| !(c.is_ascii_digit() || ".-e".contains(c)));
    parts.filter_map(|part| part.parse().ok()).collect()
}
