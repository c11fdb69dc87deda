#!/usr/bin/env python3
"""Measures swath on an NVIDIA GPU beside the GPU's own ceilings and PyTorch, and prints tables.

Builds nothing: takes a finished swath program along. In order: what the GPU copies and multiplies at
most (PyTorch), each kernel's time and its share of those ceilings, whole networks against PyTorch
eager and torch.compile in the same run, and a whole scene. Results are written as JSON; the tables
are what docs/performance.md shows. Without a GPU it says why and ends. See README.md.
"""

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
SECTIONS = ["ceilings", "kernels", "networks", "chains", "scene"]
PRECISIONS = ["f32", "tf32", "f16", "bf16"]
DATES, CHANNELS = 8, 3


class Sizes:
    """How much work is measured."""

    def __init__(self, tiny):
        self.copy = 1 << (20 if tiny else 30)
        self.matrix = 64 if tiny else 8192
        self.blocks = 1 if tiny else 23
        self.inputs = [(1, 8)] if tiny else [(1, 128), (16, 32), (1, 256)]
        self.runs = 2 if tiny else 20
        self.chains = [8] if tiny else [32, 64, 128, 256]
        self.turns = 1 if tiny else 3
        self.scene = 66 if tiny else 10980
        self.dates = 2 if tiny else DATES


def run(command, **more):
    """The output of a program that must succeed."""
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, **more)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.returncode}")
    return done.stdout


def gpu_line(swath, device):
    """What swath says of the GPU; nothing without one."""
    index = (device.split(":") + ["0"])[1]
    line = next((l for l in run([swath, "doctor"]).splitlines() if l.startswith("cuda ")), "")
    found = [part.strip() for part in line.removeprefix("cuda").split(";")]
    mine = next((part for part in found if part.startswith(f"cuda:{index} ")), None)
    return mine, line.removeprefix("cuda").strip()


def torch_gpu():
    """PyTorch with a GPU, or nothing."""
    try:
        import torch
    except ImportError:
        return None
    return torch if torch.cuda.is_available() else None


def timed(torch, call, least=0.3, warm=3):
    """Median seconds of a call on the GPU by events."""
    for _ in range(warm):
        call()
    torch.cuda.synchronize()
    times, started = [], time.perf_counter()
    while time.perf_counter() - started < least or len(times) < 5:
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        call()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end) / 1e3)
    return statistics.median(times)


def ceilings(torch, sizes):
    """Bytes a second of copies, operations a second of matrix products."""
    gpu = {"device": "cuda"}
    one, two = (torch.empty(sizes.copy, dtype=torch.uint8, **gpu) for _ in range(2))
    pinned = torch.empty(sizes.copy, dtype=torch.uint8, pin_memory=True)
    result = {
        "gpu": torch.cuda.get_device_name(),
        "torch": torch.__version__,
        "copy_bytes_per_second": 2 * sizes.copy / timed(torch, lambda: one.copy_(two)),
        "upload_bytes_per_second": sizes.copy / timed(torch, lambda: one.copy_(pinned, non_blocking=True)),
        "download_bytes_per_second": sizes.copy / timed(torch, lambda: pinned.copy_(one, non_blocking=True)),
        "matrix_flops_per_second": {},
    }
    n = sizes.matrix
    for precision in PRECISIONS:
        torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        kind = {"f16": torch.float16, "bf16": torch.bfloat16}.get(precision, torch.float32)
        a, b = (torch.randn(n, n, dtype=kind, **gpu) for _ in range(2))
        result["matrix_flops_per_second"][precision] = 2 * n**3 / timed(torch, lambda: a @ b)
    return result


def generator(blocks):
    """The 8-date generator in PyTorch, from the comparison on the processor."""
    sys.path.insert(0, str(HERE.parent / "peers"))
    from compare import network

    return network(blocks)


def weights(folder, sizes):
    """Weights of the published generator's shape with random numbers; the built-in ones without PyTorch."""
    try:
        import torch
    except ImportError:
        return "demo"
    torch.manual_seed(0)
    net = generator(sizes.blocks).eval()
    path = folder / "generator.pth"
    torch.save({"params_ema": net.state_dict()}, path)
    return path


def setup(device, precision):
    """The words that name device and precision."""
    return ["--device", device, "--precision", precision]


def profile(swath, device, precision, model, batch, side, runs, **more):
    """swath's times of one network."""
    words = [*setup(device, precision), "--batch", batch, "--size", side, "--runs", runs]
    return json.loads(run([swath, "bench", model, *words, "--entries", "--json"], **more))


def kernel_rows(profiles, ceiling):
    """Each implementation's time and its share of what the GPU can."""
    rows = []
    for (precision, batch, side), result in profiles.items():
        for kernel in result["kernels"]:
            seconds = kernel["seconds"]
            row = {"network": f"{batch} x {side}²", "precision": precision, **kernel}
            row["flops_per_second"], row["bytes_per_second"] = kernel["flops"] / seconds, kernel["bytes"] / seconds
            if ceiling:
                name = kernel["entry"].split("_fwd_")[1].split("__")[0].removesuffix("f32") or "f32"
                most = ceiling["matrix_flops_per_second"].get(name, ceiling["matrix_flops_per_second"]["f32"])
                row["of_matrix"] = row["flops_per_second"] / most
                row["of_copy"] = row["bytes_per_second"] / ceiling["copy_bytes_per_second"]
            rows.append(row)
    return rows


def chain_rows(swath, device, precisions, model, sizes, left_out):
    """Whole runs with a launch for each convolution, and with one for all that follow each other, in turns."""
    rows = []
    for precision in (p for p in precisions if p in ("f16", "bf16")):
        for side in sizes.chains:
            runs, chained = {"0": [], "1": []}, False
            for _ in range(sizes.turns):
                for chains, seconds in runs.items():
                    env = {**os.environ, "SWATH_CUDA_CHAINS": chains}
                    found = profile(swath, device, precision, model, 1, side, sizes.runs, env=env)
                    seconds += found["runs"]
                    chained |= any("__laid_3x3" in kernel["entry"] for kernel in found["kernels"])
            if not chained:
                left_out.append(f"chains at {side}², {precision}: this GPU has none there")
                continue
            apart, together = (statistics.median(seconds) for seconds in runs.values())
            rows.append({"network": f"1 x {side}²", "precision": precision, "apart": apart, "together": together})
    return rows


def torch_variants(torch, model, blocks, batch, side):
    """Seconds of PyTorch by variant: precision, eager or compiled, channels last."""
    torch.backends.cudnn.benchmark = True
    results = {}
    for precision in PRECISIONS:
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = precision == "tf32"
        kind = {"f16": torch.float16, "bf16": torch.bfloat16}.get(precision, torch.float32)
        net = generator(blocks)
        net.load_state_dict(torch.load(model)["params_ema"])
        net = net.eval().to("cuda", kind).to(memory_format=torch.channels_last)
        x = torch.rand(batch, DATES * CHANNELS, side, side, device="cuda", dtype=kind)
        x = x.to(memory_format=torch.channels_last)
        for name, wrap in [("eager", lambda n: n), ("compile", torch.compile)]:
            try:
                with torch.inference_mode():
                    called = wrap(net)
                    results[f"{name} {precision}"] = timed(torch, lambda: called(x))
            except Exception as error:  # a variant that a version of PyTorch lacks is left out, and said
                results[f"{name} {precision}"] = None
                print(f"PyTorch {name} {precision}: {error}", file=sys.stderr)
    return results


def network_rows(torch, profiles, model, sizes):
    """Whole networks: swath at each precision beside PyTorch's variants of the generator, where it is that."""
    rows = []
    for batch, side in sizes.inputs:
        peers = torch_variants(torch, model, sizes.blocks, batch, side) if torch and model else {}
        for precision in PRECISIONS:
            result = profiles.get((precision, batch, side))
            if result is None:
                continue
            row = {"network": f"{batch} x {side}²", "precision": precision, "swath": statistics.median(result["runs"])}
            row.update({"kernels": sum(k["seconds"] for k in result["kernels"]), "bytes": sum(result["bytes"])})
            mine = {name: t for name, t in peers.items() if t and name.split()[1] == precision}
            if mine:
                row["peers"] = mine
                row["best_peer_over_swath"] = min(mine.values()) / row["swath"]
            rows.append(row)
    return rows


class GpuMemory(threading.Thread):
    """The largest memory of the GPU in use while it runs, above what was in use before."""

    def __init__(self):
        super().__init__(daemon=True)
        self.before, self.most, self.stop = self.used(), 0, threading.Event()

    @staticmethod
    def used():
        query = ["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"]
        try:
            return int(subprocess.run(query, capture_output=True, text=True).stdout.split()[0]) << 20
        except (OSError, IndexError, ValueError):
            return None

    def run(self):
        while self.before is not None and not self.stop.wait(0.2):
            self.most = max(self.most, (self.used() or 0) - self.before)


def kernels_of_pixel(result, batch, side):
    """Seconds that a profile's kernels take of each pixel that goes in."""
    return sum(k["seconds"] for k in result["kernels"]) / (batch * side**2)


def scene(swath, device, precision, model, sizes, folder, memory, of_pixel):
    """A whole scene from JPEG 2000 products to a GeoTIFF; kernels take so many seconds of a pixel, where that is known."""
    words = ["--size", sizes.scene, "--dates", sizes.dates, "-o", folder / "demo", "--progress", "none"]
    products = run([swath, "demo", "--scenes-only", *words]).splitlines()
    watch = GpuMemory()
    watch.start()
    started = time.perf_counter()
    words = ["-m", model, "-o", folder / "out.tif", "--overwrite", "--progress", "none", "--memory", memory]
    words = [swath, "upscale", *products, *words, *setup(device, precision)]
    said = run(words)
    seconds = time.perf_counter() - started
    watch.stop.set()
    watch.join()
    planned = run([*words, "--dry-run"])
    tiles, side, overlap = map(int, re.search(r"^tiles +(\d+) of (\d+)x\d+ px, (\d+)", planned, re.M).groups())
    result = {
        "pixels": sizes.scene**2,
        "dates": sizes.dates,
        "precision": precision,
        "seconds": seconds,
        "gpu_bytes": watch.most or None,
        "cores": os.cpu_count(),
        "tiles": tiles,
        "side": side,
        "overlap": overlap,
        "planned": planned.strip(),
        "said": said.strip(),
    }
    if of_pixel is not None:
        result["kernels"] = tiles * side**2 * of_pixel / seconds
    return result


def table(heads, rows):
    """A Markdown table."""
    line = lambda cells: "| " + " | ".join(str(c) for c in cells) + " |"
    return "\n".join([line(heads), line("---" for _ in heads), *(line(row) for row in rows)])


def tables(result):
    """The tables for docs/performance.md."""
    parts = [f"## {result['gpu']}"]
    share = lambda row, name: f"{100 * row[name]:.0f} %" if name in row else "–"
    if "ceilings" in result:
        ceiling = result["ceilings"]
        rows = [(f"matrix product, {p}", f"{v / 1e12:.0f} TFLOP/s") for p, v in ceiling["matrix_flops_per_second"].items()]
        rows += [(name.split("_")[0], f"{ceiling[name] / 1e9:.0f} GB/s") for name in ceiling if name.endswith("bytes_per_second")]
        parts.append(table(["ceiling", "measured"], rows))
    if result.get("kernels"):
        heads = ["kernel", "work", "calls", "ms", "TFLOP/s", "of matrix", "GB/s", "of copy"]
        rows = [
            (f"`{r['entry']}`", f"{r['network']} {r['precision']}", r["calls"], f"{1e3 * r['seconds']:.2f}",
             f"{r['flops_per_second'] / 1e12:.2f}", share(r, "of_matrix"), f"{r['bytes_per_second'] / 1e9:.0f}", share(r, "of_copy"))
            for r in result["kernels"]
        ]
        parts.append(table(heads, rows))
    if result.get("networks"):
        heads = ["network", "precision", "swath, ms", "its kernels, ms", "PyTorch's best, ms", "its time over swath's"]
        rows = []
        for r in result["networks"]:
            best = min(r["peers"].items(), key=lambda p: p[1]) if "peers" in r else None
            peer = f"{1e3 * best[1]:.2f} ({best[0]})" if best else "–"
            ratio = f"{r['best_peer_over_swath']:.2f}" if best else "–"
            rows.append((r["network"], r["precision"], f"{1e3 * r['swath']:.2f}", f"{1e3 * r['kernels']:.2f}", peer, ratio))
        parts.append(table(heads, rows))
    if result.get("chains"):
        heads = ["network", "precision", "a launch each, ms", "chains, ms", "a launch each over chains"]
        rows = [
            (r["network"], r["precision"], f"{1e3 * r['apart']:.3f}", f"{1e3 * r['together']:.3f}", f"{r['apart'] / r['together']:.3f}")
            for r in result["chains"]
        ]
        parts.append(table(heads, rows))
    if "scene" in result:
        s = result["scene"]
        gpu = f"{s['gpu_bytes'] / 2**30:.2f} GiB" if s["gpu_bytes"] else "–"
        heads = ["pixels", "dates", "precision", "cores", "tiles", "s", "kernels run", "GPU memory"]
        tiles = f"{s['tiles']} of {s['side']}², {s['overlap']} shared"
        row = (s["pixels"], s["dates"], s["precision"], s["cores"], tiles, f"{s['seconds']:.1f}", share(s, "kernels"), gpu)
        parts += [table(heads, [row]), f"```\n{s['planned']}\n\n{s['said']}\n```"]
    return "\n\n".join(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--swath", default="swath", help="the finished program")
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--sections", nargs="+", choices=SECTIONS, default=SECTIONS)
    parser.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    parser.add_argument("--model", help="weights (default: random ones of the published generator's shape)")
    parser.add_argument("--memory", default="8G", help="swath's ceiling for the scene")
    parser.add_argument("--out", default="gpu.json", help="results as JSON")
    parser.add_argument("--tiny", action="store_true", help="least work, to try the script itself")
    args = parser.parse_args()
    sizes, torch = Sizes(args.tiny), torch_gpu()

    gpu, said = gpu_line(args.swath, args.device)
    if gpu is None:
        print(f"nothing is measured: {said}")
        return
    if args.model and torch:
        print("PyTorch is not measured beside weights of your own", file=sys.stderr)
    result = {"gpu": gpu, "swath": run([args.swath, "--version"]).strip(), "left_out": []}
    if torch is None:
        result["left_out"].append("ceilings and peers: PyTorch with a GPU is not there")
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        model = args.model or weights(folder, sizes)
        if torch and "ceilings" in args.sections:
            result["ceilings"] = ceilings(torch, sizes)
        profiles = {}
        if {"kernels", "networks"} & set(args.sections):
            for precision in args.precisions:
                for batch, side in sizes.inputs:
                    found = profile(args.swath, args.device, precision, model, batch, side, sizes.runs)
                    profiles[precision, batch, side] = found
        if "kernels" in args.sections:
            result["kernels"] = kernel_rows(profiles, result.get("ceilings"))
        if "networks" in args.sections:
            result["networks"] = network_rows(torch, profiles, None if args.model else model, sizes)
        if "chains" in args.sections:
            result["chains"] = chain_rows(args.swath, args.device, args.precisions, model, sizes, result["left_out"])
        if "scene" in args.sections:
            precision = args.precisions[-1]
            largest = sizes.inputs[-1]
            known = profiles.get((precision, *largest))
            of_pixel = kernels_of_pixel(known, *largest) if known else None
            result["scene"] = scene(args.swath, args.device, precision, model, sizes, folder, args.memory, of_pixel)
    Path(args.out).write_text(json.dumps(result, indent=1))
    print(tables(result))
    for left_out in result["left_out"]:
        print(f"\nleft out: {left_out}")


if __name__ == "__main__":
    main()
