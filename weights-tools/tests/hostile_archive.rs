//! Containers that lie: overlapping and out-of-range entries, bombs, paths that leave, truncation.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::io::{Cursor, Read, Write};

use common::pickle::*;
use common::zip::{archive, RawEntry};
use weights_tools::{Checkpoint, Kind, Limits};

fn assert_refused(bytes: Vec<u8>, kind: Kind, what: &str) {
    match Checkpoint::from_bytes(bytes, &Limits::default()) {
        Ok(_) => panic!("was accepted: {what}"),
        Err(error) => {
            assert!(error.to_string().contains(what), "{error} does not say {what:?}");
            assert_eq!(error.kind(), kind, "{error}");
        }
    }
}

fn changed(change: impl FnOnce(&mut Vec<RawEntry>)) -> Vec<u8> {
    let mut entries = entries(&honest());
    change(&mut entries);
    archive(&entries)
}

/// The data of `bytes` deflated.
fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    zip.start_file("x", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(bytes).unwrap();
    let mut zip = zip::ZipArchive::new(zip.finish().unwrap()).unwrap();
    let mut out = Vec::new();
    zip.by_index_raw(0).unwrap().read_to_end(&mut out).unwrap();
    out
}

#[test]
fn names_that_leave_the_archive_are_refused() {
    for name in ["../../etc/cron.d/x", "/etc/passwd", "x/../../y", "C:/x", "x\\..\\y", ".."] {
        let bytes = changed(|e| e.push(RawEntry::stored(name, b"x")));
        assert_refused(bytes, Kind::Refused, "path that leaves the archive");
    }
}

#[test]
fn entries_that_overlap_or_reach_outside_are_refused() {
    // data/1 claims the bytes of data/0.
    let plain = archive(&entries(&honest()));
    let at = plain.windows(8).position(|w| w == b"x/data/0").unwrap() as u32 - 30;
    let bytes = changed(|e| {
        let mut twin = RawEntry::stored("x/data/1", &[0x3f; 24]);
        twin.header_at = Some(at);
        e.push(twin);
    });
    assert_refused(bytes, Kind::Format, "overlap");
    let bytes = changed(|e| {
        e[2].size = 1 << 30;
        e[2].compressed = 1 << 30;
    });
    assert_refused(bytes, Kind::Format, "reaches outside the file");
    assert_refused(changed(|e| e[2].header_at = Some(0x7fff_ffff)), Kind::Format, "broken or truncated");
    assert_refused(changed(|e| e[2].size = 48), Kind::Format, "with two sizes");
    let twice = changed(|e| e.push(RawEntry::stored("x/data/0", &[0; 24])));
    assert_refused(twice, Kind::Format, "two entries of one name");
}

#[test]
fn bombs_are_refused_before_they_are_inflated() {
    let bomb = |size: u32, claim: i64, data: Vec<u8>| {
        let structure = pickle(&dict(&[("w", tensor(&storage("0", claim), 0, &[2], &[1]))]));
        let mut entries = entries(&structure);
        entries[2] = RawEntry {
            method: 8,
            size,
            compressed: data.len() as u32,
            ..RawEntry::stored("x/data/0", &data)
        };
        archive(&entries)
    };
    let zeros = deflated(&vec![0; 1 << 20]);
    assert!(zeros.len() < 2000);
    assert_refused(bomb(3 << 30, 3 << 28, zeros.clone()), Kind::Limit, "inflate to bytes 3221225472");
    // It declares 400 bytes, then goes on to a megabyte.
    assert_refused(bomb(400, 100, zeros), Kind::Format, "larger than its declared uncompressed size");
    let structure = changed(|e| {
        let data = deflated(&vec![b'N'; 1 << 20]);
        e[0] = RawEntry {
            method: 8,
            size: 100 << 20,
            compressed: data.len() as u32,
            ..RawEntry::stored("x/data.pkl", &data)
        };
    });
    assert_refused(structure, Kind::Limit, "entry data.pkl of bytes 104857600");
}

#[test]
fn a_re_zipped_checkpoint_is_still_read() {
    let data: Vec<u8> = [1.0f32, 2.0, 3.0, 4.0, 5.0, 6.0].iter().flat_map(|v| v.to_le_bytes()).collect();
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [("x/data.pkl", honest()), ("x/data/0", data)] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    let bytes = zip.finish().unwrap().into_inner();
    let checkpoint = Checkpoint::from_bytes(bytes, &Limits::default()).unwrap();
    assert_eq!(checkpoint.read_f32("t").unwrap(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0]);
}

#[test]
fn other_archives_are_named() {
    let big = changed(|e| e[1] = RawEntry::stored("x/byteorder", b"big"));
    assert_refused(big, Kind::Unsupported, "byte order \"big\"");
    let script = changed(|e| e.push(RawEntry::stored("x/constants.pkl", b"N.")));
    assert_refused(script, Kind::Unsupported, "TorchScript");
    let two = changed(|e| e.push(RawEntry::stored("y/data.pkl", b"N.")));
    assert_refused(two, Kind::Format, "two checkpoints");
    assert_refused(
        archive(&[RawEntry::stored("readme.txt", b"x")]),
        Kind::Format,
        "not a PyTorch checkpoint",
    );
    let corrupt = changed(|e| e[0].crc ^= 1);
    assert_refused(corrupt, Kind::Format, "data.pkl does not inflate");
    let mut tar = vec![0; 512];
    tar[257..262].copy_from_slice(b"ustar");
    assert_refused(tar, Kind::Unsupported, "tar archive");
    assert_refused(b"\x89HDF\r\n\x1a\n".to_vec(), Kind::Format, "begins with 89 48 44 46");
    assert_refused(Vec::new(), Kind::Format, "neither");
}

#[test]
fn truncation_at_every_64th_is_refused() {
    for whole in [zip_pth(&honest()), legacy_pth(&honest()), safetensors(HONEST_HEADER)] {
        Checkpoint::from_bytes(whole.clone(), &Limits::default()).unwrap();
        for part in 0..64 {
            let cut = whole[..whole.len() * part / 64].to_vec();
            let error = Checkpoint::from_bytes(cut, &Limits::default()).err();
            assert!(error.is_some(), "cut at {part}/64 was accepted");
        }
    }
}

#[test]
fn a_file_on_disk_is_named_in_the_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cut.pth");
    let whole = zip_pth(&honest());
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let message = Checkpoint::open(&path).err().unwrap().to_string();
    assert!(
        message.starts_with(&format!("{}: the zip archive is broken or truncated", path.display())),
        "{message}"
    );
    std::fs::write(&path, b"").unwrap();
    assert!(Checkpoint::open(&path).err().unwrap().to_string().ends_with("cut.pth: is empty"));
    assert_eq!(Checkpoint::open(folder.path()).err().unwrap().kind(), Kind::Unsupported);
    assert_eq!(Checkpoint::open(folder.path().join("none")).err().unwrap().kind(), Kind::Io);
}

#[test]
fn safetensors_headers_that_lie_are_refused() {
    let one = |entry: &str| safetensors(&format!(r#"{{"w":{entry}}}"#));
    for (entry, what) in [
        (r#"{"dtype":"F32","shape":[6],"data_offsets":[0,25]}"#, "outside the file"),
        (r#"{"dtype":"F32","shape":[6],"data_offsets":[24,0]}"#, "outside the file"),
        (r#"{"dtype":"F32","shape":[6],"data_offsets":[0,18446744073709551615]}"#, "outside the file"),
        (r#"{"dtype":"F32","shape":[7],"data_offsets":[0,24]}"#, "outside its storage"),
        (r#"{"dtype":"F32","shape":[5],"data_offsets":[0,24]}"#, "does not fill"),
        (r#"{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,24]}"#, "larger than memory"),
        (r#"{"dtype":"F32","shape":[-6],"data_offsets":[0,24]}"#, "has no shape"),
        (r#"{"dtype":"F4","shape":[48],"data_offsets":[0,24]}"#, "dtype \"F4\""),
        (r#"{"dtype":"F32","shape":[5],"data_offsets":[0,20]}"#, "end at byte"),
        (r#"{"dtype":"F32","shape":[5],"data_offsets":[4,24]}"#, "leaves a gap"),
        (r#"[]"#, "has no dtype"),
    ] {
        match Checkpoint::from_bytes(one(entry), &Limits::default()) {
            Ok(_) => panic!("{entry} was accepted"),
            Err(error) => assert!(error.to_string().contains(what), "{error} does not say {what:?}"),
        }
    }
    let overlap = HONEST_HEADER.replace("[16,24]", "[8,16]");
    assert_refused(safetensors(&overlap), Kind::Format, "overlaps another");
    assert_refused(safetensors("{]"), Kind::Format, "not JSON");
    let mut long = safetensors(HONEST_HEADER);
    long[5] = 1;
    assert_refused(long, Kind::Format, "neither");
    let mut long = safetensors(HONEST_HEADER);
    long[4] = 1;
    assert_refused(long, Kind::Limit, "a safetensors header of bytes");
}
