"""PyTorch's side of tests/round_trip.rs: `write FOLDER`, then `read FOLDER`.

write: theirs_zip.pth and theirs_legacy.pth, which hold what state dicts can: views, expanded and transposed
tensors, parameters, tensors with attributes, numpy numbers beside them; <name>.expected, their row-major bytes.
read: ours.pth against <name>.bin, and back.pth (theirs_zip.pth converted there and back) against theirs_zip.pth.
"""

import collections
import pathlib
import sys

import numpy
import torch


def raw(tensor):
    flat = tensor.detach().clone(memory_format=torch.contiguous_format).reshape(-1)
    return b"" if flat.numel() == 0 else flat.view(torch.uint8).numpy().tobytes()


def write(folder):
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    tagged = torch.ones(2, 2)
    tagged.tag = "x"
    tensors = {
        "module.base": base,
        "module.view": base[1:3, 2:5],
        "module.transposed": base.t(),
        "expanded": torch.arange(3.0).expand(4, 3),
        "parameter": torch.nn.Parameter(base.clone()),
        "tagged": tagged,
        "half": base.half(),
        "bfloat": base.bfloat16(),
        "double": base.double() / 3,
        "complex": torch.complex(base, base + 1),
        "bool": base > 3,
        "short": base.short(),
        "char": base.to(torch.int8),
        "scalar": torch.tensor(5),
        "empty": torch.zeros(0, 3),
    }
    extra = {"float8": base.to(torch.float8_e4m3fn), "uint16": base.to(torch.uint16)}
    for name, tensor in {**tensors, **extra}.items():
        (folder / (name.removeprefix("module.") + ".expected")).write_bytes(raw(tensor))
    around = {
        "epoch": 7,
        "score": numpy.float64(0.25),
        "history": collections.Counter({1: 2}),
        "size": torch.Size([1, 2]),
        "device": torch.device("cpu"),
        "dtype": torch.float16,
    }
    state = collections.OrderedDict({**tensors, **extra})
    state._metadata = {"": {"version": 1}}
    torch.save({"state_dict": state, **around}, folder / "theirs_zip.pth")
    legacy = {"state_dict": collections.OrderedDict(tensors), **around}
    torch.save(legacy, folder / "theirs_legacy.pth", _use_new_zipfile_serialization=False)


def read(folder):
    ours = torch.load(folder / "ours.pth", weights_only=True)["params_ema"]
    assert isinstance(ours, collections.OrderedDict)
    for name, tensor in ours.items():
        assert str(tensor.dtype) == "torch." + name.removeprefix("layer."), (name, tensor.dtype)
        assert raw(tensor) == (folder / f"{name}.bin").read_bytes(), name
    back = torch.load(folder / "back.pth", weights_only=True)["state_dict"]
    theirs = torch.load(folder / "theirs_zip.pth", weights_only=False)["state_dict"]
    theirs = {name.removeprefix("module."): tensor for name, tensor in theirs.items()}
    assert set(back) == set(theirs)
    for name, tensor in theirs.items():
        assert (back[name].dtype, back[name].shape) == (tensor.dtype, tensor.shape), name
        assert raw(back[name]) == raw(tensor), name
    print(f"read {len(ours)} and {len(back)} tensors")


if __name__ == "__main__":
    {"write": write, "read": read}[sys.argv[1]](pathlib.Path(sys.argv[2]))
