//! A file of a gigabyte is looked into without being read: resident memory and time stay small.
//! One test, so that nothing else in the process moves the resident size.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use common::pickle::*;
use common::zip::archive;
use weights_tools::{inspect, Checkpoint, InspectOptions};

const GIGABYTE: u64 = 1 << 30;

fn structure() -> Vec<u8> {
    let numel = (GIGABYTE / 4) as i64;
    let all = storage("0", numel);
    pickle(&dict(&[
        ("w", tensor(&all, 0, &[1024, numel / 1024], &[numel / 1024, 1])),
        ("end", tensor(&all, numel - 2, &[2], &[1])),
    ]))
}

/// Writes `head`, a gigabyte of hole, `tail`.
fn sparse(path: &Path, head: &[u8], tail: &[u8]) {
    let mut file = File::create(path).unwrap();
    file.write_all(head).unwrap();
    file.seek(SeekFrom::Start(head.len() as u64 + GIGABYTE)).unwrap();
    file.write_all(tail).unwrap();
    file.set_len(head.len() as u64 + GIGABYTE + tail.len() as u64).unwrap();
}

/// The archive of an empty `data/0` put last, then grown: both headers and the directory's place.
fn sparse_zip(path: &Path) {
    let mut entries = entries(&structure());
    entries[2].data.clear();
    entries[2].size = GIGABYTE as u32;
    entries[2].compressed = GIGABYTE as u32;
    entries.swap(2, 3);
    let mut bytes = archive(&entries);
    let end = bytes.len() - 22;
    let directory = u32::from_le_bytes(bytes[end + 16..end + 20].try_into().unwrap());
    bytes[end + 16..end + 20].copy_from_slice(&(directory + GIGABYTE as u32).to_le_bytes());
    let (head, tail) = bytes.split_at(directory as usize);
    sparse(path, head, tail);
}

fn sparse_legacy(path: &Path) {
    let head = [&legacy_head(&structure(), &["0"])[..], &(GIGABYTE / 4).to_le_bytes()].concat();
    sparse(path, &head, &[]);
}

fn sparse_safetensors(path: &Path) {
    let (cut, all) = (GIGABYTE - 8, GIGABYTE);
    let header = format!(
        r#"{{"w":{{"dtype":"F32","shape":[{}],"data_offsets":[0,{cut}]}},"end":{{"dtype":"F32","shape":[2],"data_offsets":[{cut},{all}]}}}}"#,
        cut / 4
    );
    let head = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
    sparse(path, &head, &[]);
}

/// Resident bytes of this process, mapped file pages included; `None` where the system does not say.
fn resident() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(statm.split(' ').nth(1)?.parse::<u64>().ok()? * 4096)
}

#[test]
fn a_gigabyte_is_inspected_without_being_read() {
    let folder = tempfile::tempdir().unwrap();
    let makers = [
        ("zip.pth", sparse_zip as fn(&Path)),
        ("legacy.pth", sparse_legacy),
        ("x.safetensors", sparse_safetensors),
    ];
    for (name, make) in makers {
        let path = folder.path().join(name);
        make(&path);
        let (before, start) = (resident(), Instant::now());
        let report = inspect(&path, &InspectOptions::default()).unwrap();
        assert!(report.file_bytes >= GIGABYTE && report.tensors.len() == 2, "{name}");
        let checkpoint = Checkpoint::open(&path).unwrap();
        assert_eq!(checkpoint.read_f32("end").unwrap(), [0.0, 0.0], "{name}");
        assert!(start.elapsed() < Duration::from_secs(5), "{name}: {:?}", start.elapsed());
        let Some((before, after)) = before.zip(resident()) else {
            eprintln!("skipped: no /proc/self/statm, resident memory is not measured");
            continue;
        };
        assert!(after.saturating_sub(before) < 16 << 20, "{name}: {before} → {after} resident bytes");
    }
}
