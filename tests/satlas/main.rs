//! The Satlas networks against what the reference recorded: each fixture's weights are written as a
//! `.pth`, its configuration as the file that `--config` takes.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod classify;
mod dataset;
mod dates;
mod evaluate;
mod fixtures;
mod metrics;
mod outputs;
mod package;
mod parts;
mod published;
mod weights;

use fixtures::{fixtures, Fixture};
use swath::engine::{DevicePick, Precision, Setup};

#[test]
fn backbones() {
    let Some(fixtures) = fixtures("backbone", 10) else { return };
    for fixture in &fixtures {
        fixture.check_features(&fixture.run(2));
    }
}

/// The case of the largest logits is left out: they multiply what is rounded by a hundred, and f32 itself
/// is off by a thousandth there.
#[test]
fn backbones_in_bf16_stay_within_a_hundredth_of_the_range() {
    let Some(fixtures) = fixtures("backbone", 10) else { return };
    let setup = Setup { device: DevicePick::Cpu, precision: Precision::Bf16, ..Setup::default() };
    for fixture in fixtures.iter().filter(|f| !f.name.contains("clamped")) {
        for ((name, exact), (_, rounded)) in fixture.run(2).iter().zip(&fixture.run_as(setup, &[])) {
            let low = exact.data.iter().copied().fold(f32::MAX, f32::min);
            let range = exact.data.iter().copied().fold(f32::MIN, f32::max) - low;
            let differences = exact.data.iter().zip(&rounded.data).map(|(a, b)| (a - b).abs());
            let most =
                differences.fold(0.0, |most: f32, d| if d.is_nan() { f32::INFINITY } else { most.max(d) });
            assert!(most <= 1e-2 * range, "{} {name}: {:.2e}", fixture.name, most / range);
        }
    }
}

#[test]
fn dense_models() {
    let Some(fixtures) = fixtures("model", 9) else { return };
    for fixture in fixtures.iter().filter(|f| f.has("head0.npy")) {
        fixture.check_heads(&fixture.run(2), 0..10);
    }
}

#[test]
fn detectors() {
    let Some(fixtures) = fixtures("model", 9) else { return };
    for fixture in fixtures.iter().filter(|f| f.has("head0_img0_boxes.npy")) {
        let run = fixture.run(2);
        for image in ["head0_img0", "head0_img1"] {
            if fixture.has(&format!("{image}_boxes.npy")) {
                fixture.check_detections(&run, image, image, image);
            }
        }
    }
}

/// Pyramids and enlargements alone, on maps of odd sizes.
#[test]
fn necks() {
    let Some(fixtures) = fixtures("neck", 4) else { return };
    fixtures.iter().for_each(Fixture::check_neck);
}

#[test]
fn one_thread_and_many_give_the_same_bits() {
    let Some(fixtures) = fixtures("backbone", 10) else { return };
    let odd = fixtures.iter().find(|f| f.name.ends_with("33x47")).unwrap();
    let runs = [1, 2, 3].map(|threads| odd.run(threads));
    assert!(runs.iter().all(|run| *run == runs[0]));
}

/// Published sizes: backbone and neck maps through taps, and the heads that were recorded.
#[test]
fn full_sizes() {
    let Some(fixtures) = fixtures("fullsize", 5) else { return };
    for fixture in &fixtures {
        let taps: Vec<String> = (0..4).map(|k| format!("backbone.{k}")).collect();
        let run = fixture.run_with(2, &taps);
        for level in 0..4 {
            let wanted = fixture.array(&format!("backbone{level}_ch0-7.npy")).unwrap();
            let got = Fixture::result(&run, &format!("backbone.{level}"));
            let error = fixture.error(&format!("backbone{level}"));
            fixture.compare(&format!("backbone{level}"), &fixtures::first_channels(got, 8), &wanted, error);
        }
        fixture.check_heads(&run, 0..20);
        if fixture.has("head0_boxes.npy") {
            fixture.check_detections(&run, "head0_img0", "head0", "head0");
        }
    }
}
