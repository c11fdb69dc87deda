//! The program killed, interrupted and out of disk: nothing torn appears, and `--resume` ends byte for byte where
//! an undisturbed run ends.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Kills of one test run; `SWATH_KILLS` asks for more.
const KILLS: u32 = 4;

struct Fixture {
    folder: tempfile::TempDir,
    whole: Vec<u8>,
    time: Duration,
}

fn swath(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swath"));
    command.args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn upscale(scenes: &Path, output: &Path, more: &[&str]) -> Command {
    let mut command = swath(&["upscale", "--tile", "64", "--model", "demo", "--quiet", "--progress", "none"]);
    command.arg(scenes).arg("-o").arg(output).args(more);
    command
}

fn succeed(mut command: Command) -> Output {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output
}

/// Scenes, and what an undisturbed run makes of them; made once.
fn fixture() -> &'static Fixture {
    static FIXTURE: OnceLock<Fixture> = OnceLock::new();
    FIXTURE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let demo = folder.path().to_str().unwrap();
        succeed(swath(&[
            "demo",
            "-o",
            demo,
            "--scenes-only",
            "--size",
            "282",
            "--dates",
            "3",
            "--progress",
            "none",
        ]));
        let output = folder.path().join("whole.tif");
        let started = Instant::now();
        succeed(upscale(&folder.path().join("scenes"), &output, &[]));
        let time = started.elapsed();
        Fixture { whole: std::fs::read(&output).unwrap(), folder, time }
    })
}

impl Fixture {
    fn scenes(&self) -> PathBuf {
        self.folder.path().join("scenes")
    }

    fn resume_and_compare(&self, output: &Path) {
        succeed(upscale(&self.scenes(), output, &["--resume"]));
        assert!(std::fs::read(output).unwrap() == self.whole, "{} differs after a resume", output.display());
    }
}

fn signal(child: &Child, name: &str) {
    let sent = Command::new("kill").args([name, &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
}

#[test]
fn killed_at_any_moment_it_resumes_to_the_same_bytes() {
    let fixture = fixture();
    let kills = std::env::var("SWATH_KILLS").ok().and_then(|n| n.parse().ok()).unwrap_or(KILLS);
    for i in 0..kills {
        let output = fixture.folder.path().join(format!("killed{i}.tif"));
        let mut child = upscale(&fixture.scenes(), &output, &[]).spawn().unwrap();
        // Spread over the run by the golden ratio.
        let share = (f64::from(i + 1) * 0.618_034).fract();
        std::thread::sleep(fixture.time.mul_f64(share));
        let finished = child.try_wait().unwrap().is_some();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(finished || !output.exists() || std::fs::read(&output).unwrap() == fixture.whole);
        fixture.resume_and_compare(&output);
    }
}

#[test]
fn an_interrupt_ends_with_its_code_and_can_be_resumed() {
    let fixture = fixture();
    let output = fixture.folder.path().join("interrupted.tif");
    let mut child = upscale(&fixture.scenes(), &output, &[]).spawn().unwrap();
    std::thread::sleep(fixture.time.mul_f64(0.5));
    if child.try_wait().unwrap().is_none() {
        signal(&child, "-INT");
        let ended = child.wait_with_output().unwrap();
        let message = String::from_utf8_lossy(&ended.stderr);
        match ended.status.code() {
            Some(130) => assert!(message.contains("--resume"), "{message}"),
            Some(0) => eprintln!("the run was over before the interrupt"),
            other => panic!("exit code {other:?}: {message}"),
        }
    }
    fixture.resume_and_compare(&output);
}

#[test]
fn a_full_disk_ends_with_its_code_and_can_be_resumed_elsewhere() {
    let fixture = fixture();
    let disk = fixture.folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mount = |size: &str| {
        let option = format!("size={size}");
        let status = Command::new("mount").args(["-t", "tmpfs", "-o", &option, "tmpfs"]).arg(&disk).output();
        status.is_ok_and(|o| o.status.success())
    };
    if !mount("200k") {
        eprintln!("skipped: a small disk cannot be mounted here (needs root)");
        return;
    }
    let output = disk.join("out.tif");
    let ended = upscale(&fixture.scenes(), &output, &[]).output().unwrap();
    let grown = Command::new("mount").args(["-o", "remount,size=64m"]).arg(&disk).status().unwrap().success();
    let resumed = grown.then(|| upscale(&fixture.scenes(), &output, &["--resume"]).output().unwrap());
    let bytes = std::fs::read(&output);
    Command::new("umount").arg(&disk).status().unwrap();

    let message = String::from_utf8_lossy(&ended.stderr);
    assert_eq!(ended.status.code(), Some(8), "{message}");
    assert!(message.contains("out.tif"), "{message}");
    assert!(resumed.unwrap().status.success());
    assert!(bytes.unwrap() == fixture.whole);
}

#[test]
fn an_existing_result_is_not_replaced_unasked() {
    let fixture = fixture();
    let output = fixture.folder.path().join("kept.tif");
    std::fs::write(&output, b"precious").unwrap();
    let ended = upscale(&fixture.scenes(), &output, &[]).output().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&ended.stderr).contains("--overwrite"));
    assert_eq!(std::fs::read(&output).unwrap(), b"precious");
}
