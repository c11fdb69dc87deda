//! `swath upscale --chips`: PNG time series in, the reference's files out.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::Command;

use swath::engine::{forward, DevicePick, Engine, LoadedModel, ModelOptions};
use swath::tensor::Shape;
use swath::util::npy::Array;

const CHIP: usize = 32;
const FRAMES: usize = 8;

fn weights() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/demo/rrdb_8s2_demo.pth")
}

fn upscale(input: &Path, output: &Path, more: &[&str]) -> std::process::Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_swath"));
    command.arg("upscale").arg("--chips").arg(input).arg("-o").arg(output);
    command.args(["--progress", "none", "--threads", "2"]).args(more).output().unwrap()
}

/// Width, height and RGB bytes.
fn read(path: &Path) -> (usize, usize, Vec<u8>) {
    let file = File::open(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut reader = png::Decoder::new(BufReader::new(file)).read_info().unwrap();
    let mut pixels = vec![0; reader.output_buffer_size().unwrap()];
    let info = reader.next_frame(&mut pixels).unwrap();
    assert_eq!(info.color_type, png::ColorType::Rgb, "{}", path.display());
    (info.width as usize, info.height as usize, pixels)
}

fn write(path: &Path, width: usize, rgb: &[u8]) {
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = BufWriter::new(File::create(path).unwrap());
    let height = rgb.len() / 3 / width;
    let mut encoder = png::Encoder::new(file, width as u32, height as u32);
    encoder.set_color(png::ColorType::Rgb);
    encoder.write_header().unwrap().write_image_data(rgb).unwrap();
}

/// A date of a chip: smooth, never zero, different for each chip and date.
fn date(chip: usize, date: usize) -> Vec<u8> {
    let value = |y: usize, x: usize, c: usize| 40 + (chip * 31 + date * 7 + y * 3 + x * 2 + c * 11) % 200;
    let pixels = (0..CHIP * CHIP).flat_map(|i| (0..3).map(move |c| value(i / CHIP, i % CHIP, c) as u8));
    pixels.collect()
}

/// What the network makes of these dates, as bytes of RGB pixels.
fn expected(dates: &[Vec<u8>]) -> Vec<u8> {
    let model = LoadedModel::open(&weights(), ModelOptions::default()).unwrap();
    let area = CHIP * CHIP;
    let planes =
        dates.iter().flat_map(|d| (0..3 * area).map(|i| f32::from(d[i % area * 3 + i / area]) / 255.0));
    let x = Array { shape: Shape::new(&[1, 3 * dates.len(), CHIP, CHIP]).unwrap(), data: planes.collect() };
    let engine = Engine::new(DevicePick::Cpu, 1).unwrap();
    let y = forward(&engine, &model, &x, &[], None).unwrap().remove(0).1;
    let n = y.data.len() / 3;
    (0..3 * n).map(|i| (y.data[i % 3 * n + i / 3].clamp(0.0, 1.0) * 255.0) as u8).collect()
}

#[test]
fn chips_take_their_first_good_dates_and_keep_the_reference_s_names() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let mut dates: Vec<Vec<u8>> = (0..10).map(|k| date(0, k)).collect();
    dates[1][500] = 0;
    write(&input.join("a/b/deep.png"), CHIP, &dates.concat());
    write(&input.join("top.png"), CHIP, &(0..8).flat_map(|k| date(1, k)).collect::<Vec<_>>());

    let done = upscale(&input, &output, &["-m", &weights().display().to_string()]);
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let (width, height, lr) = read(&output.join("0/lr.png"));
    assert_eq!((width, height, &lr), (CHIP, CHIP, &date(1, 0)));
    assert_eq!(read(&output.join("1/lr.png")).2, dates[0]);
    dates.remove(1);
    let (width, height, sr) = read(&output.join("1/sr.png"));
    assert_eq!((width, height), (4 * CHIP, 4 * CHIP));
    assert_eq!(sr, expected(&dates[..FRAMES]));
}

#[test]
fn what_is_no_chip_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in"), folder.path().join("out"));
    let model = weights().display().to_string();
    write(&input.join("few.png"), CHIP, &date(0, 0));
    let few = upscale(&input, &output, &["-m", &model]);
    let message = String::from_utf8_lossy(&few.stderr).to_string();
    assert!(!few.status.success() && message.contains("few.png") && message.contains('8'), "{message}");
    write(&input.join("few.png"), 33, &vec![9; 33 * 32 * 3]);
    let wide = upscale(&input, &output, &["-m", &model]);
    let message = String::from_utf8_lossy(&wide.stderr).to_string();
    assert!(!wide.status.success() && message.contains("33x32"), "{message}");
}

/// Runs recorded from the reference; samples within 1e-3 of a whole number may truncate either way.
#[test]
fn recorded_runs_of_infer_and_infer_grid() {
    let shared = std::env::var_os("SWATH_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared")), PathBuf::from);
    let recorded = shared.join("golden/ssr/cli_work");
    if !recorded.exists() {
        eprintln!("skipped: {} is not there (SWATH_SHARED)", recorded.display());
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let model = recorded.join("experiments/tiny_esrgan/models/net_g_2.pth").display().to_string();
    let (mut samples, mut differing) = (0, 0);
    for (input, options, run) in [("in2", "tiny_infer.yml", "out_infer"), ("in", "tiny_grid.yml", "out_grid")]
    {
        let output = folder.path().join(run);
        let options = recorded.join(options).display().to_string();
        let done = upscale(&recorded.join(input), &output, &["-m", &model, "--config", &options]);
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        for file in pngs(&recorded.join(run)) {
            let ours = output.join(file.strip_prefix(recorded.join(run)).unwrap());
            let ((w, h, theirs), (our_w, our_h, ours)) = (read(&file), read(&ours));
            assert_eq!((w, h), (our_w, our_h), "{}", file.display());
            samples += theirs.len();
            for (a, b) in theirs.iter().zip(&ours) {
                assert!(a.abs_diff(*b) <= 1, "{}: {b} is {a}", file.display());
                differing += usize::from(a != b);
            }
        }
    }
    assert!(samples > 0 && differing * 100_000 < samples, "{differing} of {samples} samples differ");
}

fn pngs(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(pngs(&path));
        } else if path.extension().is_some_and(|e| e == "png") {
            found.push(path);
        }
    }
    found
}
