//! Runs that stop anywhere and are resumed end with the bytes of a run that did not.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use swath::raster::cog::{CogSpec, Compression};
use swath::raster::{BlockSink, SampleType};
use swath::{Error, Kind};

use crate::common::*;

fn masked() -> CogSpec {
    CogSpec { mask: true, compression: Compression::Zstd, ..spec(420, 330, 2, SampleType::U16) }
}

/// A small generator, so that every run of the tests is the same (splitmix64).
struct Random(u64);

impl Random {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i as u64 + 1) as usize);
        }
    }
}

fn reference(dir: &Path) -> Vec<u8> {
    let path = dir.join("reference.tif");
    write(&path, &masked());
    fs::read(path).unwrap()
}

/// Stores some blocks in random order and stops.
fn begin(path: &Path, resume: bool, count: usize, random: &mut Random) {
    let writer = create(path, &masked(), resume).unwrap();
    let mut blocks = all_blocks(&writer);
    blocks.retain(|at| !writer.is_done(at.0, at.1));
    random.shuffle(&mut blocks);
    blocks.iter().take(count).for_each(|at| put(&writer, *at).unwrap());
}

fn complete(path: &Path) -> usize {
    let writer = create(path, &masked(), true).unwrap();
    let missing: Vec<_> = all_blocks(&writer).into_iter().filter(|at| !writer.is_done(at.0, at.1)).collect();
    missing.iter().for_each(|at| put(&writer, *at).unwrap());
    finish(writer).unwrap();
    missing.len()
}

fn spool_file(path: &Path, name: &str) -> PathBuf {
    path.with_file_name("a.tif.swath-spool").join(name)
}

#[test]
fn any_order_and_any_number_of_stops_give_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let expected = reference(dir.path());
    let path = dir.path().join("a.tif");
    let mut random = Random(1);
    for _ in 0..4 {
        begin(&path, false, 1 + random.below(20) as usize, &mut random);
        begin(&path, true, random.below(12) as usize, &mut random);
        complete(&path);
        assert!(fs::read(&path).unwrap() == expected);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn files_cut_anywhere_cost_only_the_tiles_they_held() {
    let dir = tempfile::tempdir().unwrap();
    let expected = reference(dir.path());
    let path = dir.path().join("a.tif");
    let mut random = Random(2);
    for round in 0..30 {
        begin(&path, false, 30, &mut random);
        let file = spool_file(&path, if round % 2 == 0 { "tiles" } else { "journal" });
        let len = fs::metadata(&file).unwrap().len();
        let cut = random.below(len + 1);
        OpenOptions::new().write(true).open(&file).unwrap().set_len(cut).unwrap();
        let redone = complete(&path);
        assert!(redone >= 12 && (cut == len || redone > 12), "cut at {cut} of {len}: {redone} redone");
        assert!(fs::read(&path).unwrap() == expected, "cut of {} at {cut}", file.display());
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn flipped_bits_are_found() {
    let dir = tempfile::tempdir().unwrap();
    let expected = reference(dir.path());
    let path = dir.path().join("a.tif");
    let mut random = Random(3);
    for _ in 0..10 {
        begin(&path, false, 42, &mut random);
        let file = spool_file(&path, "tiles");
        let mut bytes = fs::read(&file).unwrap();
        let at = random.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << random.below(8);
        fs::write(&file, bytes).unwrap();
        assert_eq!(complete(&path), 1);
        assert!(fs::read(&path).unwrap() == expected);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn a_finish_stopped_at_any_step_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let expected = reference(dir.path());
    let path = dir.path().join("a.tif");
    let steps = AtomicU64::new(0);
    begin(&path, false, usize::MAX, &mut Random(4));
    let mut stop_after = 0;
    loop {
        let writer = Box::new(create(&path, &masked(), true).unwrap());
        steps.store(0, Ordering::Relaxed);
        let result = writer.finish(&|done, total| {
            assert!(done <= total);
            match steps.fetch_add(1, Ordering::Relaxed) < stop_after {
                true => Ok(()),
                false => Err(Error::interrupted("stopped")),
            }
        });
        match result {
            Ok(_) => break,
            Err(e) => assert_eq!(e.kind(), Kind::Interrupted, "{e}"),
        }
        assert!(!path.exists());
        stop_after += 5;
    }
    assert!(stop_after > 50, "overviews and tiles are both counted");
    assert!(fs::read(&path).unwrap() == expected);
}

#[test]
fn resuming_a_finished_run_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.tif");
    write(&path, &masked());
    let before = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    let writer = create(&path, &masked(), true).unwrap();
    assert!(all_blocks(&writer).iter().all(|at| writer.is_done(at.0, at.1)));
    put(&writer, (0, 0)).unwrap();
    let summary = finish(writer).unwrap();
    assert!(summary.was_complete);
    assert_eq!(summary.bytes, before.0.len() as u64);
    assert!(before == (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap()));
    let other = CogSpec { level: Some(1), ..masked() };
    assert_eq!(create(&path, &other, true).err().unwrap().kind(), Kind::Usage);
}

#[test]
fn death_between_rename_and_clean_up_is_harmless() {
    let dir = tempfile::tempdir().unwrap();
    let expected = reference(dir.path());
    let path = dir.path().join("a.tif");
    begin(&path, false, usize::MAX, &mut Random(5));
    fs::write(&path, &expected).unwrap();
    assert_eq!(complete(&path), 0);
    assert!(fs::read(&path).unwrap() == expected);
    assert!(!path.with_file_name("a.tif.swath-spool").exists());
}

/// Not a test of its own: the run that `killed_runs_resume_to_the_same_bytes` kills.
#[test]
fn child() {
    if let Some(path) = std::env::var_os(CHILD) {
        complete(Path::new(&path));
    }
}

const CHILD: &str = "SWATH_TEST_COG_CHILD";

#[test]
fn killed_runs_resume_to_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let expected = reference(dir.path());
    let path = dir.path().join("a.tif");
    let run = || {
        let exe = std::env::current_exe().unwrap();
        let mut command = Command::new(exe);
        command.args(["--exact", "resume::child"]).env(CHILD, &path).stdout(Stdio::null());
        command.spawn().unwrap()
    };
    let begun = Instant::now();
    assert!(run().wait().unwrap().success());
    let whole = begun.elapsed();
    assert!(fs::read(&path).unwrap() == expected);
    fs::remove_file(&path).unwrap();
    let (mut random, mut killed) = (Random(6), 0);
    for _ in 0..20 {
        let mut child = run();
        std::thread::sleep(whole * (random.below(100) as u32) / 100);
        child.kill().unwrap();
        let finished = child.wait().unwrap().success();
        killed += u32::from(!finished);
        assert!(!path.exists() || fs::read(&path).unwrap() == expected, "a torn file under the final name");
        if finished {
            fs::remove_file(&path).unwrap();
        }
    }
    assert!(killed > 5, "{killed} of 20 runs were still going when they were killed");
    complete(&path);
    assert!(fs::read(&path).unwrap() == expected);
}
