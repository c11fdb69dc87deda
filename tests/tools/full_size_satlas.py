#!/usr/bin/env python3
"""Satlas networks of published size, `swath forward` against torchvision on the same weights and input.

Weights are filled by formula.py. Prints the largest difference over the output's range per case and fails
above 1e-4; detections are compared as sets: same count and labels, boxes within 0.05 px, scores within 1e-4.
Needs PyTorch and torchvision: full_size_satlas.py [--swath target/release/swath] [--threads N] [CASE…]
"""
import pathlib
import subprocess
import tempfile
import time

import numpy as np
import torch

from formula import fill, uniform
from full_size import BOUND, main
from satlas_networks import Features, Satlas

PIXELS = 0.05
# A comparison of fewer detections shows little.
FEWEST = 100
BACKBONES = ["swin_v2_t", "swin_v2_s", "swin_v2_b", "swin_t", "swin_s", "swin_b", "swin_l",
             "resnet18", "resnet34", "resnet50", "resnet101", "resnet152"]
# name: (network, input extents, options that tensors do not tell). Weights depend on the name: with most, a random detector
# finds next to nothing, or is so sure of everything that rounding says which 100 it gives.
CASES = {
    **{f"{arch}_odd": (lambda arch=arch: Features(arch, 3), (1, 3, 150, 212), []) for arch in BACKBONES},
    "swin_v2_b_512": (lambda: Features("swin_v2_b", 9), (1, 9, 512, 512), []),
    "swin_b_512": (lambda: Features("swin_b", 3), (1, 3, 512, 512), []),
    "resnet50_512": (lambda: Features("resnet50", 3), (1, 3, 512, 512), []),
    "solar_farm": (lambda: Satlas("swin_v2_b", 9, "bin_segment"), (1, 36, 512, 512), ["tasks=solar_farm"]),
    "tree_cover": (lambda: Satlas("swin_v2_b", 9, "regress"), (1, 36, 512, 512), ["tasks=tree_cover"]),
    "wind_turbine_7": (lambda: Satlas("swin_v2_b", 9, "detect"), (1, 36, 512, 512), []),
    "marine": (lambda: Satlas("swin_v2_b", 3, "detect", 4), (1, 12, 512, 512), []),
}


def detections(prefix, arrays):
    return [np.asarray(arrays[f"{prefix}_{what}"], dtype=np.float64) for what in ("boxes", "scores", "labels")]


def compare_detections(got, wanted):
    """Pairs each wanted detection with a free one like it; returns the worst pixel and score difference."""
    boxes, scores, labels = got
    assert len(labels) == len(wanted[2]), f"{len(labels)} detections, {len(wanted[2])} wanted"
    free, worst = np.ones(len(labels), bool), [0.0, 0.0]
    for box, score, label in zip(*wanted):
        pixels = np.abs(boxes - box).max(1)
        fits = free & (labels == label) & (np.abs(scores - score) <= BOUND)
        assert fits.any(), f"nothing like {box} {score} {label}"
        best = np.flatnonzero(fits)[pixels[fits].argmin()]
        free[best] = False
        worst = [max(worst[0], pixels[best]), max(worst[1], abs(scores[best] - score))]
    return worst


def compare(name, program, threads):
    make, extents, told = CASES[name]
    net = fill(make(), name)
    x = (uniform(len(name), int(np.prod(extents))) * 0.5 + 0.5).astype(np.float32).reshape(extents)
    with torch.no_grad():
        started = time.monotonic()
        expected = {k: v.numpy() for k, v in net(torch.from_numpy(x)).items()}
        torch_seconds = time.monotonic() - started
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        torch.save(net.state_dict(), folder / "w.pth")
        np.save(folder / "x.npy", x)
        command = [program, "forward", "-m", folder / "w.pth", "-i", folder / "x.npy", "-o", folder / "y.npz",
                   "--threads", str(threads), *(word for option in told for word in ("--set", option))]
        started = time.monotonic()
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - started
        got = dict(np.load(folder / "y.npz"))
    assert set(got) == set(expected), (sorted(got), sorted(expected))
    if "head0_img0_boxes" in got:
        pixels, scores = compare_detections(detections("head0_img0", got), detections("head0_img0", expected))
        assert pixels <= PIXELS, f"{pixels} px"
        assert len(got["head0_img0_labels"]) >= FEWEST, f"{len(got['head0_img0_labels'])} detections"
        said, worst = f"{len(got['head0_img0_labels'])} detections off by {pixels:.1e} px, {scores:.1e}", scores
    else:
        ranges = {k: float(np.abs(got[k] - v).max() / (v.max() - v.min())) for k, v in expected.items()}
        worst = max(ranges.values())
        said = f"largest difference / range {worst:.2e}"
    print(f"{name:16} {said:50} torch {torch_seconds:.2f} s (first run), swath {seconds:.2f} s with loading", flush=True)
    return worst


if __name__ == "__main__":
    main(__doc__, compare, CASES)
