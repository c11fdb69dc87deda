//! Recorded checkpoints of the published programs: every one opens, and odd tensors equal PyTorch's own dump.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::path::{Path, PathBuf};

use weights_tools::{Checkpoint, DType, Format, Value};

fn checkpoints(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            checkpoints(&path, found);
        } else if ["pth", "pt", "state", "tar"].iter().any(|e| path.extension() == Some(e.as_ref())) {
            found.push(path);
        }
    }
}

#[test]
fn every_recorded_checkpoint_opens_and_reads() {
    let Some(golden) = common::golden() else { return };
    let mut found = Vec::new();
    checkpoints(&golden, &mut found);
    assert!(found.len() > 100, "only {} checkpoints under {}", found.len(), golden.display());
    for path in found {
        let checkpoint = Checkpoint::open(&path).unwrap_or_else(|e| panic!("{e}"));
        assert!(checkpoint.tensors().len() > 0, "{}", path.display());
        for info in checkpoint.tensors() {
            let bytes = checkpoint.bytes_of(info).unwrap();
            assert_eq!(bytes.len(), info.bytes(), "{} {}", path.display(), info.name);
            if info.dtype.is_float() {
                let values = checkpoint.f32_of(info).unwrap();
                assert!(values.iter().all(|v| v.is_finite()), "{} {}", path.display(), info.name);
            }
        }
    }
}

/// The dumps hold bfloat16 as no type numpy knows, so that one is compared with its `f32` twin.
#[test]
fn odd_tensors_equal_the_dumps() {
    let Some(golden) = common::golden() else { return };
    let folder = golden.join("satlas/pth/variants");
    let checkpoint = Checkpoint::open(folder.join("odd_tensors.pth")).unwrap();
    let mut compared = 0;
    for info in checkpoint.tensors() {
        let dump = folder.join(format!("odd_{}.npy", info.name));
        if !dump.exists() {
            assert_eq!(info.name, "bf16");
            continue;
        }
        let (code, shape, bytes) = common::read_npy(&dump);
        let expected_dtype = match code.as_str() {
            "f4" => DType::F32,
            "f2" => DType::F16,
            "f8" => DType::F64,
            "i8" => DType::I64,
            "u1" => DType::U8,
            "b1" => DType::Bool,
            other => panic!("{other}"),
        };
        assert_eq!(info.dtype, expected_dtype, "{}", info.name);
        // The dump stores the scalar as one element.
        if info.name != "scalar" {
            assert_eq!(info.shape, shape, "{}", info.name);
        }
        assert_eq!(*checkpoint.bytes_of(info).unwrap(), *bytes, "{}", info.name);
        compared += 1;
    }
    assert_eq!(compared, 11);
    assert_eq!(checkpoint.read_f32("bf16").unwrap(), checkpoint.read_f32("whole").unwrap());
    let [whole, transposed, slice] =
        ["whole", "transposed", "slice"].map(|n| checkpoint.tensor(n).unwrap().storage);
    assert!(whole == transposed && whole == slice);
}

#[test]
fn one_state_dict_in_four_containers() {
    let Some(golden) = common::golden() else { return };
    let folder = golden.join("satlas/pth/variants");
    for (file, format, wrapper) in [
        ("zip.pth", Format::PthZip, ""),
        ("legacy.pth", Format::PthLegacy, ""),
        ("wrapped.pth.tar", Format::PthZip, "state_dict"),
    ] {
        let checkpoint = Checkpoint::open(folder.join(file)).unwrap();
        assert_eq!(checkpoint.format(), format, "{file}");
        let state = checkpoint.select(None).unwrap();
        assert_eq!((state.wrapper(), state.len()), (wrapper, 8), "{file}");
        for info in state.tensors() {
            let (_, shape, bytes) = common::read_npy(&folder.join(format!("sd_{}.npy", info.name)));
            assert_eq!(info.shape, shape);
            assert_eq!(*state.read_bytes(&info.name).unwrap(), *bytes, "{file} {}", info.name);
        }
    }
}

#[test]
fn wrappers_follow_the_reference_loader() {
    let Some(golden) = common::golden() else { return };
    let models = golden.join("ssr/cli_work/experiments/tiny_esrgan/models");
    let generator = Checkpoint::open(models.join("net_g_8.pth")).unwrap();
    assert_eq!(generator.select(None).unwrap().wrapper(), "params_ema");
    assert_eq!(generator.select(Some("params")).unwrap().wrapper(), "params");
    let discriminator = Checkpoint::open(models.join("net_d_8.pth")).unwrap();
    assert_eq!(discriminator.select(Some("params_ema")).unwrap().wrapper(), "params");
    let plain = Checkpoint::open(golden.join("ssr/sr3_tiny/weights.pth")).unwrap();
    assert_eq!(plain.select(Some("params")).unwrap().wrapper(), "");
}

#[test]
fn training_states_keep_their_numbers() {
    let Some(golden) = common::golden() else { return };
    let state = golden.join("ssr/train_l2_srcnn_dropout_off/training_states/2.state");
    let checkpoint = Checkpoint::open(state).unwrap();
    let schedulers = checkpoint.root().get("schedulers").and_then(Value::as_list).unwrap();
    let milestones = schedulers[0].get("milestones").and_then(Value::as_dict).unwrap();
    assert_eq!(milestones.iter().next(), Some((&Value::Int(2), &Value::Int(1))));
    let group = checkpoint.root().get("optimizers").and_then(Value::as_list).unwrap()[0].clone();
    let group = group.get("param_groups").and_then(Value::as_list).unwrap()[0].clone();
    assert_eq!(group.get("lr").and_then(Value::as_f64), Some(1e-4));
}

#[test]
fn a_whole_training_checkpoint_names_its_parts() {
    let Some(golden) = common::golden() else { return };
    for file in ["checkpoint_ddp.pth", "checkpoint_legacy.pth"] {
        let checkpoint = Checkpoint::open(golden.join("wildsat/train_run").join(file)).unwrap();
        let error = checkpoint.select(None).err().unwrap().to_string();
        assert!(error.contains("satellite_state_dict"), "{error}");
        let weights = checkpoint.select(Some("satellite_state_dict")).unwrap();
        assert!(weights.names().all(|n| !n.starts_with("module.")));
        assert!(checkpoint.root().get("opt").is_some_and(|opt| opt.as_dict().is_some_and(|d| d.len() > 3)));
    }
}
