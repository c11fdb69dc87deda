#!/usr/bin/env python3
"""Networks of published size, `swath forward` against PyTorch on the same weights and input.

Weights are filled by formula.py. Prints the largest difference over the output's range per case and
fails above 1e-4. Needs PyTorch and NumPy: full_size.py [--swath target/release/swath] [--threads N] [CASE…]
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np
import torch

from formula import fill, uniform
from networks import KINDS

BOUND = 1e-4
# name: (kind, constructor arguments, input extents)
CASES = {
    "esrgan_8S2": ("SSR_RRDBNet", dict(num_in_ch=24), (1, 24, 32, 32)),
    "esrgan_8S2_wide": ("SSR_RRDBNet", dict(num_in_ch=24), (1, 24, 48, 72)),
    "esrgan_8S2_scale2": ("SSR_RRDBNet", dict(num_in_ch=24, scale=2), (2, 24, 32, 32)),
    "esrgan_8S2_scale16": ("SSR_RRDBNet", dict(num_in_ch=24, scale=16), (1, 24, 32, 32)),
    "esrgan_60m": ("SSR_RRDBNet", dict(num_in_ch=96), (1, 96, 32, 32)),
    "srcnn": ("SRCNN", dict(revisits=8), (2, 8, 3, 32, 32)),
    "srcnn_shrunk": ("SRCNN", dict(revisits=8, output_size=100), (1, 8, 3, 32, 40)),
    "highresnet": ("HighResNet", dict(revisits=8), (2, 8, 3, 32, 32)),
    "highresnet_6of8": ("HighResNet", dict(revisits=8), (1, 6, 3, 48, 32)),
}
UNTOLD = ("scale", "output_size", "use_reference_frame")


def run_swath(program, folder, args, threads):
    settings = [word for key in UNTOLD if key in args for word in ("--set", f"{key}={args[key]}")]
    command = [program, "forward", "-m", folder / "w.pth", "-i", folder / "x.npy", "-o", folder / "y.npz",
               "--threads", str(threads), *settings]
    started = time.monotonic()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    seconds = time.monotonic() - started
    return np.load(folder / "y.npz")["output"], seconds


def compare(name, program, threads):
    kind, args, extents = CASES[name]
    net = fill(KINDS[kind](**args), name)
    x = (uniform(len(name), int(np.prod(extents))) * 0.5 + 0.5).astype(np.float32).reshape(extents)
    with torch.no_grad():
        net(torch.from_numpy(x))
        started = time.monotonic()
        expected = net(torch.from_numpy(x)).numpy()
        torch_seconds = time.monotonic() - started
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        torch.save({"params": net.state_dict()}, folder / "w.pth")
        np.save(folder / "x.npy", x)
        got, seconds = run_swath(program, folder, args, threads)
    assert got.shape == expected.shape, (got.shape, expected.shape)
    difference = float(np.abs(got - expected).max() / (expected.max() - expected.min()))
    print(f"{name:20} output {'x'.join(map(str, got.shape)):16} largest difference / range {difference:.2e}   "
          f"torch {torch_seconds:.2f} s, swath {seconds:.2f} s with loading", flush=True)
    return difference


def main(description, compare, cases, bound=BOUND):
    """Runs the cases named on the command line, or all; exits with a message when one is over the bound."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=[])
    parser.add_argument("--swath", default="target/release/swath")
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    worst = max(compare(name, options.swath, options.threads) for name in options.cases or cases)
    if not worst <= bound:
        sys.exit(f"{worst:.3g} is over the bound of {bound:.3g}")


if __name__ == "__main__":
    main(__doc__, compare, CASES)
