//! Global memory: registered allocations, each with a mark per byte of whether it was ever written.
//! Blocks run at the same time, so words are atomics; a program without races never notices.

use std::sync::atomic::{AtomicU64, AtomicU8, Ordering::Relaxed};

use half::{bf16, f16};

use super::address::{window, REGION};
use super::Refusal;

/// A number as it lies in memory.
pub trait Plain: Copy {
    /// Size in bytes.
    const BYTES: usize;
    /// Bits, zero-extended.
    fn to_bits(self) -> u64;
    /// From the low bits.
    fn from_bits(bits: u64) -> Self;
}

macro_rules! plain {
    ($($t:ty, $n:expr, |$x:ident| $to:expr, |$b:ident| $from:expr;)*) => {
        $(impl Plain for $t {
            const BYTES: usize = $n;
            fn to_bits(self) -> u64 { let $x = self; $to }
            fn from_bits($b: u64) -> Self { $from }
        })*
    };
}
plain! {
    u8, 1, |x| x as u64, |b| b as u8;
    i8, 1, |x| x as u8 as u64, |b| b as i8;
    u16, 2, |x| x as u64, |b| b as u16;
    i16, 2, |x| x as u16 as u64, |b| b as i16;
    u32, 4, |x| x as u64, |b| b as u32;
    i32, 4, |x| x as u32 as u64, |b| b as i32;
    u64, 8, |x| x, |b| b;
    i64, 8, |x| x as u64, |b| b as i64;
    f32, 4, |x| x.to_bits() as u64, |b| f32::from_bits(b as u32);
    f64, 8, |x| x.to_bits(), |b| f64::from_bits(b);
    f16, 2, |x| x.to_bits() as u64, |b| f16::from_bits(b as u16);
    bf16, 2, |x| x.to_bits() as u64, |b| bf16::from_bits(b as u16);
}

/// One allocation.
pub struct Allocation {
    name: String,
    bytes: usize,
    words: Vec<AtomicU64>,
    /// One bit per byte of the word.
    written: Vec<AtomicU8>,
}

impl Allocation {
    fn new(name: String, bytes: usize) -> Allocation {
        let words = bytes.div_ceil(8);
        Allocation {
            name,
            bytes,
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            written: (0..words).map(|_| AtomicU8::new(0)).collect(),
        }
    }

    /// Size in bytes.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Name in reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Reads `n` ≤ 8 bytes that lie in one word.
    #[inline]
    pub fn get(&self, at: usize, n: usize) -> Result<u64, Refusal> {
        let (word, shift) = (at / 8, at % 8);
        let need = (0xffu16 >> (8 - n) << shift) as u8;
        let written = self.written[word].load(Relaxed);
        if written & need != need {
            let byte = (!written & need).trailing_zeros() as usize + word * 8;
            return Err(format!("reads byte {byte} of '{}', which was never written", self.name).into());
        }
        Ok(self.words[word].load(Relaxed) >> (8 * shift) & ones(n))
    }

    /// Writes `n` ≤ 8 bytes that lie in one word.
    #[inline]
    pub fn put(&self, at: usize, n: usize, value: u64) {
        let (word, shift) = (at / 8, at % 8);
        if n == 8 {
            self.words[word].store(value, Relaxed);
            self.written[word].store(0xff, Relaxed);
            return;
        }
        let field = ones(n) << (8 * shift);
        let value = (value & ones(n)) << (8 * shift);
        let _ = self.words[word].fetch_update(Relaxed, Relaxed, |old| Some((old & !field) | value));
        self.written[word].fetch_or((0xffu16 >> (8 - n) << shift) as u8, Relaxed);
    }

    /// Replaces a value of `n` ≤ 8 bytes in one step; the old one.
    pub fn update(&self, at: usize, n: usize, f: impl Fn(u64) -> u64) -> Result<u64, Refusal> {
        self.get(at, n)?;
        let (word, shift) = (at / 8, at % 8);
        let field = ones(n) << (8 * shift);
        let old = self.words[word]
            .fetch_update(Relaxed, Relaxed, |old| {
                let new = f(old >> (8 * shift) & ones(n)) & ones(n);
                Some((old & !field) | new << (8 * shift))
            })
            .unwrap_or_else(|old| old);
        Ok(old >> (8 * shift) & ones(n))
    }
}

impl Clone for Allocation {
    fn clone(&self) -> Allocation {
        Allocation {
            name: self.name.clone(),
            bytes: self.bytes,
            words: self.words.iter().map(|w| AtomicU64::new(w.load(Relaxed))).collect(),
            written: self.written.iter().map(|w| AtomicU8::new(w.load(Relaxed))).collect(),
        }
    }
}

impl PartialEq for Allocation {
    /// Same bytes, written in the same places.
    fn eq(&self, other: &Allocation) -> bool {
        let words = self.words.iter().zip(&other.words).all(|(a, b)| a.load(Relaxed) == b.load(Relaxed));
        let written =
            self.written.iter().zip(&other.written).all(|(a, b)| a.load(Relaxed) == b.load(Relaxed));
        self.bytes == other.bytes && words && written
    }
}

fn ones(n: usize) -> u64 {
    u64::MAX >> (64 - 8 * n)
}

/// The device's global memory; memories are equal when they hold the same bytes, written in the same places.
#[derive(Default, Clone, PartialEq)]
pub struct Memory {
    allocations: Vec<Allocation>,
}

impl Memory {
    /// No memory yet.
    pub fn new() -> Memory {
        Memory::default()
    }

    /// Allocates bytes that nobody has written; the address (aligned to 256).
    pub fn alloc(&mut self, bytes: usize) -> u64 {
        let name = format!("allocation {}", self.allocations.len());
        self.alloc_named(&name, bytes)
    }

    /// The same with a name for reports.
    pub fn alloc_named(&mut self, name: &str, bytes: usize) -> u64 {
        self.allocations.push(Allocation::new(name.into(), bytes.min(1 << REGION >> 1)));
        (self.allocations.len() as u64) << REGION
    }

    /// Allocates a copy of a slice; the address.
    pub fn alloc_from<T: Plain>(&mut self, values: &[T]) -> u64 {
        let name = format!("allocation {}", self.allocations.len());
        self.alloc_from_named(&name, values)
    }

    /// The same with a name for reports.
    pub fn alloc_from_named<T: Plain>(&mut self, name: &str, values: &[T]) -> u64 {
        let address = self.alloc_named(name, values.len() * T::BYTES);
        if let Some(allocation) = self.allocations.last() {
            for (i, v) in values.iter().enumerate() {
                allocation.put(i * T::BYTES, T::BYTES, v.to_bits());
            }
        }
        address
    }

    /// Frees an allocation: whoever touches it later is refused.
    ///
    /// # Errors
    /// The address is not that of an allocation.
    pub fn free(&mut self, address: u64) -> Result<(), Refusal> {
        let (index, allocation, at) = self.locate(address, 0, 1)?;
        if at != 0 {
            return Err(format!("address {address:#x} is {at} bytes into '{}'", allocation.name).into());
        }
        let name = format!("{} (freed)", allocation.name);
        self.allocations[index] = Allocation::new(name, 0);
        Ok(())
    }

    /// Overwrites what lies at an address.
    ///
    /// # Errors
    /// The range is outside of the allocation or not aligned.
    pub fn write<T: Plain>(&mut self, address: u64, values: &[T]) -> Result<(), Refusal> {
        let (_, allocation, at) = self.locate(address, values.len() * T::BYTES, T::BYTES)?;
        for (i, v) in values.iter().enumerate() {
            allocation.put(at + i * T::BYTES, T::BYTES, v.to_bits());
        }
        Ok(())
    }

    /// Reads `count` values at an address.
    ///
    /// # Errors
    /// The range is outside of the allocation, not aligned, or has bytes that nobody wrote.
    pub fn read<T: Plain>(&self, address: u64, count: usize) -> Result<Vec<T>, Refusal> {
        let bytes = count.checked_mul(T::BYTES).ok_or("reads more than there is")?;
        let (_, allocation, at) = self.locate(address, bytes, T::BYTES)?;
        (0..count).map(|i| Ok(T::from_bits(allocation.get(at + i * T::BYTES, T::BYTES)?))).collect()
    }

    /// The allocation and offset of an access of `bytes` that must be a multiple of `align`.
    #[inline]
    pub fn locate(
        &self,
        address: u64,
        bytes: usize,
        align: usize,
    ) -> Result<(usize, &Allocation, usize), Refusal> {
        let index = ((address >> REGION) as usize).wrapping_sub(1);
        let at = (address & ((1 << REGION) - 1)) as usize;
        match self.allocations.get(index) {
            Some(a) if window(address) == 0 && at + bytes <= a.bytes => {
                if !at.is_multiple_of(align) {
                    return Err(format!(
                        "address {address:#x} ('{}' + {at}) is not a multiple of {align}",
                        a.name
                    )
                    .into());
                }
                Ok((index, a, at))
            }
            _ => Err(self.outside(address, bytes)),
        }
    }

    /// Describes a stray address by the nearest allocation.
    fn outside(&self, address: u64, bytes: usize) -> Refusal {
        let start = |i: usize| (i as u64 + 1) << REGION;
        let distance = |i: usize, a: &Allocation| {
            let end = start(i) + a.bytes as u64;
            if address < start(i) {
                start(i) - address
            } else {
                (address + bytes as u64).saturating_sub(end)
            }
        };
        let text = match self.allocations.iter().enumerate().min_by_key(|(i, a)| distance(*i, a)) {
            None => format!("address {address:#x}: nothing is allocated"),
            Some((i, a)) if address < start(i) => format!(
                "{bytes} bytes at {address:#x} begin {} bytes before '{}' ({} bytes)",
                start(i) - address,
                a.name,
                a.bytes
            ),
            Some((i, a)) => format!(
                "{bytes} bytes at '{}' + {} end {} bytes past its end ({} bytes)",
                a.name,
                address - start(i),
                distance(i, a),
                a.bytes
            ),
        };
        text.into()
    }

    /// Sizes of all allocations, in order.
    pub fn sizes(&self) -> impl Iterator<Item = usize> + '_ {
        self.allocations.iter().map(|a| a.bytes)
    }
}
