#!/usr/bin/env python3
"""Makes the cases of this folder: weights.pth, input.npy, output.npy and meta.json, one folder each.

Runs tests/tools/networks.py in f64 on weights by formula; meta.json says how far PyTorch's own f32
run is from it. Needs PyTorch and NumPy.
"""
import json
import pathlib
import sys

import numpy as np
import torch

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tools"))
from formula import fill, uniform  # noqa: E402
from networks import KINDS  # noqa: E402

RRDB = dict(num_feat=4, num_block=1, num_grow_ch=2)
# name: (kind, constructor arguments, input extents, wrapper key of the state dict, modules to record)
CASES = {
    "rrdb_scale1": ("SSR_RRDBNet", dict(RRDB, num_in_ch=3, scale=1), (1, 3, 16, 12), "params_ema", []),
    "rrdb_scale2_bands": ("SSR_RRDBNet", dict(RRDB, num_in_ch=8, scale=2), (1, 8, 8, 10), "params", []),
    "rrdb_scale4": ("SSR_RRDBNet", dict(RRDB, num_in_ch=12, num_block=2), (3, 12, 7, 5), "params_ema",
                    ["conv_first", "body.0.rdb1", "body.0", "body", "conv_body", "conv_up1", "conv_hr"]),
    "rrdb_scale16": ("SSR_RRDBNet", dict(RRDB, num_in_ch=6, scale=16, num_out_ch=1), (1, 6, 5, 4), "params", []),
    "srcnn_zoom3": ("SRCNN", dict(revisits=3, hidden_channels=9, zoom_factor=3, residual_layers=2, output_size=24),
                    (2, 3, 3, 8, 8), "params", ["doubleconv2d", "residualblocks.1", "sr.upsample.0"]),
    "srcnn_shrink": ("SRCNN", dict(revisits=2, hidden_channels=8, zoom_factor=2, output_size=9,
                                   use_reference_frame=True), (1, 2, 3, 10, 13), "params", []),
    "highresnet_5of7": ("HighResNet", dict(revisits=7, hidden_channels=8, zoom_factor=2, output_size=16),
                        (2, 5, 3, 8, 9), "params", ["encoder", "sr.upsample.0"]),
    "highresnet_2ref": ("HighResNet", dict(revisits=2, hidden_channels=8, zoom_factor=2, in_channels=4,
                                           sr_kernel_size=3, kernel_size=5, use_reference_frame=True),
                        (1, 2, 4, 6, 7), "params", []),
}


def recorded(net, x, modules):
    """The output and the first output of each named module."""
    seen, handles = {}, []
    for name in modules:
        module = net.get_submodule(name)
        handles.append(module.register_forward_hook(lambda _m, _i, y, name=name: seen.setdefault(name, y)))
    with torch.no_grad():
        y = net(x)
    for handle in handles:
        handle.remove()
    return y, seen


def make(name, kind, args, extents, key, modules):
    folder = HERE / name
    folder.mkdir(exist_ok=True)
    net = fill(KINDS[kind](**args), name)
    torch.save({key: net.state_dict()}, folder / "weights.pth")
    x = torch.from_numpy((uniform(len(name), int(np.prod(extents))) * 0.5 + 0.5).astype(np.float32).reshape(extents))
    np.save(folder / "input.npy", x.numpy())
    single, _ = recorded(net, x, [])
    double, seen = recorded(net.double(), x.double(), modules)
    np.save(folder / "output.npy", double.numpy().astype(np.float32))
    for module, y in seen.items():
        np.save(folder / f"act_{module}.npy", y.numpy().astype(np.float32))
    error = (single.double() - double).abs().max().item()
    meta = dict(kind=kind, args=args, f32_error=error)
    (folder / "meta.json").write_text(json.dumps(meta, indent=1) + "\n")
    print(f"{name}: output {tuple(double.shape)}, range {double.min():.3f}..{double.max():.3f}, f32 error {error:.1e}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, case in CASES.items():
        make(name, *case)
