//! FlatBuffers tables of untrusted bytes: every position is checked before it is read.

use std::ops::Range;

use crate::error::{Error, Result};

/// A table: its fields' values are found through a directory of 16-bit offsets.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    at: usize,
    directory: usize,
    /// Bytes of the directory, its own two numbers included.
    directory_bytes: usize,
}

impl<'a> Table<'a> {
    /// The root table of a buffer (behind its size).
    ///
    /// # Errors
    /// `Format` when it lies outside the buffer.
    pub fn root(bytes: &'a [u8]) -> Result<Self> {
        let at = number::<4>(bytes, 0).map(u32::from_le_bytes)?;
        Self::at(bytes, at as usize)
    }

    fn at(bytes: &'a [u8], at: usize) -> Result<Self> {
        let back = i32::from_le_bytes(number(bytes, at)?);
        let directory = (at as i64).checked_sub(i64::from(back)).and_then(|d| usize::try_from(d).ok());
        let directory = directory.ok_or_else(outside)?;
        let directory_bytes = usize::from(u16::from_le_bytes(number(bytes, directory)?));
        Ok(Self { bytes, at, directory, directory_bytes })
    }

    /// Where a field's value lies; `None` when the table does not have it.
    fn field(&self, field: u16) -> Result<Option<usize>> {
        let entry = 4 + 2 * usize::from(field);
        if entry + 2 > self.directory_bytes {
            return Ok(None);
        }
        match u16::from_le_bytes(number(self.bytes, self.directory + entry)?) {
            0 => Ok(None),
            offset => Ok(Some(self.at + usize::from(offset))),
        }
    }

    /// The bytes of a number; `None` when the table does not have it.
    pub fn number<const N: usize>(&self, field: u16) -> Result<Option<[u8; N]>> {
        self.field(field)?.map(|at| number(self.bytes, at)).transpose()
    }

    /// Where what a field points to begins.
    fn target(&self, field: u16) -> Result<Option<usize>> {
        self.field(field)?.map(|at| follow(self.bytes, at)).transpose()
    }

    /// Where the elements of a vector lie, of `size` bytes each; nowhere when there is none.
    fn span(&self, field: u16, size: usize) -> Result<Range<usize>> {
        let Some(at) = self.target(field)? else { return Ok(0..0) };
        let n = u32::from_le_bytes(number(self.bytes, at)?) as usize;
        let end = n.checked_mul(size).and_then(|bytes| bytes.checked_add(at + 4)).ok_or_else(outside)?;
        Ok(at + 4..end)
    }

    /// The elements of a vector of numbers of `size` bytes; empty when there is none.
    pub fn elements(&self, field: u16, size: usize) -> Result<&'a [u8]> {
        self.bytes.get(self.span(field, size)?).ok_or_else(outside)
    }

    /// A text; bytes that are no UTF-8 are replaced.
    pub fn text(&self, field: u16) -> Result<Option<String>> {
        let some = self.field(field)?.is_some();
        Ok(some.then_some(String::from_utf8_lossy(self.elements(field, 1)?).into_owned()))
    }

    /// A table that a field points to.
    pub fn table(&self, field: u16) -> Result<Option<Self>> {
        self.target(field)?.map(|at| Self::at(self.bytes, at)).transpose()
    }

    /// The tables of a vector.
    pub fn tables(&self, field: u16) -> Result<impl Iterator<Item = Result<Self>> + 'a> {
        let (bytes, span) = (self.bytes, self.span(field, 4)?);
        Ok(span.step_by(4).map(move |at| Self::at(bytes, follow(bytes, at)?)))
    }
}

/// The position that the 32-bit offset at a position points to.
fn follow(bytes: &[u8], at: usize) -> Result<usize> {
    let offset = u32::from_le_bytes(number(bytes, at)?);
    at.checked_add(offset as usize).ok_or_else(outside)
}

/// `N` bytes at a position.
fn number<const N: usize>(bytes: &[u8], at: usize) -> Result<[u8; N]> {
    let end = at.checked_add(N).ok_or_else(outside)?;
    bytes.get(at..end).and_then(|b| b.try_into().ok()).ok_or_else(outside)
}

fn outside() -> Error {
    Error::format("a FlatBuffers table that reaches beyond its end")
}
