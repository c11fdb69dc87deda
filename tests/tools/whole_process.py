#!/usr/bin/env python3
"""The whole process of one small inference: start, load, one 32 x 32 input of eight dates through the 23-block
ESRGAN, write. `swath forward` from the `.pth` and from the converted file against a Python process that imports
PyTorch and NumPy, builds the network and does the same; interleaved, each in a process of its own.

Prints the medians of wall and processor seconds and peak resident memory, and Python's over swath's; for swath
also what is left of the wall time when the network's own (`swath bench`) is taken away, and the time of
`swath --version`. Weights are filled by formula.py.
Needs PyTorch and NumPy: whole_process.py [--swath target/release/swath] [--threads N] [--rounds N]
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

HERE = pathlib.Path(__file__).resolve().parent
# What the other process runs; arguments: weights, input, output, threads.
REFERENCE = """
import sys
sys.path.insert(0, {here!r})
import numpy as np
import torch
from networks import KINDS
weights, x, y, threads = sys.argv[1:]
torch.set_num_threads(int(threads))
net = KINDS["SSR_RRDBNet"](num_in_ch=24)
net.load_state_dict(torch.load(weights, weights_only=True)["params"])
with torch.no_grad():
    np.save(y, net.eval()(torch.from_numpy(np.load(x))).numpy())
"""
MAKE = """
import sys
sys.path.insert(0, {here!r})
import torch
from formula import fill
from networks import KINDS
torch.save({{"params": fill(KINDS["SSR_RRDBNet"](num_in_ch=24), "whole_process").state_dict()}}, sys.argv[1])
"""


def spent(command):
    """Wall seconds, processor seconds and peak resident bytes of a process."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, (command, status)
    return time.perf_counter() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss << 10


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--swath", default="target/release/swath")
    arguments.add_argument("--threads", type=int, default=1)
    arguments.add_argument("--rounds", type=int, default=7)
    options = arguments.parse_args()
    swath, threads = options.swath, str(options.threads)
    with tempfile.TemporaryDirectory() as folder:
        pth, file, x, y, z = (os.path.join(folder, name) for name in "w.pth w.safetensors x.npy y.npz z.npy".split())
        subprocess.run([sys.executable, "-c", MAKE.format(here=str(HERE)), pth], check=True)
        subprocess.run([swath, "weights", "convert", pth, file], check=True, stdout=subprocess.DEVNULL)
        np.save(x, np.random.default_rng(0).random((1, 24, 32, 32), dtype=np.float32))
        ours = lambda weights: [swath, "forward", "-m", weights, "-i", x, "-o", y, "--threads", threads]
        works = {
            "swath, .pth": ours(pth),
            "swath, .safetensors": ours(file),
            "Python, PyTorch": [sys.executable, "-c", REFERENCE.format(here=str(HERE)), pth, x, z, threads],
        }
        seen = {name: [] for name in works}
        for _ in range(options.rounds):
            for name, command in works.items():
                seen[name].append(spent(command))
        apart = np.abs(np.load(y)["output"] - np.load(z)).max() / np.ptp(np.load(z))
        assert apart < 1e-4, apart
        bench = [swath, "bench", file, "--size", "32", "--threads", threads, "--json"]
        network = json.loads(subprocess.run(bench, check=True, capture_output=True, text=True).stdout)
        version = statistics.median(spent([swath, "--version"])[0] for _ in range(50))
    median = {name: [statistics.median(column) for column in zip(*rows)] for name, rows in seen.items()}
    python = median["Python, PyTorch"]
    print(f"{options.threads} threads, {options.rounds} rounds; results differ by {apart:.1e} of the range")
    for name, (wall, cpu, memory) in median.items():
        ratios = [theirs / own for theirs, own in zip(python, (wall, cpu, memory))]
        print(f"{name:20} {wall:7.3f} s ({ratios[0]:5.1f})  {cpu:7.3f} CPU s ({ratios[1]:5.1f})"
              f"  {memory / 2**20:6.0f} MiB ({ratios[2]:5.1f})")
    alone = statistics.median(network["runs"])
    rest = median["swath, .safetensors"][0] - alone
    print(f"the network alone {alone:.3f} s; start, load and write {rest:.3f} s; --version {version * 1e3:.1f} ms")


main()
