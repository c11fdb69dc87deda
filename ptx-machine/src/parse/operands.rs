//! Operands: registers, constants, symbols, vectors and addresses.

use super::body::{Body, Name};
use super::lexer::{float, integer, Cursor};
use super::ParseError;
use crate::ir::{Address, Condition, Pred, Preset, Reg, Space, Special, ALWAYS, NEVER};

/// The special register of a name, without its leading `%`.
fn special(word: &str) -> Option<Special> {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let (base, axis) = word.split_once('.').unwrap_or((word, "x"));
    let axis = ["x", "y", "z"].iter().position(|a| *a == axis)? as u8;
    Some(match base {
        "tid" => Special::Tid(axis),
        "ntid" => Special::Ntid(axis),
        "ctaid" => Special::Ctaid(axis),
        "nctaid" => Special::Nctaid(axis),
        "laneid" => Special::LaneId,
        "warpid" => Special::WarpId,
        "nwarpid" => Special::NumWarps,
        "lanemask_eq" => Special::LaneMask(Equal, true),
        "lanemask_lt" => Special::LaneMask(Less, false),
        "lanemask_le" => Special::LaneMask(Less, true),
        "lanemask_gt" => Special::LaneMask(Greater, false),
        "lanemask_ge" => Special::LaneMask(Greater, true),
        "dynamic_smem_size" => Special::DynamicShared,
        "total_smem_size" => Special::TotalShared,
        _ => return None,
    })
}

impl<'a> Body<'a> {
    /// A source: register, constant, special register or the address of a variable.
    pub fn source(&mut self, c: &mut Cursor<'a, '_>) -> Result<Reg, ParseError> {
        let negative = c.take("-");
        let word = c.word("an operand")?;
        if !negative {
            if let Some(name) = self.name(word) {
                return match name {
                    Name::Row(reg) => Ok(reg),
                    Name::Pred(_) => Err(c.error(format!("predicate '{word}' where a register belongs"))),
                };
            }
            if let Some(s) = word.strip_prefix('%').and_then(special) {
                return Ok(self.preset(Preset::Special(s)));
            }
            if let Some(symbol) = self.symbols.get(word) {
                let preset = match (symbol.dynamic, symbol.space) {
                    (true, _) => Preset::Special(Special::DynamicStart),
                    (_, Space::Global) => Preset::Value(crate::memory::address::CONST + symbol.offset as u64),
                    _ => Preset::Value(symbol.offset as u64),
                };
                return Ok(self.preset(preset));
            }
            if let Some(bits) = float(word) {
                return Ok(self.preset(Preset::Value(bits)));
            }
        }
        match (integer(word), word) {
            (Some(v), _) => Ok(self.preset(Preset::Value(if negative { -v } else { v } as u64))),
            (None, "WARP_SZ") => Ok(self.preset(Preset::Value(32))),
            _ => Err(c.error(format!("operand '{word}' is not understood"))),
        }
    }

    /// A destination register.
    pub fn destination(&mut self, c: &mut Cursor<'a, '_>) -> Result<Reg, ParseError> {
        let word = c.word("a register")?;
        match self.name(word) {
            Some(Name::Row(reg)) => Ok(reg),
            _ => Err(c.error(format!("'{word}' is no register"))),
        }
    }

    /// A destination register, or none for `_`.
    pub fn maybe_destination(&mut self, c: &mut Cursor<'a, '_>) -> Result<Option<Reg>, ParseError> {
        match c.take("_") {
            true => Ok(None),
            false => self.destination(c).map(Some),
        }
    }

    /// A destination predicate.
    pub fn pred(&mut self, c: &mut Cursor<'a, '_>) -> Result<Pred, ParseError> {
        let word = c.word("a predicate")?;
        match self.name(word) {
            Some(Name::Pred(p)) => Ok(p),
            _ => Err(c.error(format!("'{word}' is no predicate"))),
        }
    }

    /// A destination predicate, or none for `_`.
    pub fn maybe_pred(&mut self, c: &mut Cursor<'a, '_>) -> Result<Option<Pred>, ParseError> {
        match c.take("_") {
            true => Ok(None),
            false => self.pred(c).map(Some),
        }
    }

    /// Whether the next operand is a predicate.
    pub fn is_pred(&self, c: &Cursor<'a, '_>) -> bool {
        matches!(self.name(c.peek()), Some(Name::Pred(_)))
    }

    /// A source predicate, possibly negated, or a constant.
    pub fn condition(&mut self, c: &mut Cursor<'a, '_>) -> Result<Condition, ParseError> {
        let negate = c.take("!");
        if !self.is_pred(c) {
            let value = c.integer()?;
            return Ok(Condition { pred: if value != 0 { ALWAYS } else { NEVER }, negate });
        }
        Ok(Condition { pred: self.pred(c)?, negate })
    }

    /// `{a, b, …}` of sources, or one source.
    pub fn sources(&mut self, c: &mut Cursor<'a, '_>) -> Result<Box<[Reg]>, ParseError> {
        if !c.take("{") {
            return Ok(Box::new([self.source(c)?]));
        }
        let mut out = Vec::new();
        loop {
            out.push(self.source(c)?);
            if !c.take(",") {
                c.expect("}")?;
                return Ok(out.into());
            }
        }
    }

    /// `{a, b, …}` of destinations, or one; `_` for none.
    pub fn destinations(&mut self, c: &mut Cursor<'a, '_>) -> Result<Box<[Option<Reg>]>, ParseError> {
        if !c.take("{") {
            return Ok(Box::new([self.maybe_destination(c)?]));
        }
        let mut out = Vec::new();
        loop {
            out.push(self.maybe_destination(c)?);
            if !c.take(",") {
                c.expect("}")?;
                return Ok(out.into());
            }
        }
    }

    /// What stands between an address's brackets, the opening one already taken.
    pub fn address_inside(&mut self, space: Space, c: &mut Cursor<'a, '_>) -> Result<Address, ParseError> {
        let base = self.source(c)?;
        let offset = match c.take("+") {
            true => c.integer()?,
            false => match c.peek() {
                "-" => c.integer()?,
                _ => 0,
            },
        };
        let offset = i64::try_from(offset).map_err(|_| c.error("an offset that is too large"))?;
        Ok(Address { space, base, offset })
    }

    /// `[base+offset]`.
    pub fn address(&mut self, space: Space, c: &mut Cursor<'a, '_>) -> Result<Address, ParseError> {
        c.expect("[")?;
        let address = self.address_inside(space, c)?;
        c.expect("]")?;
        Ok(address)
    }
}
