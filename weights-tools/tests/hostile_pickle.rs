//! Pickles that ask for code, lie about tensors or grow without bound: refused, by name, nothing run.

#![allow(clippy::unwrap_used, clippy::panic, clippy::expect_used)]

mod common;

use common::pickle::*;
use weights_tools::{Checkpoint, Kind, Limits};

/// The error of opening that structure in a zip; the legacy format must refuse it too.
fn refusal(structure: &[u8]) -> (Kind, String) {
    assert!(Checkpoint::from_bytes(legacy_pth(structure), &Limits::default()).is_err());
    match Checkpoint::from_bytes(zip_pth(structure), &Limits::default()) {
        Ok(_) => panic!("was accepted"),
        Err(error) => (error.kind(), error.to_string()),
    }
}

fn assert_refused(opcodes: &[u8], kind: Kind, what: &str) {
    let (found, message) = refusal(&pickle(opcodes));
    assert_eq!(found, kind, "{message}");
    assert!(message.contains(what), "{message:?} does not say {what:?}");
    assert!(!message.contains('\n'));
}

#[test]
fn the_honest_file_is_accepted() {
    for bytes in [zip_pth(&honest()), legacy_pth(&honest())] {
        let checkpoint = Checkpoint::from_bytes(bytes, &Limits::default()).unwrap();
        assert_eq!(checkpoint.tensor("w").unwrap().shape, [2, 3]);
        assert_eq!(checkpoint.read_f32("t").unwrap(), [f32::from_bits(0x3f3f3f3f); 6]);
    }
}

#[test]
fn code_is_refused_by_name_and_not_run() {
    let folder = tempfile::tempdir().unwrap();
    let marker = folder.path().join("ran");
    let command = text(&format!("touch {}", marker.display()));
    for (module, name) in [
        ("os", "system"),
        ("posix", "system"),
        ("nt", "system"),
        ("builtins", "eval"),
        ("__builtin__", "exec"),
        ("builtins", "getattr"),
        ("subprocess", "Popen"),
        ("torch", "load"),
        ("torch.hub", "load"),
        ("torch._utils", "_import_dotted_name"),
        ("torch.nn.modules.linear", "Linear"),
        ("numpy", "load"),
        ("operator", "attrgetter"),
        ("collections", "OrderedDict.fromkeys"),
    ] {
        let named = format!("asks for {module}.{name}");
        let arguments = tuple(std::slice::from_ref(&command));
        assert_refused(
            &[global(module, name), arguments.clone(), b"R".to_vec()].concat(),
            Kind::Refused,
            &named,
        );
        assert_refused(&[global(module, name), arguments, b"\x81".to_vec()].concat(), Kind::Refused, &named);
        let stacked = [text(module), text(name), b"\x93".to_vec()].concat();
        assert_refused(&dict(&[("w", stacked)]), Kind::Refused, &named);
        let instance = [b"(".to_vec(), command.clone(), format!("i{module}\n{name}\n").into_bytes()].concat();
        assert_refused(&instance, Kind::Refused, &named);
    }
    assert!(!marker.exists());
}

#[test]
fn listed_names_do_nothing_but_what_they_are_listed_for() {
    let call = |module, name| [global(module, name), tuple(&[text("x")]), b"R".to_vec()].concat();
    assert_refused(&call("torch", "FloatStorage"), Kind::Refused, "calls torch.FloatStorage");
    assert_refused(&call("torch", "Tensor"), Kind::Refused, "calls torch.Tensor");
    assert_refused(&call("torch", "float32"), Kind::Refused, "calls torch.float32");
    assert_refused(&call("torch._utils", "_rebuild_parameter"), Kind::Format, "no tensor");
    assert_refused(&call("argparse", "Namespace")[..4], Kind::Format, "unended line");
    assert_refused(&[text("os.system"), tuple(&[]), b"R".to_vec()].concat(), Kind::Refused, "not a name");
    assert_refused(
        &[global("argparse", "Namespace"), int(1), b"b".to_vec()].concat(),
        Kind::Format,
        "attributes",
    );
    assert_refused(b"i argparse\nNamespace\n", Kind::Refused, "asks for  argparse.Namespace");
    assert_refused(b"(iargparse\nNamespace\n", Kind::Refused, "INST");
    let own_class = [
        global("torch._tensor", "_rebuild_from_type_v2"),
        tuple(&[global("torch", "Size"), global("torch", "Tensor"), tuple(&[]), b"N".to_vec()]),
        b"R".to_vec(),
    ];
    assert_refused(&own_class.concat(), Kind::Refused, "class of its own");
    let encode = [global("_codecs", "encode"), tuple(&[text("x"), text("rot13")]), b"R".to_vec()].concat();
    assert_refused(&encode, Kind::Refused, "latin-1");
    let module =
        [tuple(&[text("module"), text("Net"), text("net.py"), text("import os")]), b"Q".to_vec()].concat();
    assert_refused(&module, Kind::Refused, "whole module");
    for opcode in [0x82, 0x92, b'o', b'P', 0x97] {
        assert_refused(&[opcode; 9], Kind::Refused, &format!("opcode 0x{opcode:02x}"));
    }
}

#[test]
fn absurd_shapes_and_reaches_are_refused() {
    let six = storage("0", 6);
    for (offset, shape, strides, what) in [
        (0, &[1 << 62, 1 << 62][..], &[1 << 62, 1][..], "larger than memory"),
        (0, &[i64::MAX, i64::MAX], &[0, 0], "larger than memory"),
        (0, &[1 << 40], &[0], "ask together for bytes 4398046511104"),
        (0, &[2, 3], &[4, 1], "outside its storage of 24 bytes"),
        (0, &[7], &[1], "outside its storage"),
        (1, &[2, 3], &[3, 1], "outside its storage"),
        (i64::MAX, &[2, 3], &[3, 1], "outside its storage"),
        (0, &[2, 3], &[i64::MAX, 1], "outside its storage"),
        (0, &[-2, 3], &[3, 1], "-2, which is negative"),
        (0, &[2, 3], &[3, -1], "-1, which is negative"),
        (-1, &[2, 3], &[3, 1], "-1, which is negative"),
        (0, &[2, 3], &[1], "strides"),
        (0, &[1; 17], &[1; 17], "rank 17, over the limit of 16"),
    ] {
        let (_, message) = refusal(&pickle(&dict(&[("w", tensor(&six, offset, shape, strides))])));
        assert!(message.contains(what), "{shape:?} {strides:?} {offset}: {message}");
    }
}

#[test]
fn storages_that_lie_are_refused() {
    let over = |storage: Vec<u8>| dict(&[("w", tensor(&storage, 0, &[2], &[1]))]);
    assert_refused(&over(storage("0", 7)), Kind::Format, "holds 24 bytes, but 28 are claimed");
    assert_refused(&over(storage("0", 5)), Kind::Format, "holds 24 bytes, but 20 are claimed");
    assert_refused(&over(storage("0", i64::MAX)), Kind::Limit, "9223372036854775807 elements");
    assert_refused(&over(storage("0", -1)), Kind::Limit, "-1 elements");
    for key in ["../../../etc/passwd", "/etc/passwd", "a\\b", "0/../1", ""] {
        assert_refused(&over(storage(key, 6)), Kind::Refused, "leaves data/");
    }
    let two_sizes = dict(&[
        ("a", tensor(&storage("0", 6), 0, &[2], &[1])),
        ("b", tensor(&storage("0", 4), 0, &[2], &[1])),
    ]);
    assert_refused(&two_sizes, Kind::Format, "claimed with two sizes");
    let missing = pickle(&over(storage("9", 6)));
    let error = Checkpoint::from_bytes(zip_pth(&missing), &Limits::default()).err().unwrap();
    assert!(error.to_string().contains("storage data/9 is missing"), "{error}");
}

#[test]
fn growth_without_bound_is_refused() {
    // A list in a list in a list …
    assert_refused(&[&[b']'; 100][..], &[b'a'; 99]].concat(), Kind::Limit, "nesting");
    // … one that contains itself …
    assert_refused(b"]q\x00h\x00a", Kind::Limit, "contains itself");
    // … ten of ten of ten …, few bytes but 10^30 paths …
    let mut laughs = text("x");
    for _ in 0..30 {
        let memoized = [&b"q\x00]("[..], &[b'h', 0].repeat(10), b"e"].concat();
        laughs.extend(memoized);
    }
    assert_refused(&laughs, Kind::Limit, "over the limit");
    // … and one dictionary copied again and again.
    let copies = [&b"}q\x00("[..], &[b'N'; 20_000], b"u0"].concat();
    let copy = [global("collections", "Counter"), b"(h\x00tR0".to_vec()].concat();
    assert_refused(&[copies, copy.repeat(2_100), b"N".to_vec()].concat(), Kind::Limit, "pickle item number");

    let key = "k".repeat(2000);
    assert_refused(&dict(&[(&key, int(1))]), Kind::Limit, "a key of length 2000, over the limit of 1024");
    assert_refused(b"\x80\x09N", Kind::Unsupported, "protocol 9");
    assert_refused(b"h\x07", Kind::Format, "memo slot 7");
    assert_refused(b"0", Kind::Format, "takes more from its stack");
    assert_refused(b"(N(0", Kind::Format, "takes more from its stack");
    assert_refused(b"X\xff\xff\xff\xffabc", Kind::Format, "ends early");
    assert_refused(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xffabc", Kind::Format, "ends early");
}

#[test]
fn limits_are_the_callers() {
    let limits = Limits { tensors: 1, ..Limits::default() };
    let error = Checkpoint::from_bytes(zip_pth(&honest()), &limits).err().unwrap();
    assert_eq!(error.to_string(), "tensor number 2, over the limit of 1");
    let limits = Limits { opcodes: 20, ..Limits::default() };
    let error = Checkpoint::from_bytes(zip_pth(&honest()), &limits).err().unwrap();
    assert_eq!(error.to_string(), "opcode number 21, over the limit of 20");
}
