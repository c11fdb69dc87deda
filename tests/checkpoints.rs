//! Weights files as people have them: wrapped, prefixed, of older spellings, in half precision,
//! converted, with tensors saved twice or missing. Whatever is accepted gives the same outputs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::Command;

use half::{bf16, f16};
use swath::engine::{forward, DevicePick, Engine, LoadedModel, ModelOptions};
use swath::util::npy::{self, Array};
use weights_tools::{write_pth, Checkpoint, DType, NamedTensor, TensorSet};

fn case(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/models").join(name)
}

type Tensor = (String, Vec<usize>, Vec<f32>);

/// The tensors of a case.
fn tensors(name: &str) -> Vec<Tensor> {
    let checkpoint = Checkpoint::open(case(name).join("weights.pth")).unwrap();
    let state = checkpoint.select(None).unwrap();
    state.tensors().map(|t| (t.name.clone(), t.shape.clone(), state.read_f32(&t.name).unwrap())).collect()
}

/// Bytes of values in a storage type.
fn encode(dtype: DType, data: &[f32]) -> Vec<u8> {
    data.iter()
        .flat_map(|v| match dtype {
            DType::F16 => f16::from_f32(*v).to_le_bytes().to_vec(),
            DType::BF16 => bf16::from_f32(*v).to_le_bytes().to_vec(),
            DType::F64 => f64::from(*v).to_le_bytes().to_vec(),
            _ => v.to_le_bytes().to_vec(),
        })
        .collect()
}

fn write(path: &Path, wrapper: &str, dtype: DType, tensors: &[Tensor]) {
    let named: Vec<NamedTensor<'_>> = tensors
        .iter()
        .map(|(name, shape, data)| NamedTensor {
            name: Cow::Borrowed(name),
            dtype,
            shape: Cow::Borrowed(shape),
            bytes: Cow::Owned(encode(dtype, data)),
        })
        .collect();
    write_pth(path, &[TensorSet { wrapper, tensors: &named }]).unwrap();
}

fn open(path: &Path, set: &[(&str, &str)]) -> swath::Result<LoadedModel> {
    let set: Vec<_> = set.iter().map(|(k, v)| (k.to_string(), v.to_string())).collect();
    LoadedModel::open(path, ModelOptions { set: &set, ..ModelOptions::default() })
}

fn output(model: &LoadedModel, name: &str) -> Array {
    let input = npy::read(&case(name).join("input.npy")).unwrap();
    let engine = Engine::new(DevicePick::Cpu, 1).unwrap();
    forward(&engine, model, &input, &[], None).unwrap().remove(0).1
}

fn renamed(tensors: &[Tensor], name: impl Fn(&str) -> String) -> Vec<Tensor> {
    tensors.iter().map(|(n, shape, data)| (name(n), shape.clone(), data.clone())).collect()
}

#[test]
fn wrappers_prefixes_and_older_spellings_give_the_same_output() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pth");
    let plain = tensors("rrdb_scale4");
    let expected = output(&open(&case("rrdb_scale4").join("weights.pth"), &[]).unwrap(), "rrdb_scale4");
    let older = |name: &str| {
        let name =
            name.replace("conv_body", "trunk_conv").replace("conv_hr", "HRconv").replace("conv_up", "upconv");
        name.replace("body.", "RRDB_trunk.").replace("rdb", "RDB")
    };
    for (wrapper, tensors) in [
        ("", plain.clone()),
        ("state_dict", renamed(&plain, |n| format!("module.{n}"))),
        ("model", renamed(&plain, |n| format!("net_g.module.{n}"))),
        ("params", renamed(&plain, older)),
    ] {
        write(&path, wrapper, DType::F32, &tensors);
        let model = open(&path, &[]).unwrap();
        assert_eq!(model.warnings(), [] as [String; 0]);
        assert_eq!(output(&model, "rrdb_scale4"), expected, "{wrapper}");
    }
}

#[test]
fn every_storage_type_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pth");
    let plain = tensors("rrdb_scale4");
    for (dtype, round) in [
        (DType::F64, (|v| v) as fn(f32) -> f32),
        (DType::F16, |v| f16::from_f32(v).to_f32()),
        (DType::BF16, |v| bf16::from_f32(v).to_f32()),
    ] {
        write(&path, "params", dtype, &plain);
        let stored = output(&open(&path, &[]).unwrap(), "rrdb_scale4");
        let rounded: Vec<Tensor> = plain
            .iter()
            .map(|(n, s, d)| (n.clone(), s.clone(), d.iter().map(|v| round(*v)).collect()))
            .collect();
        write(&path, "params", DType::F32, &rounded);
        assert_eq!(stored, output(&open(&path, &[]).unwrap(), "rrdb_scale4"), "{dtype}");
    }
}

#[test]
fn tensors_saved_twice_warn_when_they_differ_and_the_last_counts() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pth");
    let set = [("output_size", "24")];
    let mut tensors = tensors("srcnn_zoom3");
    let expected = output(&open(&case("srcnn_zoom3").join("weights.pth"), &set).unwrap(), "srcnn_zoom3");
    for (name, _, data) in &mut tensors {
        if name == "doubleconv2d.doubleconv2d.0.bias" {
            data[0] += 1.0;
        }
    }
    write(&path, "params", DType::F32, &tensors);
    let model = open(&path, &set).unwrap();
    assert_eq!(model.warnings().len(), 1, "{:?}", model.warnings());
    assert!(model.warnings()[0].contains("fusion.0.doubleconv2d.0.bias"), "{:?}", model.warnings());
    assert_eq!(output(&model, "srcnn_zoom3"), expected);
}

#[test]
fn all_that_is_wrong_is_said_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pth");
    let mut tensors = tensors("rrdb_scale4");
    tensors.retain(|(name, ..)| name != "body.0.rdb2.conv3.bias");
    for (name, shape, data) in &mut tensors {
        match name.as_str() {
            "conv_hr.weight" => *name = "conv_hrr.weight".to_string(),
            "conv_up1.bias" => (*shape, *data) = (vec![5], vec![0.0; 5]),
            _ => {}
        }
    }
    write(&path, "params", DType::F32, &tensors);
    let error = open(&path, &[]).err().unwrap();
    assert_eq!(error.kind(), swath::Kind::Weights);
    let message = error.to_string();
    for part in [
        "w.pth: ",
        "2 missing: ",
        "body.0.rdb2.conv3.bias",
        "conv_hr.weight (nearest: conv_hrr.weight)",
        "1 unexpected: conv_hrr.weight",
        "conv_up1.bias is 5, 4 wanted",
    ] {
        assert!(message.contains(part), "{part}: {message}");
    }
    assert!(!message.contains('\n'));
}

#[test]
fn other_networks_are_refused_and_misspelt_options_too() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pth");
    write(&path, "", DType::F32, &[("layer1.0.conv1.weight".to_string(), vec![1], vec![0.0])]);
    let message = open(&path, &[]).err().unwrap().to_string();
    assert!(message.contains("layer1.0.conv1.weight") && message.contains("rrdbnet"), "{message}");
    let file = case("rrdb_scale4").join("weights.pth");
    let message = open(&file, &[("scael", "2")]).err().unwrap().to_string();
    assert!(message.contains("did you mean scale"), "{message}");
}

/// Converted to safetensors and back, a file needs no options and gives the same bits.
#[test]
fn conversion_keeps_the_description_and_the_values() {
    let folder = tempfile::tempdir().unwrap();
    let original = case("rrdb_scale2_bands").join("weights.pth");
    let (there, back) = (folder.path().join("w.safetensors"), folder.path().join("w.pth"));
    let set = [("scale", "2"), ("n_s2_images", "2"), ("s2_bands", "b08,tci")];
    let convert = |from: &Path, to: &Path, set: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_swath"));
        let done = program.args(["weights", "convert"]).arg(from).arg(to).args(set).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    };
    let words: Vec<String> =
        set.iter().flat_map(|(k, v)| ["--set".to_string(), format!("{k}={v}")]).collect();
    convert(&original, &there, &words.iter().map(String::as_str).collect::<Vec<_>>());
    convert(&there, &back, &[]);
    let model = open(&original, &set).unwrap();
    let expected = output(&model, "rrdb_scale2_bands");
    let converted = open(&there, &[]).unwrap();
    assert_eq!(converted.warnings(), [] as [String; 0]);
    assert_eq!(converted.network().config(), model.network().config());
    assert_eq!(output(&converted, "rrdb_scale2_bands"), expected);
    assert_eq!(
        converted.weights().checkpoint().metadata_get(swath::engine::SOURCE_KEY),
        Some(model.sha256().unwrap())
    );
    assert_eq!(output(&open(&back, &set).unwrap(), "rrdb_scale2_bands"), expected);
}

#[test]
fn a_file_in_memory_is_the_same() {
    let file = case("rrdb_scale4").join("weights.pth");
    let bytes = std::fs::read(&file).unwrap();
    let from_file = open(&file, &[]).unwrap();
    let in_memory = LoadedModel::from_bytes(Path::new("built in"), bytes, ModelOptions::default()).unwrap();
    assert_eq!(in_memory.sha256().unwrap(), from_file.sha256().unwrap());
    assert_eq!(output(&in_memory, "rrdb_scale4"), output(&from_file, "rrdb_scale4"));
}
