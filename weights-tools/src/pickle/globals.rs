//! The list of names a pickle may ask for. Each is data, or a known way to describe a tensor; none is run.

use crate::dtype::DType;
use crate::error::{Error, Result};

/// What an allowed name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Global {
    /// `OrderedDict`, `Counter`, `dict`: made from nothing, a dictionary, or pairs.
    Mapping,
    /// `defaultdict(factory)`: a dictionary; the factory is dropped.
    DefaultDict,
    /// `list`, `tuple`, `set`, `frozenset`, `torch.Size`: made from nothing or a sequence.
    Sequence(Sequence),
    /// A storage class; its elements.
    Storage(DType),
    /// `_rebuild_tensor(storage, offset, size, stride)`, and v2 with more arguments.
    RebuildTensor,
    /// v2 with a dtype as the seventh argument, over an untyped storage.
    RebuildTensorV3,
    /// `_rebuild_parameter(tensor, …)`: its first argument.
    RebuildParameter,
    /// `_rebuild_from_type_v2(rebuild, type, args, state)` for `Tensor` and `Parameter`.
    RebuildFromType,
    /// `torch.Tensor`, `torch.nn.Parameter`: only as the type of `RebuildFromType`.
    TensorType,
    /// `torch.float32` and its like.
    DType(DType),
    /// `numpy.dtype(code, …)`: an array scalar's type.
    NumpyDType,
    /// `numpy.core.multiarray.scalar(dtype, bytes)`: one number.
    NumpyScalar,
    /// `_codecs.encode(text, 'latin1')`: how protocol 2 writes bytes.
    Encode,
    /// Kept by name with its attributes, never made: `argparse.Namespace`, optimisers, schedulers.
    Record,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sequence {
    List,
    Tuple,
}

/// Classes kept as records: what published training loops store beside their tensors.
const RECORDS: &[&str] = &[
    "argparse.Namespace",
    "datetime.timedelta",
    "pathlib.PosixPath",
    "torch.device",
    "torch.optim.adam.Adam",
    "torch.optim.adamw.AdamW",
    "torch.optim.sgd.SGD",
    "torch.optim.lr_scheduler.CosineAnnealingLR",
    "torch.optim.lr_scheduler.ExponentialLR",
    "torch.optim.lr_scheduler.MultiStepLR",
    "torch.optim.lr_scheduler.ReduceLROnPlateau",
    "torch.optim.lr_scheduler.StepLR",
];

/// Looks a name up; a name outside the list is refused, and the error says it.
pub(super) fn find(module: &str, name: &str) -> Result<Global> {
    let full = format!("{module}.{name}");
    if let Some(global) = lookup(module, name) {
        return Ok(global);
    }
    if RECORDS.contains(&full.as_str()) {
        return Ok(Global::Record);
    }
    let shown: String = full.chars().take(200).map(|c| if c.is_control() { '?' } else { c }).collect();
    Err(Error::refused(format!(
        "the pickle asks for {shown}, which tensors do not need; nothing was run (a file of the state_dict alone has no such need)"
    )))
}

fn lookup(module: &str, name: &str) -> Option<Global> {
    Some(match (module, name) {
        ("collections", "OrderedDict" | "Counter") | ("__builtin__" | "builtins", "dict") => Global::Mapping,
        ("collections", "defaultdict") => Global::DefaultDict,
        ("__builtin__" | "builtins", "list" | "set" | "frozenset") => Global::Sequence(Sequence::List),
        ("__builtin__" | "builtins", "tuple") | ("torch", "Size") => Global::Sequence(Sequence::Tuple),
        ("torch._utils", "_rebuild_tensor" | "_rebuild_tensor_v2") => Global::RebuildTensor,
        ("torch._utils", "_rebuild_tensor_v3") => Global::RebuildTensorV3,
        ("torch._utils", "_rebuild_parameter" | "_rebuild_parameter_with_state") => Global::RebuildParameter,
        ("torch._tensor", "_rebuild_from_type_v2") => Global::RebuildFromType,
        ("torch" | "torch._tensor" | "torch.tensor", "Tensor") => Global::TensorType,
        ("torch.nn.parameter" | "torch.nn", "Parameter") => Global::TensorType,
        ("numpy", "dtype") => Global::NumpyDType,
        ("numpy.core.multiarray" | "numpy._core.multiarray", "scalar") => Global::NumpyScalar,
        ("_codecs", "encode") => Global::Encode,
        ("torch", name) | ("torch.storage", name @ ("UntypedStorage" | "TypedStorage")) => {
            return DType::from_storage(name)
                .map(Global::Storage)
                .or_else(|| DType::from_torch(name).map(Global::DType));
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_closed() {
        assert_eq!(find("torch", "HalfStorage").unwrap(), Global::Storage(DType::F16));
        assert_eq!(find("torch", "float8_e5m2").unwrap(), Global::DType(DType::F8E5M2));
        assert_eq!(find("argparse", "Namespace").unwrap(), Global::Record);
        for (module, name) in [
            ("os", "system"),
            ("posix", "system"),
            ("builtins", "eval"),
            ("torch", "load"),
            ("torch.nn", "Linear"),
        ] {
            let message = find(module, name).unwrap_err().to_string();
            assert!(message.contains(&format!("asks for {module}.{name}")), "{message}");
        }
    }
}
