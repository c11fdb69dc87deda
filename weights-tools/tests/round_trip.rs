//! What is written comes back: here, through the safetensors crate, and through PyTorch where it is installed.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::process::Command;

use weights_tools::{
    convert, diff, inspect, write_pth, write_safetensors, Checkpoint, ConvertOptions, DType, InspectOptions,
    Kind, NamedTensor, TensorSet,
};

/// One tensor of every type, bytes that are distinct and no NaN, an empty one and a scalar among them.
fn every_type() -> Vec<NamedTensor<'static>> {
    let mut tensors = Vec::new();
    for &dtype in DType::ALL {
        let shape: &[usize] = match dtype {
            DType::F32 => &[2, 3, 1, 5],
            DType::I64 => &[],
            DType::F16 => &[0, 4],
            _ => &[3, 2],
        };
        let bytes = shape.iter().product::<usize>() * dtype.size();
        let bytes = (0..bytes).map(|i| if dtype == DType::Bool { i % 2 } else { i * 7 % 96 } as u8);
        tensors.push(NamedTensor {
            name: Cow::Owned(format!("layer.{dtype}")),
            dtype,
            shape: Cow::Borrowed(shape),
            bytes: Cow::Owned(bytes.collect()),
        });
    }
    tensors
}

fn assert_holds(path: &Path, key: Option<&str>, tensors: &[NamedTensor<'_>]) {
    let checkpoint = Checkpoint::open(path).unwrap();
    let state = checkpoint.select(key).unwrap();
    assert_eq!(state.len(), tensors.len());
    for tensor in tensors {
        let info = state.get(&tensor.name).unwrap();
        assert_eq!((info.dtype, &*info.shape), (tensor.dtype, &*tensor.shape));
        assert_eq!(state.read_bytes(&tensor.name).unwrap(), tensor.bytes, "{}", tensor.name);
    }
}

#[test]
fn pth_returns_every_type_and_keeps_alignment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.pth");
    let tensors = every_type();
    let (plain, half) = (&tensors[..], &tensors[..4]);
    write_pth(&path, &[TensorSet { wrapper: "", tensors: plain }]).unwrap();
    assert_holds(&path, None, plain);
    let first = std::fs::read(&path).unwrap();
    write_pth(&path, &[TensorSet { wrapper: "", tensors: plain }]).unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), first);
    let mut zip = zip::ZipArchive::new(std::io::Cursor::new(first)).unwrap();
    for index in 0..zip.len() {
        let entry = zip.by_index(index).unwrap();
        assert_eq!(entry.data_start().unwrap() % 64, 0, "{:?}", entry.name());
    }

    write_pth(
        &path,
        &[TensorSet { wrapper: "params", tensors: plain }, TensorSet { wrapper: "model.ema", tensors: half }],
    )
    .unwrap();
    assert_holds(&path, Some("params"), plain);
    assert_holds(&path, Some("model.ema"), half);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn sets_that_exclude_each_other_are_refused() {
    let tensors = every_type();
    let set = |wrapper| TensorSet { wrapper, tensors: &tensors };
    for sets in [[set(""), set("params")], [set("params"), set("params")]] {
        assert_eq!(write_pth("/nonexistent/x.pth", &sets).unwrap_err().kind(), Kind::Format);
    }
    assert_eq!(write_pth("/nonexistent/x.pth", &[set("")]).unwrap_err().kind(), Kind::Io);
    let mut wrong = every_type();
    wrong[0].shape = Cow::Borrowed(&[7]);
    let error = write_pth("/nonexistent/x.pth", &[TensorSet { wrapper: "", tensors: &wrong }]).unwrap_err();
    assert!(error.to_string().contains("not those of shape [7]"), "{error}");
}

#[test]
fn safetensors_is_read_by_its_own_crate() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("all.safetensors");
    let tensors: Vec<_> = every_type().into_iter().filter(|t| t.dtype != DType::C128).collect();
    let metadata = vec![("model".to_string(), r#"{"family":"esrgan","scale":4}"#.to_string())];
    write_safetensors(&path, &tensors, &metadata).unwrap();
    assert_holds(&path, None, &tensors);
    let checkpoint = Checkpoint::open(&path).unwrap();
    assert_eq!(checkpoint.metadata(), metadata);

    let bytes = std::fs::read(&path).unwrap();
    let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    assert_eq!((8 + header) % 256, 0);
    let oracle = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(oracle.len(), tensors.len());
    for tensor in &tensors {
        let view = oracle.tensor(&tensor.name).unwrap();
        assert_eq!((view.shape(), view.data()), (&*tensor.shape, &*tensor.bytes), "{}", tensor.name);
    }
    let error = write_safetensors(&path, &every_type(), &[]).unwrap_err();
    assert!(error.to_string().contains("complex128"), "{error}");
}

#[test]
fn there_and_back_keeps_tensors_wrapper_and_description() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let data: Vec<f32> = (0..12).map(|v| v as f32 / 3.0).collect();
    let tensors =
        [NamedTensor::f32("conv.weight", &[3, 4], &data), NamedTensor::f32("conv.bias", &[3], &data[..3])];
    write_pth(file("a.pth"), &[TensorSet { wrapper: "params_ema", tensors: &tensors }]).unwrap();
    let options = ConvertOptions { metadata: vec![("model".into(), "{}".into())], ..Default::default() };
    let there = convert(&file("a.pth"), &file("b.safetensors"), &options).unwrap();
    assert_eq!((there.tensors, there.bytes, there.read_from.as_str()), (2, 60, "params_ema"));
    let back = convert(&file("b.safetensors"), &file("c.pth"), &ConvertOptions::default()).unwrap();
    assert_eq!((back.written_to.as_str(), back.dropped_metadata), ("params_ema", 3));
    assert_eq!(std::fs::read(file("a.pth")).unwrap(), std::fs::read(file("c.pth")).unwrap());
    assert!(diff(&file("a.pth"), &file("b.safetensors"), None).unwrap().is_none());

    let error = convert(&file("a.pth"), &file("c.pth"), &ConvertOptions::default()).unwrap_err();
    assert!(error.to_string().contains("--overwrite"), "{error}");
    let error = convert(&file("a.pth"), &file("c.onnx"), &ConvertOptions::default()).unwrap_err();
    assert!(error.to_string().contains("neither .safetensors nor .pth"), "{error}");

    let report =
        inspect(&file("b.safetensors"), &InspectOptions { statistics: true, ..Default::default() }).unwrap();
    let text = report.to_string();
    assert!(
        text.contains("2 tensors, 15 elements (float32 2)") && text.contains("wrapper: params_ema"),
        "{text}"
    );
    let row = report.tensors.iter().find(|t| t.info.name == "conv.bias").unwrap();
    assert_eq!(row.statistics, Some([0.0, f64::from(1f32 / 3.0), f64::from(2f32 / 3.0)]));
    assert_eq!(report.to_json()["tensors"][0]["shape"], serde_json::json!([3, 4]));
}

#[test]
fn differences_are_named_and_measured() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (a, mut b) = (vec![1.0f32, -2.0, 4.0], vec![1.0f32, -2.0, 4.0]);
    b[1] = -2.5;
    let first = [
        NamedTensor::f32("same", &[3], &a),
        NamedTensor::f32("moved", &[3], &a),
        NamedTensor::f32("shape", &[3], &a),
        NamedTensor::f32("gone", &[3], &a),
    ];
    let second = [
        NamedTensor::f32("same", &[3], &a),
        NamedTensor::f32("moved", &[3], &b),
        NamedTensor::f32("shape", &[1, 3], &a),
        NamedTensor::f32("new", &[3], &a),
    ];
    write_pth(file("a.pth"), &[TensorSet { wrapper: "", tensors: &first }]).unwrap();
    write_safetensors(file("b.safetensors"), &second, &[]).unwrap();
    let report = diff(&file("a.pth"), &file("b.safetensors"), None).unwrap();
    assert_eq!(
        (report.same, report.only_first.as_slice(), report.only_second.as_slice()),
        (1, &["gone".into()][..], &["new".into()][..])
    );
    let measured: Vec<_> = report.changed.iter().map(|c| (c.name.as_str(), c.max_abs)).collect();
    assert_eq!(measured, [("shape", None), ("moved", Some(0.5))]);
    assert_eq!(report.max_abs(), f64::INFINITY);
    assert!(report.to_string().contains("largest difference 5.000e-1 (values up to 4.000e0)"), "{report}");
}

/// The Python to test against: `SWATH_PYTHON`, or `python3`; `None`, said aloud, if it has no PyTorch.
fn python() -> Option<PathBuf> {
    let python = std::env::var_os("SWATH_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from);
    let found = Command::new(&python).args(["-c", "import torch"]).output().is_ok_and(|o| o.status.success());
    if !found {
        eprintln!("skipped: {} has no PyTorch (set SWATH_PYTHON)", python.display());
    }
    found.then_some(python)
}

/// Runs the script beside this test on `folder`; what it prints.
fn torch(python: &Path, step: &str, folder: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tools/torch_round_trip.py");
    let output = Command::new(python).arg(script).arg(step).arg(folder).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_string()
}

#[test]
fn pytorch_reads_what_is_written_and_is_read() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    torch(&python, "write", folder.path());
    for name in ["theirs_zip.pth", "theirs_legacy.pth"] {
        let checkpoint = Checkpoint::open(file(name)).unwrap();
        let state = checkpoint.select(None).unwrap();
        assert!(state.len() >= 15, "{name}");
        for info in state.tensors() {
            let expected = std::fs::read(file(&format!("{}.expected", info.name))).unwrap();
            assert_eq!(*state.read_bytes(&info.name).unwrap(), *expected, "{name} {}", info.name);
        }
        assert_eq!(state.shape("expanded"), Some(&[4, 3][..]));
        assert_eq!(checkpoint.root().get("epoch").and_then(|v| v.as_int()), Some(7));
        assert_eq!(checkpoint.root().get("score").and_then(|v| v.as_f64()), Some(0.25));
    }

    let tensors = every_type();
    write_pth(file("ours.pth"), &[TensorSet { wrapper: "params_ema", tensors: &tensors }]).unwrap();
    for tensor in &tensors {
        std::fs::write(file(&format!("{}.bin", tensor.name)), &tensor.bytes).unwrap();
    }
    let options = ConvertOptions::default();
    convert(&file("theirs_zip.pth"), &file("between.safetensors"), &options).unwrap();
    convert(&file("between.safetensors"), &file("back.pth"), &options).unwrap();
    assert_eq!(torch(&python, "read", folder.path()), format!("read {} and 17 tensors", tensors.len()));
}
