//! The journal's format: a header that says which run it belongs to, then one record of fixed size per
//! stored tile, each with its own checksum. Little-endian.

use std::io::Read;

/// Bytes of the header.
pub(super) const HEADER: usize = 80;
/// Bytes of a record.
pub(super) const RECORD: usize = 40;

const MAGIC: &[u8; 8] = b"SWATHJNL";
const VERSION: u32 = 1;

/// Which run a journal belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Identity {
    /// Hash of the output's specification and of the program's version.
    pub(super) output: [u8; 32],
    /// Hash of inputs, model and options, given by the caller.
    pub(super) run: [u8; 32],
}

/// Where a tile and its mask lie in the data file: one after the other from `offset`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) len: u32,
    pub(super) mask_len: u32,
    /// CRC-32 of both.
    pub(super) crc: u32,
}

/// What is known of one tile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stored {
    /// Holds no data; nothing lies in the data file.
    Empty,
    /// Lies in the data file.
    At(Place),
}

/// One line of the journal: a tile's number among those of all levels, and where it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) slot: u64,
    pub(super) stored: Stored,
}

/// A journal read back.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Journal {
    pub(super) identity: Identity,
    /// The records whose checksums hold, in the order they were written.
    pub(super) records: Vec<Record>,
    /// Bytes of the header and of all whole records; what follows is a torn write.
    pub(super) len: u64,
}

/// What reading a journal's header can say.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// The file ends inside the header: the run died before it stored anything.
    Unborn,
    /// The header is not one of ours, or damaged.
    Foreign,
    /// A journal.
    Journal(Journal),
}

impl Identity {
    pub(super) fn to_bytes(self) -> [u8; HEADER] {
        let mut out = [0; HEADER];
        out[..8].copy_from_slice(MAGIC);
        out[8..12].copy_from_slice(&VERSION.to_le_bytes());
        out[12..44].copy_from_slice(&self.output);
        out[44..76].copy_from_slice(&self.run);
        let crc = crc32fast::hash(&out[..76]);
        out[76..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn from_bytes(bytes: &[u8; HEADER]) -> Option<Self> {
        let own = bytes[..8] == *MAGIC && bytes[8..12] == VERSION.to_le_bytes();
        let whole = bytes[76..] == crc32fast::hash(&bytes[..76]).to_le_bytes();
        match (own && whole, bytes[12..44].try_into(), bytes[44..76].try_into()) {
            (true, Ok(output), Ok(run)) => Some(Self { output, run }),
            _ => None,
        }
    }
}

impl Record {
    pub(super) fn to_bytes(self) -> [u8; RECORD] {
        const NOWHERE: Place = Place { offset: 0, len: 0, mask_len: 0, crc: 0 };
        let (kind, place) = match self.stored {
            Stored::Empty => (1u32, NOWHERE),
            Stored::At(place) => (2, place),
        };
        let mut out = [0; RECORD];
        out[..4].copy_from_slice(&kind.to_le_bytes());
        out[4..12].copy_from_slice(&self.slot.to_le_bytes());
        out[12..20].copy_from_slice(&place.offset.to_le_bytes());
        out[20..24].copy_from_slice(&place.len.to_le_bytes());
        out[24..28].copy_from_slice(&place.mask_len.to_le_bytes());
        out[28..32].copy_from_slice(&place.crc.to_le_bytes());
        let crc = crc32fast::hash(&out[..36]);
        out[36..].copy_from_slice(&crc.to_le_bytes());
        out
    }

    fn from_bytes(bytes: &[u8; RECORD]) -> Option<Self> {
        let long = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).ok();
        let word = |at: usize| bytes[at..at + 4].try_into().map(u32::from_le_bytes).ok();
        if word(36)? != crc32fast::hash(&bytes[..36]) {
            return None;
        }
        let place = Place { offset: long(12)?, len: word(20)?, mask_len: word(24)?, crc: word(28)? };
        let stored = match word(0)? {
            1 => Stored::Empty,
            2 => Stored::At(place),
            _ => return None,
        };
        Some(Self { slot: long(4)?, stored })
    }
}

/// Reads a journal. A torn last record is left out, a damaged one in between is skipped.
pub(super) fn read(mut file: impl Read) -> std::io::Result<Opened> {
    let mut header = [0; HEADER];
    if fill(&mut file, &mut header)? < HEADER {
        return Ok(Opened::Unborn);
    }
    let Some(identity) = Identity::from_bytes(&header) else { return Ok(Opened::Foreign) };
    let mut journal = Journal { identity, records: Vec::new(), len: HEADER as u64 };
    let mut record = [0; RECORD];
    while fill(&mut file, &mut record)? == RECORD {
        journal.records.extend(Record::from_bytes(&record));
        journal.len += RECORD as u64;
    }
    Ok(Opened::Journal(journal))
}

/// Reads until the buffer is full or the file ends; returns the bytes read.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<usize> {
    let mut done = 0;
    while done < buffer.len() {
        match file.read(&mut buffer[done..]) {
            Ok(0) => break,
            Ok(n) => done += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(done)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn place() -> impl Strategy<Value = Stored> {
        let at = (any::<u64>(), any::<u32>(), any::<u32>(), any::<u32>());
        prop_oneof![
            Just(Stored::Empty),
            at.prop_map(|(offset, len, mask_len, crc)| Stored::At(Place { offset, len, mask_len, crc })),
        ]
    }

    fn records() -> impl Strategy<Value = Vec<Record>> {
        prop::collection::vec((any::<u64>(), place()), 0..12)
            .prop_map(|v| v.into_iter().map(|(slot, stored)| Record { slot, stored }).collect())
    }

    fn bytes_of(identity: Identity, records: &[Record]) -> Vec<u8> {
        let mut bytes = identity.to_bytes().to_vec();
        records.iter().for_each(|r| bytes.extend(r.to_bytes()));
        bytes
    }

    const ID: Identity = Identity { output: [7; 32], run: [9; 32] };

    proptest! {
        #[test]
        fn a_cut_journal_keeps_exactly_its_whole_records(records in records(), cut in 0.0..=1.0f64) {
            let bytes = bytes_of(ID, &records);
            let cut = (bytes.len() as f64 * cut) as usize;
            let opened = read(&bytes[..cut]).unwrap();
            if cut < HEADER {
                prop_assert_eq!(opened, Opened::Unborn);
            } else {
                let whole = (cut - HEADER) / RECORD;
                let len = (HEADER + whole * RECORD) as u64;
                let records = records[..whole].to_vec();
                prop_assert_eq!(opened, Opened::Journal(Journal { identity: ID, records, len }));
            }
        }

        #[test]
        fn a_flipped_bit_costs_one_record_or_the_header(
            records in records(), at in any::<prop::sample::Index>(), bit in 0..8u32,
        ) {
            let mut bytes = bytes_of(ID, &records);
            let at = at.index(bytes.len());
            bytes[at] ^= 1u8 << bit;
            let opened = read(&bytes[..]).unwrap();
            if at < HEADER {
                prop_assert_eq!(opened, Opened::Foreign);
            } else {
                let mut kept = records;
                kept.remove((at - HEADER) / RECORD);
                let len = bytes.len() as u64;
                prop_assert_eq!(opened, Opened::Journal(Journal { identity: ID, records: kept, len }));
            }
        }

        #[test]
        fn noise_is_never_believed(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let opened = read(&bytes[..]).unwrap();
            let expected = if bytes.len() < HEADER { Opened::Unborn } else { Opened::Foreign };
            prop_assert_eq!(opened, expected);
        }
    }
}
