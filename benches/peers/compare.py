#!/usr/bin/env python3
"""Times the super-resolution ESRGAN in swath and its peers on the same work and prints ratios.

The network is the 8-date generator (24 channels in, 64 features, 23 blocks, growth 32) in f32 with
random weights. Every program runs in a process of its own, loads the same weights and inputs, and is
called in turn, round after round; a ratio is the median over the rounds of (peer's time / swath's
time in the same round), so above 1 swath is faster. See README.md.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
import warnings
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
PACKAGES = ["torch", "numpy", "onnx", "onnxruntime", "openvino"]
PEERS = ["torch", "onnxruntime", "openvino"]
TOLERANCE = 1e-4


def environment():
    """The interpreter of a virtual environment beside this file, made if it is missing."""
    folder = HERE / ".venv"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


def network(blocks):
    """The generator in PyTorch, its parameters named as in published checkpoints."""
    import torch
    from torch import nn
    from torch.nn import functional as F

    def conv(c_in, c_out):
        return nn.Conv2d(c_in, c_out, 3, 1, 1)

    class DenseBlock(nn.Module):
        def __init__(self, features=64, growth=32):
            super().__init__()
            for i in range(1, 5):
                setattr(self, f"conv{i}", conv(features + (i - 1) * growth, growth))
            self.conv5 = conv(features + 4 * growth, features)
            self.lrelu = nn.LeakyReLU(0.2, inplace=True)

        def forward(self, x):
            parts = [x]
            for layer in (self.conv1, self.conv2, self.conv3, self.conv4):
                parts.append(self.lrelu(layer(torch.cat(parts, 1))))
            return self.conv5(torch.cat(parts, 1)) * 0.2 + x

    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.rdb1, self.rdb2, self.rdb3 = DenseBlock(), DenseBlock(), DenseBlock()

        def forward(self, x):
            return self.rdb3(self.rdb2(self.rdb1(x))) * 0.2 + x

    class Generator(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv_first = conv(24, 64)
            self.body = nn.Sequential(*[Residual() for _ in range(blocks)])
            self.conv_body, self.conv_up1, self.conv_up2 = conv(64, 64), conv(64, 64), conv(64, 64)
            self.conv_hr, self.conv_last = conv(64, 64), conv(64, 3)
            self.lrelu = nn.LeakyReLU(0.2, inplace=True)

        def forward(self, x):
            x = self.conv_first(x)
            x = x + self.conv_body(self.body(x))
            x = self.lrelu(self.conv_up1(F.interpolate(x, scale_factor=2, mode="nearest")))
            x = self.lrelu(self.conv_up2(F.interpolate(x, scale_factor=2, mode="nearest")))
            return self.conv_last(self.lrelu(self.conv_hr(x)))

    torch.manual_seed(1)
    return Generator().eval()


def prepare(folder, blocks, sizes):
    """Writes weights, the ONNX file and one input per size."""
    import numpy
    import torch

    model = network(blocks)
    torch.save({"params_ema": model.state_dict()}, folder / "weights.pth")
    for batch, height, width in sizes:
        values = numpy.random.default_rng(7).random((batch, 24, height, width), dtype=numpy.float32)
        numpy.save(folder / f"{batch}x{height}x{width}.npy", values)
    axes = {"input": {0: "n", 2: "h", 3: "w"}, "output": {0: "n", 2: "h", 3: "w"}}
    warnings.simplefilter("ignore")
    torch.onnx.export(model, torch.zeros(1, 24, 32, 32), folder / "network.onnx", dynamo=False,
                      input_names=["input"], output_names=["output"], dynamic_axes=axes)


def torch_runner(folder, threads, blocks):
    import torch

    model = network(blocks)
    model.load_state_dict(torch.load(folder / "weights.pth", weights_only=True)["params_ema"])
    torch.set_num_threads(threads)

    def run(x):
        with torch.inference_mode():
            return model(torch.from_numpy(x)).numpy()

    return run


def onnxruntime_runner(folder, threads, _):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(folder / "network.onnx"), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(["output"], {"input": x})[0]


def openvino_runner(folder, threads, _):
    import openvino

    core = openvino.Core()
    settings = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32",
                "PERFORMANCE_HINT": "LATENCY"}
    compiled = {}

    def run(x):
        if x.shape not in compiled:
            model = core.read_model(folder / "network.onnx")
            model.reshape(list(x.shape))
            compiled[x.shape] = core.compile_model(model, "CPU", settings)
        return compiled[x.shape](x)[0]

    return run


RUNNERS = {"torch": torch_runner, "onnxruntime": onnxruntime_runner, "openvino": openvino_runner}


def work(peer, folder, threads, blocks):
    """The process of a peer: answers the same requests as our `network` program."""
    import numpy

    run = RUNNERS[peer](folder, threads, blocks)
    print("ready", flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        x = numpy.load(request["input"])
        answer = {"wall_ms": [], "cpu_ms": []}
        for _ in range(request["repeats"]):
            wall, cpu = time.perf_counter(), time.process_time()
            y = run(x)
            answer["wall_ms"].append(1e3 * (time.perf_counter() - wall))
            answer["cpu_ms"].append(1e3 * (time.process_time() - cpu))
        if request.get("output"):
            numpy.save(request["output"], y)
        print(json.dumps(answer), flush=True)


class Program:
    """A process that answers requests line by line."""

    def __init__(self, name, command, greets):
        self.name = name
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE if greets else None,
            text=True)
        if greets and self.process.stdout.readline().strip() != "ready":
            last = self.process.stderr.read().strip().splitlines()[-1:]
            raise RuntimeError(f"{name} cannot run: {' '.join(last)}")

    def ask(self, request):
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            raise RuntimeError(f"{self.name} ended")
        return json.loads(answer)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def start(arguments, folder, threads):
    """swath first, then every peer that can be had."""
    programs = [Program("swath", [str(arguments.swath), str(folder / "weights.pth")], False)]
    for peer in arguments.peers:
        command = [sys.executable, __file__, "--work", peer, "--folder", str(folder), "--threads", str(threads),
                   "--blocks", str(arguments.blocks)]
        try:
            programs.append(Program(peer, command, True))
        except RuntimeError as error:
            print(error, file=sys.stderr)
    return programs


def check(programs, request, folder):
    """One run of each, which also warms up; outputs must agree with swath's."""
    import numpy

    ours = None
    for program in programs:
        path = folder / f"{program.name}.npy"
        program.ask({**request, "repeats": 1, "output": str(path)})
        y = numpy.load(path)
        ours = y if ours is None else ours
        difference = float(abs(y - ours).max() / (ours.max() - ours.min()))
        if difference > TOLERANCE:
            raise RuntimeError(f"{program.name} differs from swath by {difference:.1e} of the range")


def compare(arguments, folder, size, threads):
    """Rows of one table."""
    batch, height, width = size
    request = {"batch": batch, "height": height, "width": width, "threads": threads, "repeats": 1,
               "input": str(folder / f"{batch}x{height}x{width}.npy")}
    programs = start(arguments, folder, threads)
    check(programs, request, folder)
    times = {program.name: [] for program in programs}
    for _ in range(arguments.rounds):
        for program in programs:
            time.sleep(arguments.pause)
            answer = program.ask(request)
            times[program.name].append((answer["wall_ms"][0], answer["cpu_ms"][0]))
    for program in programs:
        program.close()
    label = f"{batch}x{height}x{width}, {threads} thread{'s' * (threads > 1)}"
    for name, taken in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*taken))
        ratios = [
            statistics.median(theirs[i] / max(ours[i], 1e-9) for theirs, ours in zip(taken, times["swath"]))
            for i in (0, 1)]
        print(f"{label:<22}{name:<13}{wall:>10.0f}{cpu:>10.0f}{ratios[0]:>10.2f}{ratios[1]:>10.2f}", flush=True)


def size(text):
    """"16x32x32" or "128x128" as (batch, rows, columns)."""
    numbers = [int(part) for part in text.split("x")]
    return tuple(numbers if len(numbers) == 3 else [1, *numbers])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", help="interpreter that has the peers, instead of one made here")
    parser.add_argument("--swath", type=Path, help="our program, if it is built already")
    parser.add_argument("--sizes", type=size, nargs="+", default=[(1, 32, 32), (16, 32, 32), (1, 128, 128)])
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--blocks", type=int, default=23)
    parser.add_argument("--peers", nargs="+", default=PEERS, choices=PEERS)
    parser.add_argument("--pause", type=float, default=0.3, help="seconds before a turn: others' threads go idle")
    parser.add_argument("--work", choices=PEERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        return work(arguments.work, arguments.folder, arguments.threads[0], arguments.blocks)
    if os.environ.get("SWATH_PEERS") != "1":
        python = arguments.python or environment()
        return sys.exit(subprocess.call([python, __file__, *sys.argv[1:]], env={**os.environ, "SWATH_PEERS": "1"}))
    if not arguments.swath:
        subprocess.run(["cargo", "build", "--release", "--example", "network"], cwd=REPOSITORY, check=True)
        arguments.swath = REPOSITORY / "target" / "release" / "examples" / "network"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder, arguments.blocks, arguments.sizes)
        print(f"{'work':<22}{'program':<13}{'wall ms':>10}{'cpu ms':>10}{'wall /':>10}{'cpu /':>10}")
        for threads in arguments.threads:
            for one in arguments.sizes:
                compare(arguments, folder, one, threads)


if __name__ == "__main__":
    main()
