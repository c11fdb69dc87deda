//! Loads, stores and atomics: the address of each lane is checked, then the access is noted and made.

use super::block::Block;
use super::exec::sign_extend;
use crate::ir::{Address, Reg, Space, Type, Update};
use crate::memory::address::{window, CONST, LOCAL, PARAM, SHARED};
use crate::memory::clocks::bits;
use crate::memory::races::Kind;
use crate::memory::shared::Access;
use crate::memory::Refusal;
use crate::ops::float::{f, r};
use crate::ops::{half_float, int, Modifiers};

/// Where an address points, and the offset there.
enum Place {
    Global(u64),
    Shared(u64),
    Local(u64),
    Param(u64),
    Const(u64),
}

fn place(space: Space, address: u64) -> Place {
    match space {
        Space::Shared => Place::Shared(address & 0xffff_ffff),
        Space::Local => Place::Local(address),
        Space::Param => Place::Param(address),
        Space::Const => Place::Const(address),
        Space::Global | Space::Generic => match window(address) {
            SHARED if space == Space::Generic => Place::Shared(address - SHARED),
            LOCAL if space == Space::Generic => Place::Local(address - LOCAL),
            PARAM if space == Space::Generic => Place::Param(address - PARAM),
            CONST => Place::Const(address - CONST),
            _ => Place::Global(address),
        },
    }
}

fn of_bytes(from: &[u8], what: &str, at: u64, n: usize) -> Result<u64, Refusal> {
    let range = usize::try_from(at).ok().and_then(|a| from.get(a..a.checked_add(n)?));
    match range {
        Some(bytes) if at.is_multiple_of(n as u64) => {
            let mut raw = [0; 8];
            raw[..n].copy_from_slice(bytes);
            Ok(u64::from_le_bytes(raw))
        }
        Some(_) => Err(format!("{what} address {at} is not a multiple of {n}").into()),
        None => {
            Err(format!("{n} bytes at {what} address {at:#x} are outside of its {} bytes", from.len()).into())
        }
    }
}

impl Block<'_> {
    /// `ld`: each lane reads consecutive values into the registers.
    pub fn load(
        &mut self,
        w: usize,
        pc: u32,
        lanes: u32,
        ty: Type,
        d: &[Option<Reg>],
        from: Address,
        strong: bool,
    ) -> Result<(), Refusal> {
        let code = self.code;
        let base = *self.warps[w].row(code, from.base, lanes)?;
        let n = ty.bytes();
        let total = n * d.len();
        for lane in bits(lanes) {
            let address = base[lane].wrapping_add(from.offset as u64);
            let thread = self.thread(w, lane);
            let values = self.load_lane(thread, lane, w, pc, from.space, address, n, total, strong);
            let values = values.map_err(|e| e.of(lane))?;
            for (d, value) in d.iter().zip(values) {
                let Some(d) = d else { continue };
                let width = code.rows[*d as usize].width;
                let value = match ty.signed() && width > 8 * n as u32 {
                    true => sign_extend(value, 8 * n as u32, width),
                    false => value,
                };
                self.warps[w].set_lane(*d, lane, value);
            }
        }
        Ok(())
    }

    fn load_lane(
        &mut self,
        thread: usize,
        lane: usize,
        w: usize,
        pc: u32,
        space: Space,
        address: u64,
        n: usize,
        total: usize,
        strong: bool,
    ) -> Result<[u64; 16], Refusal> {
        let mut out = [0; 16];
        let parts = (0..total / n).map(|j| j * n);
        match place(space, address) {
            Place::Global(address) => {
                let (index, allocation, at) = self.memory.locate(address, total, total)?;
                let kind = if strong { Kind::StrongRead } else { Kind::Read };
                self.races.note(index, at, total, kind, self.index, thread, &self.clocks)?;
                for (o, j) in out.iter_mut().zip(parts) {
                    *o = allocation.get(at + j, n)?;
                }
            }
            Place::Shared(address) => {
                let at = self.shared.locate(address, total, total)?;
                self.shared.read(&self.clocks, Access { thread, pc, strong }, at, total)?;
                for (o, j) in out.iter_mut().zip(parts) {
                    *o = self.shared.value(at + j, n);
                }
            }
            Place::Local(address) => {
                let local = &self.warps[w].local;
                local.check(lane, address, total)?;
                for (o, j) in out.iter_mut().zip(parts) {
                    *o = local.get(lane, address + j as u64, n)?;
                }
            }
            Place::Param(at) => {
                for (o, j) in out.iter_mut().zip(parts) {
                    *o = of_bytes(self.params, "parameter", at.wrapping_add(j as u64), n)?;
                }
            }
            Place::Const(at) => {
                for (o, j) in out.iter_mut().zip(parts) {
                    *o = of_bytes(&self.code.constants, "module", at.wrapping_add(j as u64), n)?;
                }
            }
        }
        Ok(out)
    }

    /// `st`: each lane writes its registers to consecutive places.
    pub fn store(
        &mut self,
        w: usize,
        pc: u32,
        lanes: u32,
        ty: Type,
        s: &[Reg],
        to: Address,
        strong: bool,
    ) -> Result<(), Refusal> {
        let code = self.code;
        let base = *self.warps[w].row(code, to.base, lanes)?;
        let n = ty.bytes();
        let total = n * s.len();
        self.effects += 1;
        for lane in bits(lanes) {
            let address = base[lane].wrapping_add(to.offset as u64);
            let thread = self.thread(w, lane);
            let mut data = [0; 128];
            for (j, reg) in s.iter().enumerate() {
                let value = self.warps[w].value(code, *reg, lane)?;
                data[j * n..(j + 1) * n].copy_from_slice(&value.to_le_bytes()[..n]);
            }
            let access = Access { thread, pc, strong };
            self.store_lane(w, lane, to.space, address, n, &data[..total], access).map_err(|e| e.of(lane))?;
        }
        Ok(())
    }

    fn store_lane(
        &mut self,
        w: usize,
        lane: usize,
        space: Space,
        address: u64,
        n: usize,
        data: &[u8],
        by: Access,
    ) -> Result<(), Refusal> {
        let total = data.len();
        let value = |j: usize| {
            let mut raw = [0; 8];
            raw[..n].copy_from_slice(&data[j * n..(j + 1) * n]);
            u64::from_le_bytes(raw)
        };
        match place(space, address) {
            Place::Global(address) => {
                let (index, allocation, at) = self.memory.locate(address, total, total)?;
                let kind = if by.strong { Kind::StrongWrite } else { Kind::Write };
                self.races.note(index, at, total, kind, self.index, by.thread, &self.clocks)?;
                (0..total / n).for_each(|j| allocation.put(at + j * n, n, value(j)));
            }
            Place::Shared(address) => {
                let at = self.shared.locate(address, total, total)?;
                self.shared.write(&self.clocks, by, at, data)?;
            }
            Place::Local(address) => {
                let local = &mut self.warps[w].local;
                local.check(lane, address, total)?;
                for j in 0..total / n {
                    local.put(lane, address + (j * n) as u64, n, value(j))?;
                }
            }
            Place::Param(_) => return Err("writes to parameters".into()),
            Place::Const(_) => return Err("writes to a module variable, which is constant here".into()),
        }
        Ok(())
    }

    /// `atom` and `red`: lane by lane, in the order of lanes.
    pub fn atomic(
        &mut self,
        w: usize,
        pc: u32,
        lanes: u32,
        update: Update,
        ty: Type,
        d: Option<Reg>,
        at: Address,
        b: Reg,
        c: Reg,
    ) -> Result<(), Refusal> {
        let code = self.code;
        let warp = &self.warps[w];
        let base = *warp.row(code, at.base, lanes)?;
        let (b, c) = (*warp.row(code, b, lanes)?, *warp.row(code, c, lanes)?);
        let n = ty.bytes();
        self.effects += 1;
        for lane in bits(lanes) {
            let address = base[lane].wrapping_add(at.offset as u64);
            let thread = self.thread(w, lane);
            let new = |old| updated(update, ty, old, b[lane], c[lane]);
            let old = match place(at.space, address) {
                Place::Global(address) => {
                    self.memory.locate(address, n, n).and_then(|(index, allocation, at)| {
                        self.races.note(index, at, n, Kind::StrongWrite, self.index, thread, &self.clocks)?;
                        allocation.update(at, n, new)
                    })
                }
                Place::Shared(address) => self.shared.locate(address, n, n).and_then(|at| {
                    let by = Access { thread, pc, strong: true };
                    self.shared.read(&self.clocks, by, at, n)?;
                    let old = self.shared.value(at, n);
                    self.shared.write(&self.clocks, by, at, &new(old).to_le_bytes()[..n])?;
                    Ok(old)
                }),
                _ => Err("an atomic outside of global and shared memory".into()),
            }
            .map_err(|e: Refusal| e.of(lane))?;
            if let Some(d) = d {
                self.warps[w].set_lane(d, lane, old);
            }
        }
        Ok(())
    }
}

/// The value an atomic leaves.
fn updated(update: Update, ty: Type, old: u64, b: u64, c: u64) -> u64 {
    let one = |row: Option<crate::ir::Row2>| row.map_or(old, |f| f(&[old; 32], &[b; 32])[0]);
    let mut none = Modifiers::split("").1;
    match update {
        Update::Exch => b,
        Update::Cas => {
            if old == b {
                c
            } else {
                old
            }
        }
        Update::And => old & b,
        Update::Or => old | b,
        Update::Xor => old ^ b,
        Update::Inc => {
            if old as u32 >= b as u32 {
                0
            } else {
                old + 1
            }
        }
        Update::Dec => {
            if old == 0 || old as u32 > b as u32 {
                b
            } else {
                old - 1
            }
        }
        Update::Add if ty == Type::F32 => r(f(old) + f(b)),
        Update::Add if ty == Type::F64 => (f64::from_bits(old) + f64::from_bits(b)).to_bits(),
        Update::Add if ty.bytes() <= 4 && !matches!(ty, Type::U32 | Type::S32 | Type::B32) => {
            one(half_float::binary("add", ty, &mut none))
        }
        Update::Add => one(int::binary("add", ty, &mut none)),
        Update::Min => one(int::binary("min", ty, &mut none)),
        Update::Max => one(int::binary("max", ty, &mut none)),
    }
}
