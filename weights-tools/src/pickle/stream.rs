//! Bounds-checked reading of a pickle stream's operands.

use crate::error::{Error, Result};

/// A cursor over a pickle's bytes.
pub(super) struct Stream<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Stream<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// Bytes read so far.
    pub fn position(&self) -> usize {
        self.at
    }

    /// The next `n` bytes.
    pub fn take(&mut self, n: u64) -> Result<&'a [u8]> {
        let end = usize::try_from(n).ok().and_then(|n| self.at.checked_add(n));
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        let Some(taken) = taken else {
            return Err(Error::format(format!(
                "the pickle ends early: {n} more bytes expected at byte {}",
                self.at
            )));
        };
        self.at += taken.len();
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut out = [0; N];
        out.copy_from_slice(self.take(N as u64)?);
        Ok(out)
    }

    pub fn u8(&mut self) -> Result<u8> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub fn u16(&mut self) -> Result<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    pub fn i32(&mut self) -> Result<i32> {
        Ok(i32::from_le_bytes(self.array()?))
    }

    /// A big-endian double, as pickle stores it.
    pub fn f64_be(&mut self) -> Result<f64> {
        Ok(f64::from_be_bytes(self.array()?))
    }

    /// Text up to the next newline, which is consumed.
    pub fn line(&mut self) -> Result<&'a str> {
        let rest = self.bytes.get(self.at..).unwrap_or_default();
        let length = rest.iter().take(4096).position(|&b| b == b'\n');
        let Some(length) = length else {
            return Err(Error::format(format!("the pickle has an unended line at byte {}", self.at)));
        };
        let line = self.utf8(length as u64)?;
        self.take(1)?;
        Ok(line)
    }

    /// The next `n` bytes as text. Python writes lone surrogates too; those are refused.
    pub fn utf8(&mut self, n: u64) -> Result<&'a str> {
        let at = self.at;
        std::str::from_utf8(self.take(n)?)
            .map_err(|_| Error::format(format!("the pickle's text at byte {at} is not UTF-8")))
    }
}
