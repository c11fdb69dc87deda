"""Weights as a pure function of (salt, key, shape), so that large networks need no weight files.

seed = FNV-1a-64("<salt>|<key>"); u_i = splitmix64(seed + (i+1)·0x9E3779B97F4A7C15) >> 11, scaled to [-1, 1);
rank 2 and more: g·sqrt(3/fan_in)·u (g = 0.2 for a detector's rpn.head.bbox_pred, 3 for its cls_score, else 1),
one-dimensional weight: 1 + 0.2u, bias and running_mean: 0.1u, running_var: 1 + 0.5u, logit_scale: ln 10 + 0.5u;
in f64, rounded to f32. Whole numbers and tables of coordinates keep their values.
"""
import math

import numpy as np
import torch

MASK = (1 << 64) - 1


def fnv1a64(text):
    h = 0xCBF29CE484222325
    for byte in text.encode():
        h = ((h ^ byte) * 0x100000001B3) & MASK
    return h


def uniform(seed, n):
    """n values in [-1, 1), f64."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, n + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    return (z >> np.uint64(11)).astype(np.float64) * (2.0 / (1 << 53)) - 1.0


def tensor(key, shape, salt):
    u = uniform(fnv1a64(f"{salt}|{key}"), int(np.prod(shape)))
    if key.endswith("running_var"):
        values = 1.0 + 0.5 * u
    elif key.endswith("logit_scale"):
        values = math.log(10.0) + 0.5 * u
    elif len(shape) >= 2:
        gain = 0.2 if key.endswith("rpn.head.bbox_pred.weight") else 3.0 if key.endswith("cls_score.weight") else 1.0
        values = gain * math.sqrt(3.0 / max(np.prod(shape[1:]), 1)) * u
    elif key.endswith("weight"):
        values = 1.0 + 0.2 * u
    else:
        values = 0.1 * u
    return torch.from_numpy(values.reshape(shape).astype(np.float32))


def fill(net, salt):
    """Sets every parameter; one that is saved under several names takes the last name's values."""
    def filled(key, value):
        kept = not value.is_floating_point() or key.endswith("relative_coords_table")
        return value if kept else tensor(key, tuple(value.shape), salt)

    net.load_state_dict({k: filled(k, v) for k, v in net.state_dict().items()})
    return net.eval()
