#!/usr/bin/env python3
"""Peak memory of `swath forward` on four dates against one, Satlas networks of published size at 512 x 512.

Dates stream through the backbone one at a time, so that memory must not grow with their number: fails above
BOUND times the memory for one date, for the maximum and the mean over dates. Weights are filled by formula.py.
Counted is what the system calls resident, anonymous and all (with the pages of the weights file that were read).
Needs PyTorch and torchvision: peak_dates.py [--swath target/release/swath] [--threads N] [CASE...]
"""
import pathlib
import subprocess
import tempfile
import time

import numpy as np
import torch

from formula import fill, uniform
from full_size import main
from satlas_networks import Satlas

BOUND = 1.15
SIDE = 512
CASES = {f"{task}_{op}": (task, op) for task in ("bin_segment", "detect") for op in ("max", "mean")}


def status(pid):
    """Resident bytes of a process: anonymous, and all."""
    try:
        lines = dict(line.split(":", 1) for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines())
        return [int(lines[key].split()[0]) << 10 for key in ("RssAnon", "VmHWM")]
    except (OSError, KeyError):
        return [0, 0]


def peak(command):
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    peaks = [0, 0]
    while process.poll() is None:
        peaks = [max(pair) for pair in zip(peaks, status(process.pid))]
        time.sleep(0.002)
    assert process.returncode == 0, process.returncode
    return peaks


def compare(name, program, threads):
    task, op = CASES[name]
    net = fill(Satlas("swin_v2_b", 9, task), name)
    peaks = {}
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        torch.save(net.state_dict(), folder / "w.pth")
        for dates in (1, 4):
            x = uniform(dates, dates * 9 * SIDE * SIDE) * 0.5 + 0.5
            np.save(folder / "x.npy", x.astype(np.float32).reshape(1, -1, SIDE, SIDE))
            command = [program, "forward", "-m", folder / "w.pth", "-i", folder / "x.npy", "-o", folder / "y.npz",
                       "--threads", str(threads), "--set", f"aggregation={op}", "--set", f"n_s2_images={dates}"]
            peaks[dates] = peak(command + (["--set", "tasks=solar_farm"] if task == "bin_segment" else []))
    ratios = [many / one for many, one in zip(peaks[4], peaks[1])]
    mib = lambda dates: " and ".join(f"{v / 2**20:.0f}" for v in peaks[dates])
    print(f"{name:16} one date {mib(1)} MiB (anonymous, all), four {mib(4)} MiB: "
          f"{ratios[0]:.3f} and {ratios[1]:.3f} times", flush=True)
    return max(ratios)


if __name__ == "__main__":
    main(__doc__, compare, CASES, BOUND)
