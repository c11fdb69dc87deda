//! `wgmma`: products of a warpgroup with factors in shared memory. Each warp computes its sixteen rows.
//! Sums may not be touched before their group is waited for; operands count as read until then.

use super::block::Block;
use super::mma::{accumulate, integer_sums, left, per_register, spread, unpack, Left, MOST_K};
use crate::ir::units::{Factor, Product};
use crate::ir::{Condition, Reg, Row, Type, LANES};
use crate::memory::shared::Access;
use crate::memory::Refusal;

/// What a warp's unfinished products hold on to.
#[derive(Default)]
pub struct Unfinished {
    open: Held,
    groups: Vec<Held>,
}

#[derive(Default)]
struct Held {
    sums: Vec<Reg>,
    /// Offsets of the 16-byte pieces that are read, and the instruction.
    pieces: Vec<(usize, u32)>,
}

impl Unfinished {
    /// `wgmma.commit_group`.
    pub fn commit(&mut self) {
        let open = std::mem::take(&mut self.open);
        self.groups.push(open);
    }

    /// The instruction that reads a piece of a range and is not waited for.
    pub fn reads(&self, at: usize, bytes: usize) -> Option<u32> {
        let mut pieces = std::iter::once(&self.open).chain(&self.groups).flat_map(|h| &h.pieces);
        pieces.find(|(piece, _)| (at & !15..at + bytes).contains(piece)).map(|(_, pc)| *pc)
    }

    /// Whether a register holds sums of a product that is not waited for.
    pub fn holds(&self, reg: Reg) -> bool {
        std::iter::once(&self.open).chain(&self.groups).any(|h| h.sums.contains(&reg))
    }
}

/// A matrix in shared memory as a descriptor gives it (PTX manual, "matrix descriptor").
struct Matrix {
    start: u64,
    leading: u64,
    stride: u64,
    /// Bytes of a swizzled row: 128, 64, 32, or 16 without swizzling.
    row: u64,
    transposed: bool,
    ty: Type,
}

impl Matrix {
    fn new(descriptor: u64, ty: Type, transposed: bool) -> Result<Matrix, Refusal> {
        if descriptor >> 49 & 7 != 0 {
            return Err("a matrix descriptor with a base offset is not supported".into());
        }
        if transposed && !matches!(ty, Type::F16 | Type::Bf16) {
            return Err("only 16-bit matrices can be transposed".into());
        }
        let field = |at: u32| (descriptor >> at & 0x3fff) << 4;
        let row = [16, 128, 64, 32][(descriptor >> 62) as usize];
        Ok(Matrix { start: field(0), leading: field(16), stride: field(32), row, transposed, ty })
    }

    /// Address of value `k` of row (or column) `mn`, before swizzling.
    fn plain(&self, mn: u64, k: u64) -> u64 {
        let bytes = 4 / per_register(self.ty) as u64;
        match (self.transposed, self.row) {
            (false, 16) => {
                let at = k * bytes;
                mn / 8 * self.stride + mn % 8 * 16 + at / 16 * self.leading + at % 16
            }
            (false, row) => mn / 8 * self.stride + mn % 8 * row + k * bytes,
            (true, 16) => {
                let at = mn * bytes;
                at / 16 * self.stride + at % 16 + k / 8 * self.leading + k % 8 * 16
            }
            (true, row) => {
                let at = mn * bytes;
                at / row * self.leading + at % row + k / 8 * self.stride + k % 8 * row
            }
        }
    }

    fn address(&self, mn: u64, k: u64) -> u64 {
        swizzle(self.start + self.plain(mn, k), self.row)
    }
}

/// Exchanges the 16-byte pieces of a row by the number of the 128-byte line: `row` is 128, 64, 32 or 16.
pub fn swizzle(address: u64, row: u64) -> u64 {
    let pieces = row / 16;
    address ^ ((address >> 7 & (pieces - 1)) << 4)
}

impl Block<'_> {
    /// `wgmma.mma_async` for one warp of the group.
    pub fn wgmma(
        &mut self,
        w: usize,
        pc: u32,
        p: &Product,
        d: &[Reg],
        a: &Factor,
        b: &Factor,
        summed: Condition,
    ) -> Result<(), Refusal> {
        let code = self.code;
        if self.warps.len() < w / 4 * 4 + 4 {
            return Err("a warpgroup needs four warps".into());
        }
        let dirty = |r: &&Reg| self.warps[w].touched_since_fence(**r);
        let in_registers: &[Reg] = if let Factor::Registers(r) = a { r } else { &[] };
        if let Some(reg) = d.iter().chain(in_registers).find(dirty) {
            let name = &code.rows[*reg as usize].name;
            return Err(format!("{name} was written since the last wgmma.fence").into());
        }
        let mut pieces = Vec::new();
        let left: Left = match a {
            Factor::Registers(regs) => {
                let rows: Result<Vec<&Row>, Refusal> =
                    regs.iter().map(|r| self.warps[w].row(code, *r, u32::MAX)).collect();
                left(&rows?, p.a)
            }
            Factor::Shared { descriptor, transposed, negate } => {
                let matrix = self.matrix_of(w, *descriptor, p.a, *transposed)?;
                let mut out = [[0.0; MOST_K]; 16];
                for (i, row) in out.iter_mut().enumerate() {
                    self.fetch(&matrix, (w % 4 * 16 + i) as u64, p.k, *negate, row, &mut pieces)?;
                }
                out
            }
        };
        let Factor::Shared { descriptor, transposed, negate } = b else {
            return Err("the right factor of wgmma lies in shared memory".into());
        };
        let matrix = self.matrix_of(w, *descriptor, p.b, *transposed)?;
        let mut right = vec![[0.0; MOST_K]; p.n];
        for (n, column) in right.iter_mut().enumerate() {
            self.fetch(&matrix, n as u64, p.k, *negate, column, &mut pieces)?;
        }
        pieces.sort_unstable();
        pieces.dedup();
        self.read_pieces(w, pc, &pieces)?;
        let keep = self.warps[w].condition(code, summed, u32::MAX)?;
        if keep != 0 && keep != u32::MAX {
            return Err("lanes disagree on whether wgmma accumulates".into());
        }
        let per = if p.d == Type::F16 { 2 } else { 4 };
        for (block, regs) in d.chunks(per).enumerate() {
            let warp = &mut self.warps[w];
            let rows: Result<Vec<&Row>, Refusal> = match keep {
                0 => Ok(vec![&[0; LANES]; 4]),
                _ => regs.iter().map(|r| warp.sum_row(code, *r)).collect(),
            };
            let rows = rows?;
            let columns: [[f32; 8]; MOST_K] =
                std::array::from_fn(|k| std::array::from_fn(|n| right[8 * block + n][k]));
            let out = match p.d {
                Type::S32 => integer_sums(&left, &columns, &rows, p),
                _ => {
                    let mut sums = super::mma::sums(&rows, p.d);
                    accumulate(&mut sums, &left, &columns, p.k);
                    spread(&sums, p.d)
                }
            };
            for (r, row) in regs.iter().zip(&out) {
                warp.set_sum(*r, row);
            }
        }
        let held = &mut self.warps[w].wgmma.open;
        held.sums.extend(d);
        held.pieces.extend(pieces.iter().map(|at| (*at, pc)));
        Ok(())
    }

    fn matrix_of(&self, w: usize, descriptor: Reg, ty: Type, transposed: bool) -> Result<Matrix, Refusal> {
        let row = self.warps[w].row(self.code, descriptor, u32::MAX)?;
        if row.iter().any(|v| *v != row[0]) {
            return Err("lanes disagree on a matrix descriptor".into());
        }
        Matrix::new(row[0], ty, transposed)
    }

    /// One row of a factor along k; the 16-byte pieces it lies in.
    fn fetch(
        &self,
        matrix: &Matrix,
        mn: u64,
        k: usize,
        negate: bool,
        out: &mut [f32; MOST_K],
        pieces: &mut Vec<usize>,
    ) -> Result<(), Refusal> {
        let bytes = 4 / per_register(matrix.ty);
        for (k, out) in out.iter_mut().enumerate().take(k) {
            let at = self.shared.locate(matrix.address(mn, k as u64), bytes, bytes)?;
            let value = unpack(self.shared.value(at, bytes), 0, matrix.ty);
            *out = if negate { -value } else { value };
            if pieces.last() != Some(&(at & !15)) {
                pieces.push(at & !15);
            }
        }
        Ok(())
    }

    fn read_pieces(&mut self, w: usize, pc: u32, pieces: &[usize]) -> Result<(), Refusal> {
        let by = Access { thread: self.thread(w, 0), pc, strong: false };
        for at in pieces {
            self.shared.read(&self.clocks, by, *at, 16)?;
            self.shared.in_proxy(&self.proxies, by.thread, *at, 16)?;
        }
        Ok(())
    }

    /// `wgmma.wait_group`: all but the last `keep` groups are finished.
    pub fn wgmma_wait(&mut self, w: usize, keep: u32) -> Result<(), Refusal> {
        let groups = &mut self.warps[w].wgmma.groups;
        let done: Vec<Held> = groups.drain(..groups.len().saturating_sub(keep as usize)).collect();
        for mut held in done {
            // Products of one group read the same pieces many times.
            held.pieces.sort_unstable();
            held.pieces.dedup_by_key(|(at, _)| *at);
            for (at, pc) in held.pieces {
                let by = Access { thread: self.thread(w, 0), pc, strong: false };
                self.shared.read(&self.clocks, by, at, 16)?;
            }
            for reg in held.sums {
                let warp = &mut self.warps[w];
                if !warp.wgmma.holds(reg) {
                    warp.finish_sum(reg);
                }
            }
        }
        Ok(())
    }
}
