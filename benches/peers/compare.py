#!/usr/bin/env python3
"""Times networks in swath and its peers on the same work and prints ratios.

Every program runs in a process of its own, loads the same random weights and inputs, and is called in
turn, round after round; a ratio is the median over the rounds of (peer's time / swath's time in the same
round), so above 1 swath is faster. The last column is the least and the most of the processor times' ratio.
See README.md.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import venv
import warnings
from dataclasses import dataclass
from pathlib import Path

from works import WORKS, network

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
PACKAGES = ["torch==2.15.0", "torchvision==0.29.2", "numpy==2.4.6", "onnx==1.23.2", "onnxruntime==1.31.1",
            "openvino==2026.4.1", "nncf==3.4.0", "ncnn==1.0.20261020", "pnnx==20261020", "tract==0.23.9"]
# Each peer's precisions.
PEERS = {"torch": ["f32", "bf16"], "inductor": ["f32", "bf16"], "onnxruntime": ["f32"],
         "openvino": ["f32", "bf16", "int8"], "ncnn": ["f32", "bf16"], "tract": ["f32"], "candle": ["f32"]}
# Works that a peer takes, where not all: ncnn's converter has no windows that shift, and candle reads no graphs; what
# it runs is written for it (candle/).
TAKES = {"ncnn": ["esrgan", "resnet"], "candle": ["esrgan", "resnet"]}
# Peers that run on one thread whatever they are given.
ON_ONE_THREAD = ["tract"]
# Largest difference between two programs, of the output's range.
TOLERANCES = {"f32": 1e-4, "bf16": 5e-2, "int8": 5e-1}
# Inputs that levels of bytes are found on.
CALIBRATE = "calibrate.npy"


def environment():
    """The interpreter of a virtual environment beside this file, made if it is missing."""
    folder = HERE / ".venv"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *PACKAGES], check=True)
    return python


def converted(work, blocks):
    """Where a network's graph lies for ncnn, which runs it at any size; its weights, always the same, lie beside it."""
    return HERE / ".converted" / f"{work}_{blocks}.ncnn.param"


def prepare(folder, work, blocks, sizes):
    """Writes weights, an ONNX file and one input per size."""
    import numpy
    import torch

    model = network(work, blocks)
    torch.save({WORKS[work].key: model.state_dict()}, folder / "weights.pth")
    warnings.simplefilter("ignore")
    for size in sizes:
        shape = (size[0], WORKS[work].channels, *size[1:])
        values = numpy.random.default_rng(7).random(shape, dtype=numpy.float32)
        numpy.save(folder / f"{name(size)}.npy", values)
        torch.onnx.export(model, torch.from_numpy(values), folder / f"{name(size)}.onnx", dynamo=False,
                          input_names=["input"], output_names=["output"])
    if work in TAKES["ncnn"] and not converted(work, blocks).exists():
        torch.jit.trace(model, torch.from_numpy(values[:1])).save(folder / "traced.pt")


def calibrate(arguments, folder, size):
    """Our weights with levels for int8, found on inputs that the peers get too."""
    import numpy

    shape = (4, WORKS[arguments.work].channels, *size[1:])
    numpy.save(folder / CALIBRATE, numpy.random.default_rng(8).random(shape, dtype=numpy.float32))
    weights = folder / "weights.int8.safetensors"
    command = [arguments.swath.parent.parent / "swath", "weights", "quantize", "-m", folder / "weights.pth",
               "--calibrate", folder / CALIBRATE, "-o", weights, "--goal", "20", "--overwrite"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return weights


def torch_runner(job, compiled=False):
    import torch

    torch.set_num_threads(job.threads)
    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[job.precision]
    model = network(job.work, job.blocks)
    model.load_state_dict(torch.load(job.folder / "weights.pth", weights_only=True)[WORKS[job.work].key])
    model = model.to(kind)
    for part in WORKS[job.work].regions(model) if compiled else []:
        part.compile()

    def one(x):
        with torch.inference_mode():
            return model(torch.from_numpy(x).to(kind)).float().numpy()

    return one


def onnxruntime_runner(job):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = job.threads
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(job.onnx), options, providers=["CPUExecutionProvider"])
    return lambda x: session.run(["output"], {"input": x})[0]


def openvino_runner(job):
    import openvino

    core, model = openvino.Core(), job.onnx
    rest = "bf16" if job.precision == "int8" else job.precision
    settings = {"INFERENCE_NUM_THREADS": job.threads, "INFERENCE_PRECISION_HINT": rest, "PERFORMANCE_HINT": "LATENCY"}
    if job.precision == "int8":
        import nncf
        import numpy

        kind = nncf.ModelType.TRANSFORMER if job.work in ("swin", "solar_farm") else None
        inputs = [x[None] for x in numpy.load(job.folder / CALIBRATE)]
        model = nncf.quantize(core.read_model(job.onnx), nncf.Dataset(inputs), model_type=kind)
    model = core.compile_model(model, "CPU", settings)
    return lambda x: model(x)[0]


def ncnn_runner(job):
    """One image after another: its tensors have no batch."""
    import ncnn
    import numpy
    import pnnx

    graph = converted(job.work, job.blocks)
    weights = graph.with_suffix(".bin")
    if not graph.exists():
        shape = numpy.load(job.onnx.with_suffix(".npy"), mmap_mode="r").shape[1:]
        inputs = f"inputshape=[1,{','.join(map(str, shape))}]"
        subprocess.run([pnnx.EXEC_PATH, "traced.pt", inputs, "fp16=0"], cwd=job.folder, check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        graph.parent.mkdir(exist_ok=True)
        for made in (weights, graph):
            shutil.move(job.folder / f"traced.ncnn{made.suffix}", made)
    net = ncnn.Net()
    net.opt.num_threads = job.threads
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = job.precision == "bf16"
    if net.load_param(str(graph)) or net.load_model(str(weights)):
        raise RuntimeError(f"ncnn does not read {graph}")

    def image(x):
        extractor = net.create_extractor()
        extractor.input("in0", ncnn.Mat(x))
        return numpy.array(extractor.extract("out0")[1])

    return lambda x: numpy.stack([image(one) for one in x])


def tract_runner(job):
    import numpy
    import tract

    shape = numpy.load(job.onnx.with_suffix(".npy"), mmap_mode="r").shape
    model = tract.onnx().load(str(job.onnx))
    model.set_input_fact(0, f"{','.join(map(str, shape))},f32")
    run = model.into_model().into_runnable()
    return lambda x: run.run([x])[0].to_numpy()


RUNNERS = {
    "torch": torch_runner,
    "inductor": lambda job: torch_runner(job, compiled=True),
    "onnxruntime": onnxruntime_runner,
    "openvino": openvino_runner,
    "ncnn": ncnn_runner,
    "tract": tract_runner,
}


@dataclass
class Job:
    """What one peer is started for."""

    work: str
    blocks: int
    folder: Path
    onnx: Path
    threads: int
    precision: str


def serve(peer, job):
    """The process of a peer: answers the same requests as our `network` program."""
    import numpy

    # Answers alone go to our output; what a package prints goes where errors do.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    run = RUNNERS[peer](job)
    print("ready", file=answers, flush=True)
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
        print(json.dumps(answer), file=answers, flush=True)


class Program:
    """A process that answers requests line by line, on as many processors as it has threads."""

    def __init__(self, name, command, threads, greets):
        self.name = name
        said = tempfile.TemporaryFile("w+") if greets else None
        processors = sorted(os.sched_getaffinity(0))[:threads]
        self.process = subprocess.Popen(
            list(map(str, command)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said, text=True,
            env={**os.environ, "RAYON_NUM_THREADS": str(threads)},
            preexec_fn=lambda: os.sched_setaffinity(0, processors))
        if greets and self.process.stdout.readline().strip() != "ready":
            said.seek(0)
            last = said.read().strip().splitlines()[-1:]
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


def runs(peer, work, threads, precision):
    """Whether a peer computes this."""
    return precision in PEERS[peer] and work in TAKES.get(peer, WORKS) and (threads == 1 or peer not in ON_ONE_THREAD)


def candle():
    """candle's program, built if it is not, for this processor."""
    folder = HERE / "candle"
    subprocess.run(["cargo", "build", "--release", "--locked", "--quiet"], cwd=folder, check=True,
                   env={**os.environ, "RUSTFLAGS": "-C target-cpu=native"})
    return folder / "target" / "release" / "candle-peer"


def start(arguments, folder, size, threads, precision):
    """swath first, then every peer that computes in this precision. One that cannot run ends the script."""
    weights = calibrate(arguments, folder, size) if precision == "int8" else folder / "weights.pth"
    work, blocks = arguments.work, str(arguments.blocks)
    programs = [Program("swath", [arguments.swath, weights], threads, False)]
    for peer in (peer for peer in arguments.peers if runs(peer, work, threads, precision)):
        command = [sys.executable, __file__, "--serve", peer, "--folder", folder, "--threads", str(threads),
                   "--works", work, "--blocks", blocks, "--precisions", precision, "--sizes", name(size)]
        if peer == "candle":
            command = [candle(), work, blocks, weights, WORKS[work].key]
        programs.append(Program(peer, command, threads, True))
    return programs


def check(programs, request, folder, tolerance):
    """One run of each, which also warms up; outputs must agree with swath's."""
    import numpy

    ours = None
    for program in programs:
        path = folder / f"{program.name}.npy"
        program.ask({**request, "repeats": 1, "output": str(path)})
        y = numpy.load(path)
        ours = y if ours is None else ours
        difference = float(abs(y - ours).max() / (ours.max() - ours.min()))
        if not difference <= tolerance:
            raise RuntimeError(f"{program.name} differs from swath by {difference:.1e} of the range")


def compare(arguments, folder, size, threads, precision):
    """Rows of one table; gives the table's name and each peer's ratio of wall clock."""
    batch, height, width = size
    request = {"batch": batch, "height": height, "width": width, "threads": threads, "repeats": 1,
               "precision": precision, "input": str(folder / f"{name(size)}.npy")}
    programs = start(arguments, folder, size, threads, precision)
    check(programs, request, folder, TOLERANCES[precision])
    times = {program.name: [] for program in programs}
    for _ in range(arguments.rounds):
        for program in programs:
            time.sleep(arguments.pause)
            answer = program.ask(request)
            times[program.name].append((answer["wall_ms"][0], answer["cpu_ms"][0]))
    for program in programs:
        program.close()
    label = f"{arguments.work} {name(size)} {precision}, {threads} thread{'s' * (threads > 1)}"
    ahead = {}
    for peer, taken in times.items():
        wall, cpu = (statistics.median(column) for column in zip(*taken))
        ratios = [[theirs[i] / max(ours[i], 1e-9) for theirs, ours in zip(taken, times["swath"])] for i in (0, 1)]
        wall_ratio, cpu_ratio = (statistics.median(of) for of in ratios)
        ahead[peer] = wall_ratio
        print(f"{label:<36}{peer:<13}{wall:>9.0f}{cpu:>9.0f}{wall_ratio:>9.2f}{cpu_ratio:>9.2f}"
              f"  {min(ratios[1]):.2f}-{max(ratios[1]):.2f}", flush=True)
    return label, {peer: ratio for peer, ratio in ahead.items() if peer != "swath"}


def summarise(rows):
    """A line for each table: the ratio of wall clock to PyTorch eager and to the fastest peer."""
    print(f"\n{'work':<36}{'/ torch':>9}{'/ best':>9}  best peer")
    for label, ahead in rows:
        best = min(ahead, key=ahead.get)
        print(f"{label:<36}{ahead.get('torch', float('nan')):>9.2f}{ahead[best]:>9.2f}  {best}")


def size(text):
    """"16x32x32" or "128x128" as (batch, rows, columns)."""
    numbers = [int(part) for part in text.split("x")]
    return tuple(numbers if len(numbers) == 3 else [1, *numbers])


def name(size):
    """The same as a text."""
    return "x".join(map(str, size))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", help="interpreter that has the peers, instead of one made here")
    parser.add_argument("--swath", type=Path, help="our program, if it is built already")
    parser.add_argument("--works", nargs="+", default=list(WORKS), choices=WORKS)
    parser.add_argument("--sizes", type=size, nargs="+", help="instead of each work's own")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--precisions", nargs="+", default=list(TOLERANCES), choices=TOLERANCES)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--blocks", type=int, default=23, help="of the ESRGAN")
    parser.add_argument("--peers", nargs="+", default=list(PEERS), choices=PEERS)
    parser.add_argument("--pause", type=float, default=0.3, help="seconds before a turn: others' threads go idle")
    parser.add_argument("--serve", choices=RUNNERS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.serve:
        onnx = arguments.folder / f"{name(arguments.sizes[0])}.onnx"
        return serve(arguments.serve, Job(arguments.works[0], arguments.blocks, arguments.folder, onnx,
                                          arguments.threads[0], arguments.precisions[0]))
    if os.environ.get("SWATH_PEERS") != "1":
        python = arguments.python or environment()
        return sys.exit(subprocess.call([python, __file__, *sys.argv[1:]], env={**os.environ, "SWATH_PEERS": "1"}))
    if not arguments.swath:
        subprocess.run(["cargo", "build", "--release", "--bin", "swath", "--example", "network"], cwd=REPOSITORY,
                       check=True)
        arguments.swath = REPOSITORY / "target" / "release" / "examples" / "network"
    print(f"{'work':<36}{'program':<13}{'wall ms':>9}{'cpu ms':>9}{'wall /':>9}{'cpu /':>9}  least-most")
    rows = []
    for arguments.work in arguments.works:
        sizes = arguments.sizes or WORKS[arguments.work].sizes
        with tempfile.TemporaryDirectory() as folder:
            # In a process of its own: tracing a large network takes gigabytes that would not come back.
            maker = multiprocessing.get_context("spawn").Process(
                target=prepare, args=(Path(folder), arguments.work, arguments.blocks, sizes))
            maker.start()
            maker.join()
            if maker.exitcode:
                sys.exit(f"{arguments.work} could not be written for the peers")
            for precision in arguments.precisions:
                for threads in arguments.threads:
                    for one in sizes:
                        rows.append(compare(arguments, Path(folder), one, threads, precision))
    summarise([row for row in rows if row[1]])


if __name__ == "__main__":
    main()
