//! Pickles written opcode by opcode, honest and not, and the files around them.

use super::zip::{archive, RawEntry};

/// A protocol 2 pickle of the opcodes given.
pub fn pickle(opcodes: &[u8]) -> Vec<u8> {
    [b"\x80\x02", opcodes, b"."].concat()
}

/// A text.
pub fn text(s: &str) -> Vec<u8> {
    [b"X", &(s.len() as u32).to_le_bytes()[..], s.as_bytes()].concat()
}

/// A whole number of up to 64 bits, signed.
pub fn int(v: i64) -> Vec<u8> {
    [b"\x8a\x08", &v.to_le_bytes()[..]].concat()
}

/// A tuple.
pub fn tuple(items: &[Vec<u8>]) -> Vec<u8> {
    [b"(".to_vec(), items.concat(), b"t".to_vec()].concat()
}

/// A tuple of numbers.
pub fn ints(values: &[i64]) -> Vec<u8> {
    tuple(&values.iter().map(|&v| int(v)).collect::<Vec<_>>())
}

/// A name, asked for by GLOBAL.
pub fn global(module: &str, name: &str) -> Vec<u8> {
    format!("c{module}\n{name}\n").into_bytes()
}

/// A reference to a storage of `numel` floats.
pub fn storage(key: &str, numel: i64) -> Vec<u8> {
    let id = [text("storage"), global("torch", "FloatStorage"), text(key), text("cpu"), int(numel)];
    [tuple(&id), b"Q".to_vec()].concat()
}

/// A float tensor over a storage.
pub fn tensor(storage: &[u8], offset: i64, shape: &[i64], strides: &[i64]) -> Vec<u8> {
    let hooks = [global("collections", "OrderedDict"), b")R".to_vec()].concat();
    let arguments = [storage.to_vec(), int(offset), ints(shape), ints(strides), b"\x89".to_vec(), hooks];
    [global("torch._utils", "_rebuild_tensor_v2"), tuple(&arguments), b"R".to_vec()].concat()
}

/// A dictionary.
pub fn dict(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let items: Vec<u8> = entries.iter().flat_map(|(k, v)| [text(k), v.clone()].concat()).collect();
    [b"}(", &items[..], b"u"].concat()
}

/// An honest structure: `w` of shape 2×3 over storage 0 of six floats, `t` its transpose.
pub fn honest() -> Vec<u8> {
    let six = storage("0", 6);
    pickle(&dict(&[("w", tensor(&six, 0, &[2, 3], &[3, 1])), ("t", tensor(&six, 0, &[3, 2], &[1, 3]))]))
}

/// The entries of a `.pth` with that structure and a storage 0 of six floats.
pub fn entries(structure: &[u8]) -> Vec<RawEntry> {
    vec![
        RawEntry::stored("x/data.pkl", structure),
        RawEntry::stored("x/byteorder", b"little"),
        RawEntry::stored("x/data/0", &[0x3f; 24]),
        RawEntry::stored("x/version", b"3\n"),
    ]
}

/// A `.pth` with that structure and a storage 0 of six floats.
pub fn zip_pth(structure: &[u8]) -> Vec<u8> {
    archive(&entries(structure))
}

/// A legacy `.pth` up to its storages: magic, protocol, system, structure, list of keys.
pub fn legacy_head(structure: &[u8], keys: &[&str]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.";
    let system = pickle(&[b"}", &text("little_endian")[..], b"\x88s"].concat());
    let keys: Vec<u8> = keys.iter().flat_map(|k| text(k)).collect();
    let keys = pickle(&[b"](", &keys[..], b"e"].concat());
    [&magic[..], &pickle(&int(1001)), &system, structure, &keys].concat()
}

/// A legacy `.pth` with that structure and a storage 0 of six floats.
pub fn legacy_pth(structure: &[u8]) -> Vec<u8> {
    [&legacy_head(structure, &["0"])[..], &6u64.to_le_bytes(), &[0x3f; 24]].concat()
}

/// A safetensors file of that header over 24 bytes of data.
pub fn safetensors(header: &str) -> Vec<u8> {
    [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &[0x3f; 24]].concat()
}

/// The header of an honest safetensors file: `w` of shape 2×2, `b` of shape 2.
pub const HONEST_HEADER: &str = r#"{"__metadata__":{"k":"v"},"w":{"dtype":"F32","shape":[2,2],"data_offsets":[0,16]},"b":{"dtype":"F32","shape":[2],"data_offsets":[16,24]}}"#;
