//! Files with bytes changed, cut and inserted at random: any outcome but a panic.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use common::pickle::*;
use proptest::prelude::*;
use weights_tools::{Checkpoint, Limits};

#[derive(Debug, Clone)]
enum Edit {
    Set(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Cut(usize),
    Copy(usize, usize, usize),
}

fn edit() -> impl Strategy<Value = Edit> {
    let at = 0usize..100_000;
    prop_oneof![
        6 => (at.clone(), any::<u8>()).prop_map(|(at, v)| Edit::Set(at, v)),
        2 => (at.clone(), any::<u8>()).prop_map(|(at, v)| Edit::Insert(at, v)),
        2 => at.clone().prop_map(Edit::Remove),
        1 => at.clone().prop_map(Edit::Cut),
        2 => (at.clone(), at, 1usize..40).prop_map(|(from, to, n)| Edit::Copy(from, to, n)),
    ]
}

fn apply(mut bytes: Vec<u8>, edits: &[Edit]) -> Vec<u8> {
    for edit in edits {
        if bytes.is_empty() {
            break;
        }
        let n = bytes.len();
        match *edit {
            Edit::Set(at, v) => bytes[at % n] = v,
            Edit::Insert(at, v) => bytes.insert(at % n, v),
            Edit::Remove(at) => drop(bytes.remove(at % n)),
            Edit::Cut(at) => bytes.truncate(at % n),
            Edit::Copy(from, to, count) => {
                let part = bytes[from % n..(from % n + count).min(n)].to_vec();
                let to = to % n;
                bytes.splice(to..to, part);
            }
        }
    }
    bytes
}

/// Opens, and where that works reads every tensor and selects.
fn survive(bytes: Vec<u8>) {
    let limits =
        Limits { expanded_bytes: 1 << 20, inflated_bytes: 1 << 20, items: 100_000, ..Limits::default() };
    let Ok(checkpoint) = Checkpoint::from_bytes(bytes, &limits) else { return };
    for info in checkpoint.tensors() {
        assert_eq!(checkpoint.bytes_of(info).unwrap().len(), info.bytes());
        let _ = checkpoint.f32_of(info);
        let _ = checkpoint.i64_of(info);
    }
    let _ = checkpoint.select(None).map(|state| state.named_tensors().unwrap().len());
}

/// A structure with one of everything the machine builds.
fn rich() -> Vec<u8> {
    let six = storage("0", 6);
    let namespace =
        [global("argparse", "Namespace"), b")\x81".to_vec(), dict(&[("lr", int(3))]), b"b".to_vec()];
    let counter = [global("collections", "Counter"), tuple(&[dict(&[("a", int(1))])]), b"R".to_vec()];
    let encoded =
        [global("_codecs", "encode"), tuple(&[text("\u{0}\u{0}\u{80}?"), text("latin1")]), b"R".to_vec()];
    let dtype =
        [global("numpy", "dtype"), tuple(&[text("f4"), b"\x89".to_vec(), b"\x88".to_vec()]), b"R".to_vec()];
    let scalar = [
        global("numpy.core.multiarray", "scalar"),
        tuple(&[dtype.concat(), encoded.concat()]),
        b"R".to_vec(),
    ];
    let weights = dict(&[
        ("module.w", tensor(&six, 0, &[2, 3], &[3, 1])),
        ("module.t", tensor(&six, 0, &[3, 2], &[1, 3])),
        ("module.e", tensor(&six, 6, &[0, 2], &[2, 1])),
    ]);
    let rest = [
        ("params", weights),
        ("opt", namespace.concat()),
        ("count", counter.concat()),
        ("score", scalar.concat()),
        ("list", b"](K\x01M\x00\x02G?\xe0\x00\x00\x00\x00\x00\x00N\x88eq\x01h\x01\x86".to_vec()),
    ];
    pickle(&dict(&rest))
}

#[test]
fn the_rich_structure_is_accepted() {
    let checkpoint = Checkpoint::from_bytes(zip_pth(&rich()), &Limits::default()).unwrap();
    assert_eq!(checkpoint.select(None).unwrap().names().collect::<Vec<_>>(), ["w", "t", "e"]);
    assert_eq!(checkpoint.root().get("score").and_then(|v| v.as_f64()), Some(1.0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn mutated_structures_never_panic(edits in prop::collection::vec(edit(), 1..6)) {
        // The archive's checksum would refuse a changed pickle at once, so it is changed before.
        survive(zip_pth(&apply(rich(), &edits)));
    }

    #[test]
    fn mutated_zip_files_never_panic(edits in prop::collection::vec(edit(), 1..6)) {
        survive(apply(zip_pth(&rich()), &edits));
    }

    #[test]
    fn mutated_legacy_files_never_panic(edits in prop::collection::vec(edit(), 1..6)) {
        survive(apply(legacy_pth(&rich()), &edits));
    }

    #[test]
    fn mutated_safetensors_never_panic(edits in prop::collection::vec(edit(), 1..6)) {
        survive(apply(safetensors(HONEST_HEADER), &edits));
    }
}
