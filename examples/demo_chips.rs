//! Writes training pairs for the demo's weights: `demo_chips OUT COUNT FIRST_SEED [SIDE]` makes
//! `OUT.low.npy` (`[N, 24, side, side]`) and `OUT.high.npy` (`[N, 3, 4 side, 4 side]`), both uint8.

use std::fs::File;
use std::io::{self, BufWriter, Write};

use rayon::prelude::*;
use swath::demo::chip;

fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let number = |index: usize, default: u64| -> u64 {
        arguments.get(index).and_then(|text| text.parse().ok()).unwrap_or(default)
    };
    let stem = arguments.first().map_or("chips", String::as_str);
    let (count, first, side) = (number(1, 64), number(2, 0), number(3, 64) as usize);
    let mut low = npy(&format!("{stem}.low.npy"), count, 24, side)?;
    let mut high = npy(&format!("{stem}.high.npy"), count, 3, 4 * side)?;
    for start in (0..count).step_by(16) {
        let seeds = start..(start + 16).min(count);
        let chips: Vec<_> = seeds.into_par_iter().map(|seed| chip(first + seed, side)).collect();
        for chip in chips {
            low.write_all(&chip.low)?;
            high.write_all(&chip.high)?;
        }
    }
    low.flush()?;
    high.flush()
}

/// A NumPy file's header (format 1.0), padded to 64 bytes.
fn npy(path: &str, count: u64, channels: usize, side: usize) -> io::Result<BufWriter<File>> {
    let mut text = format!(
        "{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, {channels}, {side}, {side}), }}"
    );
    text.push_str(&" ".repeat(63 - (10 + text.len()) % 64));
    text.push('\n');
    let mut out = BufWriter::new(File::create(path)?);
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&(text.len() as u16).to_le_bytes())?;
    out.write_all(text.as_bytes())?;
    Ok(out)
}
