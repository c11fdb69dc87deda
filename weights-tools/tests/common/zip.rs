//! A zip archive written field by field, so that tests can lie in every one of them.

/// One entry; every field is written as it stands.
#[derive(Clone)]
pub struct RawEntry {
    pub name: String,
    pub method: u16,
    pub data: Vec<u8>,
    pub crc: u32,
    pub size: u32,
    pub compressed: u32,
    /// Byte of the local header claimed by the directory; `None` for the true one.
    pub header_at: Option<u32>,
}

impl RawEntry {
    /// A stored entry that tells the truth.
    pub fn stored(name: &str, data: &[u8]) -> Self {
        Self {
            name: name.to_string(),
            method: 0,
            data: data.to_vec(),
            crc: crc32(data),
            size: data.len() as u32,
            compressed: data.len() as u32,
            header_at: None,
        }
    }
}

/// The archive's bytes: local entries, directory, end record.
pub fn archive(entries: &[RawEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut directory = Vec::new();
    for entry in entries {
        let at = entry.header_at.unwrap_or(out.len() as u32);
        out.extend_from_slice(b"PK\x03\x04\x14\x00\x00\x00");
        common_fields(&mut out, entry);
        out.extend_from_slice(&0u16.to_le_bytes());
        out.extend_from_slice(entry.name.as_bytes());
        out.extend_from_slice(&entry.data);
        directory.extend_from_slice(b"PK\x01\x02\x14\x00\x14\x00\x00\x00");
        common_fields(&mut directory, entry);
        directory.extend_from_slice(&[0; 12]);
        directory.extend_from_slice(&at.to_le_bytes());
        directory.extend_from_slice(entry.name.as_bytes());
    }
    let (at, length) = (out.len() as u32, directory.len() as u32);
    out.extend_from_slice(&directory);
    out.extend_from_slice(b"PK\x05\x06\x00\x00\x00\x00");
    out.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    out.extend_from_slice(&(entries.len() as u16).to_le_bytes());
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    out
}

/// Method, time, checksum, sizes and name length: what both headers share.
fn common_fields(out: &mut Vec<u8>, entry: &RawEntry) {
    out.extend_from_slice(&entry.method.to_le_bytes());
    out.extend_from_slice(&[0, 0, 0x21, 0]);
    out.extend_from_slice(&entry.crc.to_le_bytes());
    out.extend_from_slice(&entry.compressed.to_le_bytes());
    out.extend_from_slice(&entry.size.to_le_bytes());
    out.extend_from_slice(&(entry.name.len() as u16).to_le_bytes());
}

/// The zip checksum, bit by bit.
pub fn crc32(data: &[u8]) -> u32 {
    let mut crc = !0u32;
    for &byte in data {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}
