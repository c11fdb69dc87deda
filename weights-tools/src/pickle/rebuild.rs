//! What REDUCE and NEWOBJ mean for the names on the list: containers, tensors, numpy scalars, records.

use super::globals::{Global, Sequence};
use super::machine::Machine;
use super::node::{Id, Node, TensorClaim};
use crate::dtype::{self, DType};
use crate::error::{Error, Result};
use crate::limits::within;
use crate::tensor::Layout;

impl Machine<'_> {
    /// REDUCE: the value that `callee(*args)` stands for.
    pub(super) fn reduce(&mut self, callee: Id, args: Id) -> Result<()> {
        let (global, name) = match self.node(callee)? {
            Node::Global(global, name) => (*global, name.clone()),
            _ => return Err(Error::refused("the pickle calls something that is not a name")),
        };
        let list = self.tuple(args)?;
        self.charge(list.len() as u64)?;
        let node = match global {
            Global::Mapping => Node::Dict(self.mapping(&list)?),
            Global::DefaultDict => Node::Dict(Vec::new()),
            Global::Sequence(kind) => self.sequence(kind, &list)?,
            Global::RebuildTensor => self.tensor(&list, None)?,
            Global::RebuildTensorV3 => self.tensor_v3(&list)?,
            Global::RebuildParameter => self.parameter(&list)?,
            Global::RebuildFromType => return self.typed_tensor(&list),
            Global::NumpyDType => self.numpy_dtype(&list)?,
            Global::NumpyScalar => self.numpy_scalar(&list)?,
            Global::Encode => self.encode(&list)?,
            Global::Record => return self.new_object(callee, args),
            Global::Storage(_) | Global::TensorType | Global::DType(_) => {
                return Err(Error::refused(format!("the pickle calls {name}, which tensors do not need")));
            }
        };
        self.push(node)
    }

    /// NEWOBJ: records and containers only.
    pub(super) fn new_object(&mut self, class: Id, args: Id) -> Result<()> {
        let (global, name) = match self.node(class)? {
            Node::Global(global, name) => (*global, name.clone()),
            _ => return Err(Error::refused("the pickle makes an instance of something that is not a name")),
        };
        match global {
            Global::Record => {
                self.push(Node::None)?;
                let state = self.pop()?;
                self.push(Node::Object { class: name, args, state })
            }
            Global::Mapping | Global::DefaultDict | Global::Sequence(_) => self.reduce(class, args),
            _ => Err(Error::refused(format!("the pickle makes an instance of {name}"))),
        }
    }

    fn mapping(&mut self, args: &[Id]) -> Result<Vec<(Id, Id)>> {
        let Some(&source) = args.first() else { return Ok(Vec::new()) };
        let entries = match self.node(source)? {
            Node::Dict(entries) => entries.clone(),
            Node::List(items) | Node::Tuple(items) => {
                items.iter().map(|&i| self.pair(i)).collect::<Result<_>>()?
            }
            _ => return Err(Error::format("the pickle makes a dictionary from something that is none")),
        };
        self.charge(entries.len() as u64)?;
        Ok(entries)
    }

    fn pair(&self, id: Id) -> Result<(Id, Id)> {
        match self.node(id)? {
            Node::List(items) | Node::Tuple(items) => match items.as_slice() {
                [key, value] => Ok((*key, *value)),
                _ => Err(Error::format("the pickle makes a dictionary from something that is no pair")),
            },
            _ => Err(Error::format("the pickle makes a dictionary from something that is no pair")),
        }
    }

    fn sequence(&mut self, kind: Sequence, args: &[Id]) -> Result<Node> {
        let items = match args.first().map(|&a| self.node(a)).transpose()? {
            None => Vec::new(),
            Some(Node::List(items) | Node::Tuple(items)) => items.clone(),
            Some(_) => return Err(Error::format("the pickle makes a list from something that is none")),
        };
        Ok(match kind {
            Sequence::List => Node::List(items),
            Sequence::Tuple => Node::Tuple(items),
        })
    }

    /// `(storage, offset, size, stride, …)`; `dtype` overrides the storage's.
    fn tensor(&mut self, args: &[Id], dtype: Option<DType>) -> Result<Node> {
        let [storage, offset, size, stride, ..] = args else {
            return Err(Error::format("the pickle rebuilds a tensor from too few arguments"));
        };
        let Node::Storage(storage) = *self.node(*storage)? else {
            return Err(Error::format("the pickle rebuilds a tensor from something that is no storage"));
        };
        let Some(claim) = self.storages.get(storage) else {
            return Err(Error::format("the pickle rebuilds a tensor from an unknown storage"));
        };
        let layout = Layout {
            dtype: dtype.unwrap_or(claim.dtype),
            shape: self.extents(*size, "a tensor's shape")?,
            strides: self.extents(*stride, "a tensor's strides")?,
            offset: self.extent(*offset, "a tensor's offset")?,
        };
        layout.check(claim.bytes, self.limits)?;
        within("tensor number", self.tensors.len() as u64 + 1, self.limits.tensors as u64)?;
        self.tensors.push(TensorClaim { storage, layout });
        Ok(Node::Tensor(self.tensors.len() - 1))
    }

    /// `(storage, offset, size, stride, requires_grad, hooks, dtype, …)`.
    fn tensor_v3(&mut self, args: &[Id]) -> Result<Node> {
        match args.get(6).map(|&id| self.node(id)).transpose()? {
            Some(&Node::Global(Global::DType(dtype), _)) => self.tensor(args, Some(dtype)),
            _ => Err(Error::format("the pickle rebuilds a tensor without an element type")),
        }
    }

    fn parameter(&mut self, args: &[Id]) -> Result<Node> {
        match args.first().map(|&id| self.node(id)).transpose()? {
            Some(&Node::Tensor(index)) => Ok(Node::Tensor(index)),
            _ => Err(Error::format("the pickle rebuilds a parameter from something that is no tensor")),
        }
    }

    /// `(rebuild, type, args, state)`, for `Tensor` and `Parameter`; the state is dropped.
    fn typed_tensor(&mut self, args: &[Id]) -> Result<()> {
        let [rebuild, kind, args, ..] = args else {
            return Err(Error::format("the pickle rebuilds a tensor from too few arguments"));
        };
        let plain = matches!(self.node(*kind)?, Node::Global(Global::TensorType, _));
        let rebuilds = matches!(
            self.node(*rebuild)?,
            Node::Global(Global::RebuildTensor | Global::RebuildTensorV3 | Global::RebuildParameter, _)
        );
        if !(plain && rebuilds) {
            return Err(Error::refused("the pickle rebuilds a tensor of a class of its own"));
        }
        self.reduce(*rebuild, *args)
    }

    /// `(code, …)` such as `"f8"` or `"<i4"`.
    fn numpy_dtype(&self, args: &[Id]) -> Result<Node> {
        let Some(Node::Str(code)) = args.first().map(|&id| self.node(id)).transpose()? else {
            return Err(Error::format("the pickle has a numpy type without a code"));
        };
        let dtype = match code.trim_start_matches(['<', '=', '|']) {
            "f8" => DType::F64,
            "f4" => DType::F32,
            "f2" => DType::F16,
            "i8" => DType::I64,
            "i4" => DType::I32,
            "i2" => DType::I16,
            "i1" => DType::I8,
            "u8" => DType::U64,
            "u4" => DType::U32,
            "u2" => DType::U16,
            "u1" => DType::U8,
            "b1" => DType::Bool,
            _ => return Err(Error::unsupported(format!("a numpy value of type {code:?}"))),
        };
        Ok(Node::NumpyDType(dtype))
    }

    fn numpy_scalar(&self, args: &[Id]) -> Result<Node> {
        let [dtype, bytes, ..] = args else {
            return Err(Error::format("the pickle has a numpy value from too few arguments"));
        };
        let (Node::NumpyDType(dtype), Node::Bytes(bytes)) = (self.node(*dtype)?, self.node(*bytes)?) else {
            return Err(Error::format("the pickle has a numpy value of wrong types"));
        };
        if bytes.len() != dtype.size() {
            return Err(Error::format(format!("the pickle has a numpy {dtype} of {} bytes", bytes.len())));
        }
        let node = if dtype.is_integer() {
            dtype::to_i64(*dtype, bytes)?.first().map(|&v| Node::Int(v))
        } else {
            dtype::to_f64(*dtype, bytes)?.first().map(|&v| Node::Float(v))
        };
        node.ok_or_else(|| Error::format("the pickle has an empty numpy value"))
    }

    /// `(text, "latin1")`: one byte per character.
    fn encode(&self, args: &[Id]) -> Result<Node> {
        let (Some(&text), Some(&codec)) = (args.first(), args.get(1)) else {
            return Err(Error::format("the pickle encodes text without a codec"));
        };
        match (self.node(text)?, self.node(codec)?) {
            (Node::Str(text), Node::Str(codec)) if matches!(&**codec, "latin1" | "latin-1") => {
                let bytes: Option<Vec<u8>> = text.chars().map(|c| u8::try_from(u32::from(c)).ok()).collect();
                let bytes =
                    bytes.ok_or_else(|| Error::format("the pickle encodes text that is not latin-1"))?;
                Ok(Node::Bytes(bytes.into()))
            }
            _ => Err(Error::refused("the pickle encodes text by a codec other than latin-1")),
        }
    }

    fn extents(&self, id: Id, what: &str) -> Result<Vec<usize>> {
        let items = match self.node(id)? {
            Node::Tuple(items) | Node::List(items) => items,
            _ => return Err(Error::format(format!("{what} is no tuple"))),
        };
        within("a tensor of rank", items.len() as u64, self.limits.rank as u64)?;
        items.iter().map(|&item| self.extent(item, what)).collect()
    }

    fn extent(&self, id: Id, what: &str) -> Result<usize> {
        match self.node(id)? {
            Node::Int(value) => usize::try_from(*value)
                .map_err(|_| Error::format(format!("{what} has {value}, which is negative"))),
            Node::Bytes(_) => Err(Error::limit(format!("{what} has a number beyond 64 bits"))),
            _ => Err(Error::format(format!("{what} has something that is no whole number"))),
        }
    }
}
