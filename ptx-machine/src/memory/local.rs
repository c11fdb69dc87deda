//! Local memory of a warp's lanes: each has its own bytes, unwritten at first.

use super::Refusal;
use crate::ir::LANES;

/// The stack frames of 32 lanes.
#[derive(Default)]
pub struct Local {
    bytes: Vec<u8>,
    written: Vec<bool>,
    size: usize,
}

impl Local {
    /// `size` bytes for each lane.
    pub fn new(size: usize) -> Local {
        Local { bytes: vec![0; size * LANES], written: vec![false; size * LANES], size }
    }

    fn at(&self, lane: usize, address: u64, n: usize, align: usize) -> Result<usize, Refusal> {
        match usize::try_from(address) {
            Ok(a) if a.checked_add(n).is_some_and(|end| end <= self.size) => match a % align {
                0 => Ok(lane * self.size + a),
                _ => Err(format!("local address {a} is not a multiple of {align}").into()),
            },
            _ => Err(format!(
                "{n} bytes at local address {address:#x} are outside of the frame of {} bytes",
                self.size
            )
            .into()),
        }
    }

    /// Checks an access as a whole.
    pub fn check(&self, lane: usize, address: u64, n: usize) -> Result<(), Refusal> {
        self.at(lane, address, n, n).map(|_| ())
    }

    /// Reads `n` ≤ 8 bytes.
    pub fn get(&self, lane: usize, address: u64, n: usize) -> Result<u64, Refusal> {
        let at = self.at(lane, address, n, n)?;
        if self.written[at..at + n].contains(&false) {
            return Err(format!("reads local memory at {address}, which was never written").into());
        }
        let mut raw = [0; 8];
        raw[..n].copy_from_slice(&self.bytes[at..at + n]);
        Ok(u64::from_le_bytes(raw))
    }

    /// Writes `n` ≤ 8 bytes.
    pub fn put(&mut self, lane: usize, address: u64, n: usize, value: u64) -> Result<(), Refusal> {
        let at = self.at(lane, address, n, n)?;
        self.bytes[at..at + n].copy_from_slice(&value.to_le_bytes()[..n]);
        self.written[at..at + n].fill(true);
        Ok(())
    }
}
