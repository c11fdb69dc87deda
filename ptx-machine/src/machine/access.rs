//! Loads, stores and atomics: the address of each lane is checked, then the access is noted and made.

use super::block::Block;
use super::exec::sign_extend;
use crate::ir::{Address, Order, Reg, Space, Type, Update};
use crate::memory::address::{window, CONST, LOCAL, PARAM, SHARED};
use crate::memory::clocks::{bits, join_published, Published};
use crate::memory::races::{Kind, Place};
use crate::memory::shared::Access;
use crate::memory::Refusal;
use crate::ops::float::{f, r};
use crate::ops::{half_float, int, Modifiers};

/// Where an address points, and the offset there.
enum Target {
    Global(u64),
    Shared(u64),
    Local(u64),
    Param(u64),
    Const(u64),
}

fn target(space: Space, address: u64) -> Target {
    match space {
        Space::Shared => Target::Shared(address & 0xffff_ffff),
        Space::Local => Target::Local(address),
        Space::Param => Target::Param(address),
        Space::Const => Target::Const(address),
        Space::Global | Space::Generic => match window(address) {
            SHARED if space == Space::Generic => Target::Shared(address - SHARED),
            LOCAL if space == Space::Generic => Target::Local(address - LOCAL),
            PARAM if space == Space::Generic => Target::Param(address - PARAM),
            CONST => Target::Const(address - CONST),
            _ => Target::Global(address),
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
        order: Order,
    ) -> Result<(), Refusal> {
        let code = self.code;
        let base = *self.warps[w].row(code, from.base, lanes)?;
        let n = ty.bytes();
        let total = n * d.len();
        for lane in bits(lanes) {
            let address = base[lane].wrapping_add(from.offset as u64);
            let thread = self.thread(w, lane);
            let values = self.load_lane(thread, lane, w, pc, from.space, address, n, total, order);
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
        order: Order,
    ) -> Result<[u64; 16], Refusal> {
        let mut out = [0; 16];
        let strong = order.strong;
        let parts = (0..total / n).map(|j| j * n);
        match target(space, address) {
            Target::Global(address) => {
                let (index, allocation, at) = self.memory.locate(address, total, total)?;
                let kind = if strong { Kind::StrongRead } else { Kind::Read };
                self.races.note(index, at, total, kind, self.index, thread, &self.clocks)?;
                for (o, j) in out.iter_mut().zip(parts) {
                    *o = allocation.get(at + j, n)?;
                }
                self.hear(w, lane, (index, at), order);
            }
            Target::Shared(address) => {
                let at = self.shared.locate(address, total, total)?;
                self.shared.read(&self.clocks, Access { thread, pc, strong }, at, total)?;
                for (o, j) in out.iter_mut().zip(parts) {
                    *o = self.shared.value(at + j, n);
                }
            }
            Target::Local(address) => {
                let local = &self.warps[w].local;
                local.check(lane, address, total)?;
                for (o, j) in out.iter_mut().zip(parts) {
                    *o = local.get(lane, address + j as u64, n)?;
                }
            }
            Target::Param(at) => {
                for (o, j) in out.iter_mut().zip(parts) {
                    *o = of_bytes(self.params, "parameter", at.wrapping_add(j as u64), n)?;
                }
            }
            Target::Const(at) => {
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
        order: Order,
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
            let access = Access { thread, pc, strong: order.strong };
            self.store_lane(w, lane, to.space, address, n, &data[..total], access, order)
                .map_err(|e| e.of(lane))?;
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
        order: Order,
    ) -> Result<(), Refusal> {
        let total = data.len();
        let value = |j: usize| {
            let mut raw = [0; 8];
            raw[..n].copy_from_slice(&data[j * n..(j + 1) * n]);
            u64::from_le_bytes(raw)
        };
        match target(space, address) {
            Target::Global(address) => {
                let (index, allocation, at) = self.memory.locate(address, total, total)?;
                let kind = if by.strong { Kind::StrongWrite } else { Kind::Write };
                self.races.note(index, at, total, kind, self.index, by.thread, &self.clocks)?;
                (0..total / n).for_each(|j| allocation.put(at + j * n, n, value(j)));
                self.tell(w, lane, (index, at), order, false);
            }
            Target::Shared(address) => {
                let at = self.shared.locate(address, total, total)?;
                self.shared.write(&self.clocks, by, at, data)?;
            }
            Target::Local(address) => {
                let local = &mut self.warps[w].local;
                local.check(lane, address, total)?;
                for j in 0..total / n {
                    local.put(lane, address + (j * n) as u64, n, value(j))?;
                }
            }
            Target::Param(_) => return Err("writes to parameters".into()),
            Target::Const(_) => return Err("writes to a module variable, which is constant here".into()),
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
        order: Order,
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
            let old = match target(at.space, address) {
                Target::Global(address) => {
                    self.memory.locate(address, n, n).and_then(|(index, allocation, at)| {
                        self.races.note(index, at, n, Kind::StrongWrite, self.index, thread, &self.clocks)?;
                        let old = allocation.update(at, n, new)?;
                        self.hear(w, lane, (index, at), order);
                        self.tell(w, lane, (index, at), order, true);
                        Ok(old)
                    })
                }
                Target::Shared(address) => self.shared.locate(address, n, n).and_then(|at| {
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

impl Block<'_> {
    /// What a read of a place in global memory tells a lane of other blocks; a relaxed one is heard at its next fence.
    fn hear(&mut self, w: usize, lane: usize, place: Place, order: Order) {
        if !(order.strong && order.wide) {
            return;
        }
        let from = self.races.published(place);
        match order.acquire {
            true => self.clocks.learn(self.index, w, lane, &from),
            false => {
                let thread = self.thread(w, lane);
                join_published(&mut self.meetings[thread].heard, &from);
            }
        }
    }

    /// What a write of a lane leaves for other blocks: what it knows, or knew at its last fence.
    fn tell(&mut self, w: usize, lane: usize, place: Place, order: Order, keeps: bool) {
        if !self.code.meets {
            return;
        }
        let handed = match (order.strong && order.wide, order.release) {
            (false, _) => Published::new(),
            (true, true) => self.clocks.publish(self.index, w, lane),
            (true, false) => self.meetings[self.thread(w, lane)].fenced.clone(),
        };
        self.races.publish(place, handed, keeps);
    }

    /// A fence of the whole device.
    pub fn fence(&mut self, w: usize, lanes: u32) {
        if !self.code.meets {
            return;
        }
        for lane in bits(lanes) {
            let thread = self.thread(w, lane);
            let heard = std::mem::take(&mut self.meetings[thread].heard);
            self.clocks.learn(self.index, w, lane, &heard);
            self.meetings[thread].fenced = self.clocks.publish(self.index, w, lane);
        }
    }
}

/// What fences of a thread do for its relaxed accesses.
#[derive(Clone, Default)]
pub struct Meetings {
    /// What such reads have told since the last one.
    heard: Published,
    /// What it knew at the last one, for such writes behind it.
    fenced: Published,
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
