//! `mma`, `ldmatrix`, `stmatrix`, `movmatrix`: fragments of small matrices, spread over a warp as the
//! PTX manual's figures show. Products are exact, sums are f32 (or wrapping i32) in order of k.

use half::{bf16, f16};

use super::block::{Block, Flow};
use super::warp::Warp;
use crate::ir::units::Product;
use crate::ir::{Address, Code, Reg, Row, Type, LANES};
use crate::memory::shared::Access;
use crate::memory::Refusal;
use crate::ops::convert::narrow_f16;
use crate::ops::float::{f, r};

/// Most columns or rows that one instruction's sums run over.
pub const MOST_K: usize = 32;

/// Sixteen rows of a left factor.
pub type Left = [[f32; MOST_K]; 16];

/// Values packed in one 32-bit register.
pub fn per_register(ty: Type) -> usize {
    match ty {
        Type::Tf32 => 1,
        Type::F16 | Type::Bf16 => 2,
        _ => 4,
    }
}

/// Value `e` of a packed register. Every integer of a byte and every short float is an f32.
#[inline]
pub fn unpack(word: u64, e: usize, ty: Type) -> f32 {
    match ty {
        Type::F16 => f16::from_bits((word >> (16 * e)) as u16).to_f32(),
        Type::Bf16 => bf16::from_bits((word >> (16 * e)) as u16).to_f32(),
        Type::Tf32 => f32::from_bits(word as u32 & !0x1fff),
        Type::S8 => (word >> (8 * e)) as u8 as i8 as f32,
        _ => (word >> (8 * e)) as u8 as f32,
    }
}

/// The left factor's fragment: register `j` holds row `lane / 4 + 8 (j mod 2)`, k block `j / 2`.
pub fn left(rows: &[&Row], ty: Type) -> Left {
    let per = per_register(ty);
    let mut out = [[0.0; MOST_K]; 16];
    for (j, row) in rows.iter().enumerate() {
        for lane in 0..LANES {
            let (group, in_group) = (lane / 4, lane % 4);
            for e in 0..per {
                out[group + 8 * (j % 2)][(j / 2) * 4 * per + in_group * per + e] = unpack(row[lane], e, ty);
            }
        }
    }
    out
}

/// The right factor's fragment: register `j` holds k block `j` of column `lane / 4`.
fn right(rows: &[&Row], ty: Type) -> [[f32; 8]; MOST_K] {
    let per = per_register(ty);
    let mut out = [[0.0; 8]; MOST_K];
    for (j, row) in rows.iter().enumerate() {
        for lane in 0..LANES {
            for e in 0..per {
                out[j * 4 * per + (lane % 4) * per + e][lane / 4] = unpack(row[lane], e, ty);
            }
        }
    }
    out
}

/// Row and column, within 16 × 8, of value `i` of a lane's part of the sums.
fn of_sum(lane: usize, i: usize) -> (usize, usize) {
    (lane / 4 + 8 * (i / 2), lane % 4 * 2 + i % 2)
}

/// Reads 16 × 8 sums from registers.
pub fn sums(rows: &[&Row], ty: Type) -> [[f32; 8]; 16] {
    let mut out = [[0.0; 8]; 16];
    for lane in 0..LANES {
        for i in 0..4 {
            let (row, column) = of_sum(lane, i);
            out[row][column] = match ty {
                Type::F16 => unpack(rows[i / 2][lane], i % 2, Type::F16),
                _ => f(rows[i][lane]),
            };
        }
    }
    out
}

/// Spreads 16 × 8 sums over registers: four of f32 or two of packed f16.
pub fn spread(sums: &[[f32; 8]; 16], ty: Type) -> Vec<Row> {
    let at = |lane, i| {
        let (row, column) = of_sum(lane, i);
        sums[row][column]
    };
    match ty {
        Type::F16 => (0..2)
            .map(|j| {
                std::array::from_fn(|lane| {
                    (narrow_f16(at(lane, 2 * j + 1)) as u64) << 16 | narrow_f16(at(lane, 2 * j)) as u64
                })
            })
            .collect(),
        _ => (0..4).map(|i| std::array::from_fn(|lane| r(at(lane, i)))).collect(),
    }
}

/// The sums of `m8n8k4`: the lanes `q`, `q + 16` of each quad's `q` multiply an 8 × 4 by a 4 × 8 matrix of their own,
/// of which each holds a row and a column.
fn quad_pairs(a: &[&Row], b: &[&Row], c: &[&Row]) -> Vec<Row> {
    let values = |rows: &[&Row]| -> [[f32; 4]; LANES] {
        std::array::from_fn(|lane| std::array::from_fn(|k| unpack(rows[k / 2][lane], k % 2, Type::F16)))
    };
    let (left, right) = (values(a), values(b));
    let holds = |lane: usize, line: usize| lane & 0b1100 | line & 0b11 | (line & 0b100) << 2;
    let sum = |lane: usize, i: usize| {
        let row = (lane & 1) + (i & 2) + lane / 16 * 4;
        let column = (i & 1) + (lane & 2) + (i & 4);
        let products = left[holds(lane, row)].iter().zip(&right[holds(lane, column)]);
        products.fold(f(c[i][lane]), |sum, (a, b)| sum + a * b)
    };
    (0..8).map(|i| std::array::from_fn(|lane| r(sum(lane, i)))).collect()
}

fn rows<'w>(warp: &'w Warp, code: &Code, regs: &[Reg]) -> Result<Vec<&'w Row>, Refusal> {
    regs.iter().map(|r| warp.row(code, *r, u32::MAX)).collect()
}

impl Block<'_> {
    /// Whether a warp's lanes may execute an `.aligned` instruction that needs all of them.
    pub fn whole_warp(&self, w: usize, lanes: u32) -> Result<bool, Refusal> {
        match self.warps[w].live {
            u32::MAX => Ok(lanes == u32::MAX),
            _ => Err("an instruction for whole warps in one with missing lanes".into()),
        }
    }

    /// `mma`.
    pub fn mma(
        &mut self,
        w: usize,
        p: &Product,
        d: &[Reg],
        a: &[Reg],
        b: &[Reg],
        c: &[Reg],
    ) -> Result<(), Refusal> {
        let code = self.code;
        let warp = &mut self.warps[w];
        let (a, b, c) = (rows(warp, code, a)?, rows(warp, code, b)?, rows(warp, code, c)?);
        let out = match p.d {
            _ if p.m == 8 => quad_pairs(&a, &b, &c),
            Type::S32 => integer_sums(&left(&a, p.a), &right(&b, p.b), &c, p),
            _ => {
                let mut sums = sums(&c, p.d);
                accumulate(&mut sums, &left(&a, p.a), &right(&b, p.b), p.k);
                spread(&sums, p.d)
            }
        };
        for (d, row) in d.iter().zip(&out) {
            warp.set(*d, u32::MAX, row);
        }
        Ok(())
    }

    /// `ldmatrix`: lane `8 j + i` names row `i` of matrix `j`; each lane gets two values of each matrix.
    pub fn load_matrix(
        &mut self,
        w: usize,
        pc: u32,
        d: &[Option<Reg>],
        from: Address,
        transposed: bool,
    ) -> Result<(), Refusal> {
        let base = *self.warps[w].row(self.code, from.base, u32::MAX >> (LANES - 8 * d.len()))?;
        for (j, d) in d.iter().enumerate() {
            let mut matrix = [[0u16; 8]; 8];
            for (i, row) in matrix.iter_mut().enumerate() {
                let lane = 8 * j + i;
                let at = self.matrix_row(base[lane], from.offset).map_err(|e| e.of(lane))?;
                let by = Access { thread: self.thread(w, lane), pc, strong: false };
                self.shared.read(&self.clocks, by, at, 16).map_err(|e| e.of(lane))?;
                for (k, v) in row.iter_mut().enumerate() {
                    *v = self.shared.value(at + 2 * k, 2) as u16;
                }
            }
            let out: Row = std::array::from_fn(|lane| {
                let (i, k) = (lane / 4, lane % 4 * 2);
                let pair = if transposed {
                    [matrix[k][i], matrix[k + 1][i]]
                } else {
                    [matrix[i][k], matrix[i][k + 1]]
                };
                (pair[1] as u64) << 16 | pair[0] as u64
            });
            if let Some(d) = d {
                self.warps[w].set(*d, u32::MAX, &out);
            }
        }
        Ok(())
    }

    fn matrix_row(&self, base: u64, offset: i64) -> Result<usize, Refusal> {
        self.shared.locate(base.wrapping_add(offset as u64) & 0xffff_ffff, 16, 16)
    }

    /// `stmatrix`, the inverse of `ldmatrix`.
    pub fn store_matrix(
        &mut self,
        w: usize,
        pc: u32,
        s: &[Reg],
        to: Address,
        transposed: bool,
    ) -> Result<(), Refusal> {
        let code = self.code;
        let base = *self.warps[w].row(code, to.base, u32::MAX >> (LANES - 8 * s.len()))?;
        for (j, s) in s.iter().enumerate() {
            let words = *self.warps[w].row(code, *s, u32::MAX)?;
            let value = |i: usize, k: usize| {
                let (i, k) = if transposed { (k, i) } else { (i, k) };
                (words[4 * i + k / 2] >> (16 * (k % 2))) as u16
            };
            for i in 0..8 {
                let lane = 8 * j + i;
                let at = self.matrix_row(base[lane], to.offset).map_err(|e| e.of(lane))?;
                let data: Vec<u8> = (0..8).flat_map(|k| value(i, k).to_le_bytes()).collect();
                let by = Access { thread: self.thread(w, lane), pc, strong: false };
                self.shared.write(&self.clocks, by, at, &data).map_err(|e| e.of(lane))?;
            }
        }
        self.effects += 1;
        Ok(())
    }

    /// `movmatrix`: transposes a matrix that is spread over the warp.
    pub fn move_matrix(&mut self, w: usize, d: Reg, a: Reg) -> Result<(), Refusal> {
        let words = *self.warps[w].row(self.code, a, u32::MAX)?;
        let value = |i: usize, k: usize| words[4 * i + k / 2] >> (16 * (k % 2)) & 0xffff;
        let out = std::array::from_fn(|lane| {
            let (i, k) = (lane / 4, lane % 4 * 2);
            value(k + 1, i) << 16 | value(k, i)
        });
        self.warps[w].set(d, u32::MAX, &out);
        Ok(())
    }
}

/// Adds the products over `k` to 16 × 8 sums.
pub fn accumulate(sums: &mut [[f32; 8]; 16], left: &Left, right: &[[f32; 8]; MOST_K], k: usize) {
    for (sum, left) in sums.iter_mut().zip(left) {
        for (x, right) in left.iter().zip(right).take(k) {
            for n in 0..8 {
                sum[n] += x * right[n];
            }
        }
    }
}

/// Sums of products of bytes: exact, then wrapped or saturated.
pub fn integer_sums(left: &Left, right: &[[f32; 8]; MOST_K], c: &[&Row], p: &Product) -> Vec<Row> {
    let sum = |lane: usize, i: usize| {
        let (row, column) = of_sum(lane, i);
        let dot: i64 = (0..p.k).map(|k| left[row][k] as i64 * right[k][column] as i64).sum();
        let exact = dot + c[i][lane] as i32 as i64;
        match p.saturate {
            true => exact.clamp(i32::MIN as i64, i32::MAX as i64) as u32 as u64,
            false => exact as u32 as u64,
        }
    };
    (0..4).map(|i| std::array::from_fn(|lane| sum(lane, i))).collect()
}

impl Block<'_> {
    /// One operation of the matrix units.
    pub fn matrix(
        &mut self,
        w: usize,
        pc: u32,
        lanes: u32,
        op: &crate::ir::units::MatrixOp,
    ) -> Result<Flow, Refusal> {
        use crate::ir::units::MatrixOp as M;
        if !self.whole_warp(w, lanes)? {
            return Ok(Flow::Converge);
        }
        match op {
            M::Mma { product, d, a, b, c } => self.mma(w, product, d, a, b, c)?,
            M::Load { d, from, transposed } => self.load_matrix(w, pc, d, *from, *transposed)?,
            M::Store { s, to, transposed } => self.store_matrix(w, pc, s, *to, *transposed)?,
            M::Move { d, a } => self.move_matrix(w, *d, *a)?,
            M::Wgmma { product, d, a, b, accumulate } => self.wgmma(w, pc, product, d, a, b, *accumulate)?,
            M::WgmmaFence => self.warps[w].wgmma_fence(),
            M::WgmmaCommit => self.warps[w].wgmma.commit(),
            M::WgmmaWait { keep } => self.wgmma_wait(w, *keep)?,
        }
        Ok(Flow::Next)
    }
}
