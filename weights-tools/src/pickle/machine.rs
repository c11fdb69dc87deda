//! The stack machine: opcodes in, nodes out. Every push, memo entry and opcode is charged against the limits.

use std::collections::HashMap;
use std::sync::Arc;

use super::globals::{self, Global};
use super::node::{Finisher, Id, Node, Program, StorageClaim, TensorClaim};
use super::stream::Stream;
use crate::dtype::DType;
use crate::error::{Error, Result};
use crate::limits::{within, Limits};

/// Runs pickle streams. Opcode and item counts accumulate over the streams of one file.
pub(crate) struct Machine<'a> {
    pub(super) limits: &'a Limits,
    pub(super) nodes: Vec<Node>,
    pub(super) storages: Vec<StorageClaim>,
    pub(super) tensors: Vec<TensorClaim>,
    storage_index: HashMap<String, usize>,
    stack: Vec<Id>,
    marks: Vec<usize>,
    memo: HashMap<u32, Id>,
    opcodes: u64,
    items: u64,
}

impl<'a> Machine<'a> {
    pub fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            nodes: Vec::new(),
            storages: Vec::new(),
            tensors: Vec::new(),
            storage_index: HashMap::new(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
            opcodes: 0,
            items: 0,
        }
    }

    /// Runs one stream to its end; returns what it built and the bytes it took.
    pub fn run(&mut self, bytes: &[u8]) -> Result<(Program, usize)> {
        self.nodes.clear();
        self.storages.clear();
        self.tensors.clear();
        self.storage_index.clear();
        self.stack.clear();
        self.marks.clear();
        self.memo.clear();
        let mut stream = Stream::new(bytes);
        let top = loop {
            self.opcodes += 1;
            within("opcode number", self.opcodes, self.limits.opcodes)?;
            within("pickle byte", stream.position() as u64, self.limits.pickle_bytes)?;
            let at = stream.position();
            let opcode = stream.u8()?;
            if opcode == b'.' {
                break self.pop()?;
            }
            self.step(opcode, at, &mut stream)?;
        };
        let root = Finisher::new(&self.nodes, self.limits).value(top, 0)?;
        let storages = std::mem::take(&mut self.storages);
        let tensors = std::mem::take(&mut self.tensors);
        Ok((Program { root, storages, tensors }, stream.position()))
    }

    fn step(&mut self, opcode: u8, at: usize, stream: &mut Stream<'_>) -> Result<()> {
        match opcode {
            0x80 => match stream.u8()? {
                0..=5 => Ok(()),
                protocol => Err(Error::unsupported(format!("pickle protocol {protocol}, above 5"))),
            },
            0x95 => stream.u64().map(drop), // FRAME: a hint about buffering
            b'(' => {
                self.marks.push(self.stack.len());
                Ok(())
            }
            b'0' => self.pop().map(drop),
            b'1' => self.pop_mark().map(drop),
            b'2' => {
                let top = self.top()?;
                self.charge(1)?;
                self.stack.push(top);
                Ok(())
            }
            b'q' | b'r' | b'p' | 0x94 | b'h' | b'j' | b'g' => self.memo_op(opcode, stream),
            b'c' | 0x93 | b'i' => self.global_op(opcode, stream),
            b'Q' => self.persistent_id(),
            b'R' => {
                let args = self.pop()?;
                let callee = self.pop()?;
                self.reduce(callee, args)
            }
            0x81 => {
                let args = self.pop()?;
                let class = self.pop()?;
                self.new_object(class, args)
            }
            b'b' => {
                let state = self.pop()?;
                self.build(state)
            }
            _ => self.container_op(opcode, at, stream),
        }
    }

    fn container_op(&mut self, opcode: u8, at: usize, stream: &mut Stream<'_>) -> Result<()> {
        match opcode {
            b']' | 0x8f => self.push(Node::List(Vec::new())),
            b')' => self.push(Node::Tuple(Vec::new())),
            b'}' => self.push(Node::Dict(Vec::new())),
            b'l' | 0x91 => {
                let items = self.pop_mark()?;
                self.push(Node::List(items))
            }
            b't' => {
                let items = self.pop_mark()?;
                self.push(Node::Tuple(items))
            }
            b'd' => {
                let items = self.pop_mark()?;
                let pairs = pairs(&items)?;
                self.push(Node::Dict(pairs))
            }
            0x85..=0x87 => {
                let count = usize::from(opcode - 0x84);
                let start = self.stack.len().checked_sub(count).filter(|&s| s >= self.floor());
                let items = self.stack.split_off(start.ok_or_else(underflow)?);
                self.push(Node::Tuple(items))
            }
            b'a' => {
                let item = self.pop()?;
                self.extend_list(vec![item])
            }
            b'e' | 0x90 => {
                let items = self.pop_mark()?;
                self.extend_list(items)
            }
            b's' => {
                let value = self.pop()?;
                let key = self.pop()?;
                self.extend_dict(vec![(key, value)])
            }
            b'u' => {
                let items = self.pop_mark()?;
                self.extend_dict(pairs(&items)?)
            }
            _ => {
                let node = scalar(opcode, at, stream)?;
                self.push(node)
            }
        }
    }

    fn memo_op(&mut self, opcode: u8, stream: &mut Stream<'_>) -> Result<()> {
        let slot = match opcode {
            b'q' | b'h' => stream.u8()?.into(),
            b'r' | b'j' => stream.u32()?,
            0x94 => self.memo.len() as u32,
            _ => stream
                .line()?
                .parse()
                .map_err(|_| Error::format("the pickle has a memo slot that is no number"))?,
        };
        if matches!(opcode, b'q' | b'r' | b'p' | 0x94) {
            let top = self.top()?;
            self.memo.insert(slot, top);
            return within("a pickle memo of size", self.memo.len() as u64, self.limits.memo as u64);
        }
        let Some(&id) = self.memo.get(&slot) else {
            return Err(Error::format(format!("the pickle asks for memo slot {slot}, which is empty")));
        };
        self.charge(1)?;
        self.stack.push(id);
        Ok(())
    }

    /// GLOBAL, STACK_GLOBAL and INST: a name, refused unless it is on the list.
    fn global_op(&mut self, opcode: u8, stream: &mut Stream<'_>) -> Result<()> {
        let (module, name): (Arc<str>, Arc<str>) = if opcode == 0x93 {
            let name = self.pop()?;
            let module = self.pop()?;
            match (self.node(module)?, self.node(name)?) {
                (Node::Str(module), Node::Str(name)) => (module.clone(), name.clone()),
                _ => return Err(Error::format("the pickle names a class by something that is no text")),
            }
        } else {
            (stream.line()?.into(), stream.line()?.into())
        };
        let global = globals::find(&module, &name)?;
        if opcode == b'i' {
            return Err(Error::refused(format!(
                "the pickle makes an instance of {module}.{name} (opcode INST)"
            )));
        }
        self.push(Node::Global(global, format!("{module}.{name}").into()))
    }

    /// BINPERSID: `("storage", class, key, location, numel[, view])`.
    fn persistent_id(&mut self) -> Result<()> {
        let id = self.pop()?;
        let parts = self.tuple(id)?;
        let kind = parts.first().map(|&p| self.node(p)).transpose()?;
        match kind {
            Some(Node::Str(s)) if &**s == "storage" => {}
            Some(Node::Str(s)) if &**s == "module" => {
                return Err(Error::refused(
                    "the pickle holds a whole module (its code), not weights; save its state_dict",
                ));
            }
            _ => return Err(Error::format("the pickle refers to something outside it that is no storage")),
        }
        let [_, class, key, _location, numel, view @ ..] = parts.as_slice() else {
            return Err(Error::format("the pickle has a storage reference with too few parts"));
        };
        if let [view] = view {
            if !matches!(self.node(*view)?, Node::None) {
                return Err(Error::unsupported("a storage that is a view of another (PyTorch before 0.4)"));
            }
        }
        let claim = match (self.node(*class)?, self.node(*key)?, self.node(*numel)?) {
            (Node::Global(Global::Storage(dtype), _), Node::Str(key), Node::Int(numel)) => {
                self.storage_claim(*dtype, key, *numel)?
            }
            _ => return Err(Error::format("the pickle has a storage reference of wrong types")),
        };
        let index = self.storage(claim)?;
        self.push(Node::Storage(index))
    }

    fn storage_claim(&self, dtype: DType, key: &str, numel: i64) -> Result<StorageClaim> {
        within("a storage key of length", key.len() as u64, 64)?;
        if key.is_empty() || !key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-') {
            return Err(Error::refused(format!(
                "the pickle asks for the storage {key:?}, which leaves data/"
            )));
        }
        let bytes = u64::try_from(numel).ok().and_then(|n| n.checked_mul(dtype.size() as u64));
        let Some(bytes) = bytes.filter(|&b| b <= isize::MAX as u64) else {
            return Err(Error::limit(format!(
                "storage {key} claims {numel} elements, more than memory can address"
            )));
        };
        Ok(StorageClaim { key: key.to_string(), dtype, bytes })
    }

    fn storage(&mut self, claim: StorageClaim) -> Result<usize> {
        if let Some(&index) = self.storage_index.get(&claim.key) {
            return match self.storages.get(index) {
                Some(known) if known.bytes == claim.bytes => Ok(index),
                _ => Err(Error::format(format!("storage {} is claimed with two sizes", claim.key))),
            };
        }
        within("storage number", self.storages.len() as u64 + 1, self.limits.tensors as u64)?;
        let index = self.storages.len();
        self.storage_index.insert(claim.key.clone(), index);
        self.storages.push(claim);
        Ok(index)
    }

    pub(super) fn push(&mut self, node: Node) -> Result<()> {
        let cost = match &node {
            Node::Str(s) => s.len() / 16,
            Node::Bytes(b) => b.len() / 16,
            Node::List(items) | Node::Tuple(items) => items.len(),
            Node::Dict(entries) => entries.len(),
            _ => 0,
        };
        self.charge(1 + cost as u64)?;
        let id =
            Id::try_from(self.nodes.len()).map_err(|_| Error::limit("the pickle makes too many values"))?;
        self.nodes.push(node);
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn charge(&mut self, items: u64) -> Result<()> {
        self.items = self.items.saturating_add(items);
        within("pickle item number", self.items, self.limits.items)
    }

    pub(super) fn node(&self, id: Id) -> Result<&Node> {
        self.nodes.get(id as usize).ok_or_else(underflow)
    }

    /// The ids in a tuple.
    pub(super) fn tuple(&self, id: Id) -> Result<Vec<Id>> {
        match self.node(id)? {
            Node::Tuple(items) => Ok(items.clone()),
            _ => Err(Error::format("the pickle has something else where a tuple belongs")),
        }
    }

    fn floor(&self) -> usize {
        self.marks.last().copied().unwrap_or(0)
    }

    fn top(&self) -> Result<Id> {
        self.stack.last().copied().filter(|_| self.stack.len() > self.floor()).ok_or_else(underflow)
    }

    pub(super) fn pop(&mut self) -> Result<Id> {
        let top = self.top()?;
        self.stack.pop();
        Ok(top)
    }

    fn pop_mark(&mut self) -> Result<Vec<Id>> {
        let mark = self.marks.pop().filter(|&m| m <= self.stack.len()).ok_or_else(underflow)?;
        Ok(self.stack.split_off(mark))
    }

    fn extend_list(&mut self, items: Vec<Id>) -> Result<()> {
        self.charge(items.len() as u64)?;
        let list = self.top()?;
        match self.nodes.get_mut(list as usize) {
            Some(Node::List(list)) => list.extend(items),
            _ => return Err(Error::format("the pickle appends to something that is no list")),
        }
        Ok(())
    }

    fn extend_dict(&mut self, entries: Vec<(Id, Id)>) -> Result<()> {
        self.charge(entries.len() as u64)?;
        let dict = self.top()?;
        match self.nodes.get_mut(dict as usize) {
            Some(Node::Dict(dict)) => dict.extend(entries),
            // Records of mapping classes may be filled by items; nothing reads those.
            Some(Node::Object { .. }) => {}
            _ => return Err(Error::format("the pickle sets an item of something that is no dictionary")),
        }
        Ok(())
    }

    /// BUILD: attributes. Only records keep them; a state dict's `_metadata` is dropped.
    fn build(&mut self, state_id: Id) -> Result<()> {
        let top = self.top()?;
        let swapped = matches!(self.node(state_id)?, Node::Tuple(items)
            if items.get(1).is_some_and(|&i| matches!(self.node(i), Ok(Node::Str(s)) if &**s == ">")));
        match self.nodes.get_mut(top as usize) {
            Some(Node::Object { state, .. }) => *state = state_id,
            Some(Node::NumpyDType(_)) if swapped => {
                return Err(Error::unsupported("a big-endian numpy value"));
            }
            Some(Node::Dict(_) | Node::Tensor(_) | Node::NumpyDType(_)) => {}
            _ => return Err(Error::format("the pickle sets attributes of something that has none")),
        }
        Ok(())
    }
}

pub(super) fn underflow() -> Error {
    Error::format("the pickle takes more from its stack than it has put there")
}

/// Consecutive items as keys and values.
fn pairs(items: &[Id]) -> Result<Vec<(Id, Id)>> {
    let (pairs, rest) = items.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(Error::format("the pickle has a dictionary key without a value"));
    }
    Ok(pairs.iter().map(|&[k, v]| (k, v)).collect())
}

/// Opcodes that push one number, text or constant.
fn scalar(opcode: u8, at: usize, stream: &mut Stream<'_>) -> Result<Node> {
    Ok(match opcode {
        b'N' => Node::None,
        0x88 => Node::Bool(true),
        0x89 => Node::Bool(false),
        b'J' => Node::Int(stream.i32()?.into()),
        b'K' => Node::Int(stream.u8()?.into()),
        b'M' => Node::Int(stream.u16()?.into()),
        0x8a => {
            let length = stream.u8()?.into();
            long(stream.take(length)?)
        }
        b'G' => Node::Float(stream.f64_be()?),
        b'X' => {
            let length = stream.u32()?.into();
            Node::Str(stream.utf8(length)?.into())
        }
        0x8c => {
            let length = stream.u8()?.into();
            Node::Str(stream.utf8(length)?.into())
        }
        0x8d => {
            let length = stream.u64()?;
            Node::Str(stream.utf8(length)?.into())
        }
        // Python 2 wrote text as 8-bit strings.
        b'U' | b'T' => {
            let length = if opcode == b'U' { stream.u8()?.into() } else { stream.u32()?.into() };
            let bytes = stream.take(length)?;
            std::str::from_utf8(bytes).map_or_else(|_| Node::Bytes(bytes.into()), |s| Node::Str(s.into()))
        }
        b'C' | b'B' | 0x8e => {
            let length = match opcode {
                b'C' => stream.u8()?.into(),
                b'B' => stream.u32()?.into(),
                _ => stream.u64()?,
            };
            Node::Bytes(stream.take(length)?.into())
        }
        other => {
            return Err(Error::refused(format!(
                "the pickle uses opcode 0x{other:02x} at byte {at}, which PyTorch does not write"
            )));
        }
    })
}

/// LONG1: little-endian two's complement. Beyond 64 bits it stays bytes.
fn long(bytes: &[u8]) -> Node {
    if bytes.len() > 8 {
        return Node::Bytes(bytes.into());
    }
    let negative = bytes.last().is_some_and(|b| b & 0x80 != 0);
    let mut out = [if negative { 0xff } else { 0 }; 8];
    for (to, from) in out.iter_mut().zip(bytes) {
        *to = *from;
    }
    Node::Int(i64::from_le_bytes(out))
}
