//! What the writer refuses, and what it leaves behind.

use std::fs;

use swath::raster::cog::{CogOptions, CogSpec, CogWriter, Compression};
use swath::raster::{BlockSink, GeoTransform, Georef, SampleType};
use swath::tile::Rect;
use swath::{Error, Kind};

use crate::common::*;

fn small() -> CogSpec {
    spec(100, 70, 1, SampleType::U8)
}

fn refused<T>(result: Result<T, Error>, kind: Kind, words: &str) {
    let error = result.err().expect("refused");
    assert_eq!(error.kind(), kind, "{error}");
    let line = error.to_string();
    assert!(line.contains(words) && !line.contains('\n'), "{line}");
}

#[test]
fn specs_out_of_bounds() {
    let georef = |epsg| Some(Georef { epsg, transform: GeoTransform::north_up(0.0, 0.0, 1.0, -1.0) });
    let cases = [
        (CogSpec { width: 0, ..small() }, Kind::Limit, "0x70"),
        (CogSpec { tile: 100, ..small() }, Kind::Limit, "multiple of 16"),
        (CogSpec { bands: vec![], ..small() }, Kind::Limit, "0 bands"),
        (CogSpec { sample: SampleType::I16, ..small() }, Kind::Unsupported, "I16"),
        (CogSpec { nodata: Some(-1.0), ..small() }, Kind::Usage, "nodata -1"),
        (CogSpec { nodata: Some(0.5), ..small() }, Kind::Usage, "nodata 0.5"),
        (CogSpec { level: Some(10), ..small() }, Kind::Usage, "1 to 9"),
        (CogSpec { compression: Compression::Zstd, level: Some(23), ..small() }, Kind::Usage, "1 to 22"),
        (CogSpec { georef: georef(70_000), ..small() }, Kind::Unsupported, "EPSG:70000"),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (spec, kind, words) in cases {
        refused(create(&dir.path().join("a.tif"), &spec, false), kind, words);
    }
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "nothing is begun for a refused spec");
}

#[test]
fn existing_files_and_folders_in_the_way() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    refused(create(dir.path(), &small(), false), Kind::Usage, "folder");
    refused(create(&dir.path().join("no/a.tif"), &small(), false), Kind::Io, "cannot create");
    fs::write(&path, "precious").unwrap();
    refused(create(&path, &small(), false), Kind::Usage, "--overwrite");
    refused(create(&path, &small(), true), Kind::Usage, "--overwrite");
    let overwrite = CogOptions { overwrite: true, ..CogOptions::default() };
    let writer = CogWriter::create(&path, small(), overwrite).unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"precious", "kept until the new file is whole");
    all_blocks(&writer).into_iter().for_each(|at| put(&writer, at).unwrap());
    finish(writer).unwrap();
    assert_eq!(fs::read(&path).unwrap()[..2], *b"II");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "the spool is gone");
}

#[test]
fn blocks_that_do_not_fit() {
    let dir = tempfile::tempdir().unwrap();
    let writer = create(&dir.path().join("a.tif"), &small(), false).unwrap();
    refused(writer.put_empty(2, 0), Kind::Shape, "2,0 of 2x2");
    let elsewhere = block(writer.spec(), Rect::at(0, 0, 64, 64));
    refused(writer.put(1, 0, &elsewhere), Kind::Shape, "x 64..100");
    let mut short = block(writer.spec(), writer.block_rect(1, 1));
    short.rect = writer.block_rect(0, 0);
    refused(writer.put(0, 0, &short), Kind::Shape, "64x64");
    let wide = block(&spec(100, 70, 1, SampleType::U16), writer.block_rect(0, 0));
    refused(writer.put(0, 0, &wide), Kind::Shape, "U8");
}

#[test]
fn a_file_with_missing_blocks_is_not_finished() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    let writer = create(&path, &small(), false).unwrap();
    put(&writer, (0, 0)).unwrap();
    refused(finish(writer), Kind::Usage, "3 of 4");
    assert!(!path.exists());
}

#[test]
fn two_runs_on_one_output() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    let first = create(&path, &small(), false).unwrap();
    refused(create(&path, &small(), true), Kind::Usage, "another run");
    drop(first);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "an unused spool is removed");
    create(&path, &small(), false).unwrap();
}

#[test]
fn unfinished_runs_need_a_word() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    put(&create(&path, &small(), false).unwrap(), (0, 0)).unwrap();
    refused(create(&path, &small(), false), Kind::Usage, "--resume");
    let other_output = CogSpec { level: Some(9), ..small() };
    refused(create(&path, &other_output, true), Kind::Usage, "other output options");
    let other_run = CogOptions { resume: true, overwrite: false, fingerprint: [1; 32] };
    refused(CogWriter::create(&path, small(), other_run), Kind::Usage, "other inputs");
    assert!(create(&path, &small(), true).unwrap().is_done(0, 0));
    let discard = CogOptions { overwrite: true, ..other_run };
    assert!(!CogWriter::create(&path, small(), discard).unwrap().is_done(0, 0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named_and_nothing_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    let spool = dir.path().join("a.tif.swath-spool");
    fs::create_dir(&spool).unwrap();
    std::os::unix::fs::symlink("/dev/full", spool.join("tiles")).unwrap();
    let writer = create(&path, &small(), false).unwrap();
    refused(put(&writer, (0, 0)), Kind::Io, "no space");
    assert!(!writer.is_done(0, 0));
    assert!(!path.exists());
}
