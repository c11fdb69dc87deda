"""Trains the demo's small weights on chips of the procedural landscape.

The chips come from the project itself:

    cargo run --release --example demo_chips -- train 600 1 64
    cargo run --release --example demo_chips -- val 32 9000000 64
    python tools/train_demo_weights.py --chips . --minutes 40 --out assets/demo/rrdb_8s2_demo.pth

The network is the generator of Satlas Super-Resolution (SSR_RRDBNet) in small: 8 dates of true colour, 24
features, 2 blocks, growth 12, scale 4. It starts as the mean of the dates, linearly interpolated, and is
trained with an L1 loss, Adam, a fixed seed, an average of the weights (`params_ema`). Every chip comes turned,
mirrored and with its dates in another order; clouds are rare, since swath picks the clear dates of a tile. Weights are stored as float16.
"""

import argparse
import math
import os
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

DATES, FEATURES, BLOCKS, GROWTH = 8, 24, 2, 12


class DenseBlock(nn.Module):
    def __init__(self):
        super().__init__()
        for i in range(5):
            c_out = GROWTH if i < 4 else FEATURES
            conv = nn.Conv2d(FEATURES + i * GROWTH, c_out, 3, 1, 1)
            nn.init.kaiming_normal_(conv.weight)
            conv.weight.data *= 0.1
            nn.init.zeros_(conv.bias)
            setattr(self, f"conv{i + 1}", conv)

    def forward(self, x):
        maps = [x]
        for i in range(4):
            maps.append(F.leaky_relu(getattr(self, f"conv{i + 1}")(torch.cat(maps, 1)), 0.2))
        return x + 0.2 * self.conv5(torch.cat(maps, 1))


class Rrdb(nn.Module):
    def __init__(self):
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = DenseBlock(), DenseBlock(), DenseBlock()

    def forward(self, x):
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))


class RrdbNet(nn.Module):
    """SSR_RRDBNet at scale 4, with the checkpoint's own names."""

    def __init__(self):
        super().__init__()
        self.conv_first = nn.Conv2d(3 * DATES, FEATURES, 3, 1, 1)
        self.body = nn.Sequential(*[Rrdb() for _ in range(BLOCKS)])
        for name in ("conv_body", "conv_up1", "conv_up2", "conv_hr"):
            setattr(self, name, nn.Conv2d(FEATURES, FEATURES, 3, 1, 1))
        self.conv_last = nn.Conv2d(FEATURES, 3, 3, 1, 1)

    def forward(self, x):
        first = self.conv_first(x)
        y = first + self.conv_body(self.body(first))
        for up in (self.conv_up1, self.conv_up2):
            y = F.leaky_relu(up(F.interpolate(y, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(y), 0.2))


@torch.no_grad()
def start_as_mean(net):
    """Features 0 to 2 carry the mean of the dates through to the output."""
    smooth = torch.tensor([1.0, 2.0, 1.0])
    smooth = torch.outer(smooth, smooth) / 16
    for band in range(3):
        net.conv_first.weight[band].zero_()
        net.conv_first.weight[band, band::3, 1, 1] = 1 / DATES
    net.conv_first.bias.zero_()
    net.conv_body.weight *= 0.1
    net.conv_body.bias.zero_()
    for conv in (net.conv_up1, net.conv_up2, net.conv_hr, net.conv_last):
        conv.bias.zero_()
        for band in range(3):
            conv.weight[band] *= 0.02
            if conv in (net.conv_up1, net.conv_up2):
                conv.weight[band, band] = smooth
            else:
                conv.weight[band, band, 1, 1] = 1.0


def load(folder, name):
    low = np.load(os.path.join(folder, f"{name}.low.npy"), mmap_mode="r")
    high = np.load(os.path.join(folder, f"{name}.high.npy"), mmap_mode="r")
    return low, high


def clear_dates(low):
    """[chip, date]: whether a date has data everywhere and hardly any pixel far brighter than the median date."""
    clear = np.ones((len(low), DATES), bool)
    for n, x in enumerate(low):
        x = x.reshape(DATES, 3, *x.shape[-2:]).astype(np.int16)
        cloud = (x - np.median(x, 0) > 30).all(1).mean((1, 2))
        missing = (x.sum(1) == 0).any((1, 2))
        clear[n] = (cloud < 0.003) & ~missing
        if not clear[n].any():
            clear[n] = True
    return clear


def choose(clear, rng):
    """The chip's dates in random order; most of the time clear ones stand in for the others, as swath's choice
    among more dates than the network takes would have it."""
    dates = rng.permutation(DATES)
    if rng.random() < 0.9:
        good = np.flatnonzero(clear)
        dates = np.where(clear[dates], dates, rng.choice(good, DATES))
    return dates


def batch(low, high, clear, rng, count, side):
    """Random windows, turned and mirrored, dates shuffled."""
    xs, ys = [], []
    for _ in range(count):
        n, top, left = rng.integers(len(low)), *rng.integers(low.shape[-1] - side + 1, size=2)
        x = low[n, :, top : top + side, left : left + side].reshape(DATES, 3, side, side)
        y = high[n, :, 4 * top : 4 * (top + side), 4 * left : 4 * (left + side)]
        x, turns = x[choose(clear[n], rng)], rng.integers(4)
        x, y = np.rot90(x, turns, (2, 3)), np.rot90(y, turns, (1, 2))
        if rng.random() < 0.5:
            x, y = x[..., ::-1], y[..., ::-1]
        xs.append(x.reshape(3 * DATES, side, side))
        ys.append(y)
    to_tensor = lambda a: torch.from_numpy(np.ascontiguousarray(a)).float() / 255
    return to_tensor(np.stack(xs)), to_tensor(np.stack(ys))


def with_clear_dates(low, clear):
    """The held-out chips as the network gets them: the first clear dates stand in for the others."""
    out = np.array(low)
    for n, good in enumerate(clear):
        x = out[n].reshape(DATES, 3, *out.shape[-2:])
        x[:] = x[np.resize(np.flatnonzero(good), DATES)] if not good.all() else x
    return out


def psnr(y, truth):
    """PSNR of one image; as 8-bit, without a rim of 8 pixels."""
    y = (y.clamp(0, 1) * 255).round()[..., 8:-8, 8:-8]
    error = (y - truth[..., 8:-8, 8:-8] * 255).pow(2).mean().item()
    return 10 * math.log10(255**2 / max(error, 1e-9))


def bicubic(x):
    return F.interpolate(x, scale_factor=4, mode="bicubic", align_corners=False)


@torch.no_grad()
def baselines(low, high):
    """PSNR of bicubic on the best date (chosen by the truth), on the clearest (the first of those without cloud
    or gap), and on the mean of the dates."""
    best, first, mean = [], [], []
    for x, y in zip(low, high):
        x = torch.from_numpy(x.copy()).float().reshape(DATES, 3, *x.shape[-2:]) / 255
        y = torch.from_numpy(y.copy()).float() / 255
        scores = [psnr(image, y) for image in bicubic(x)]
        best.append(max(scores))
        # Fewest bright or missing pixels: what one picks without knowing the truth.
        bad = ((x > 0.8).all(1) | (x.sum(1) == 0)).flatten(1).float().mean(1)
        first.append(scores[int(bad.argmin())])
        valid = (x.sum(1, keepdim=True) > 0).float()
        mean.append(psnr(bicubic((x * valid).sum(0, keepdim=True) / valid.sum(0, keepdim=True).clamp(min=1))[0], y))
    return np.array(best), np.array(first), np.array(mean)


@torch.no_grad()
def judge(net, low, high, order=None):
    scores = []
    for x, y in zip(low, high):
        x = torch.from_numpy(x.copy()).float() / 255
        if order is not None:
            x = x.reshape(DATES, 3, *x.shape[-2:])[order].reshape(x.shape)
        scores.append(psnr(net(x[None])[0], torch.from_numpy(y.copy()).float() / 255))
    return np.array(scores)


def save(path, state):
    torch.save({"params_ema": {name: tensor.half() for name, tensor in state.items()}}, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chips", default=".")
    parser.add_argument("--out", default="rrdb_8s2_demo.pth")
    parser.add_argument("--minutes", type=float, default=40)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--side", type=int, default=24)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--resume")
    options = parser.parse_args()
    torch.manual_seed(7)
    torch.set_num_threads(options.threads)
    rng = np.random.default_rng(7)
    train, held_out = load(options.chips, "train"), load(options.chips, "val")
    clear = clear_dates(train[0])
    held_out = with_clear_dates(held_out[0], clear_dates(held_out[0])), held_out[1]
    best, first, mean = baselines(*held_out)
    print(f"dates of the training chips that are clear: {clear.mean():.0%}")
    print(f"held out, bicubic: best date {best.mean():.3f} dB, clearest {first.mean():.3f}, mean {mean.mean():.3f}", flush=True)

    net = RrdbNet()
    start_as_mean(net)
    if options.resume:
        net.load_state_dict({k: v.float() for k, v in torch.load(options.resume)["params_ema"].items()})
    net = net.to(memory_format=torch.channels_last)
    average = RrdbNet()
    average.load_state_dict(net.state_dict())
    optimiser = torch.optim.Adam(net.parameters(), lr=options.rate, betas=(0.9, 0.99))
    score = judge(average, *held_out).mean()
    print(f"start {score:.3f} dB", flush=True)
    top, begun, step, spoken = score, time.time(), 0, time.time()
    while (done := (time.time() - begun) / (60 * options.minutes)) < 1:
        step += 1
        rate = options.rate * min(1, step / 50) * max(0.02, 0.5 * (1 + math.cos(math.pi * done)))
        for group in optimiser.param_groups:
            group["lr"] = rate
        x, y = batch(*train, clear, rng, options.batch, options.side)
        out = net(x.to(memory_format=torch.channels_last))
        loss = F.l1_loss(out, y)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 0.2)
        optimiser.step()
        keep = min(0.995, 1 - 1 / (1 + 0.2 * step))
        with torch.no_grad():
            for a, p in zip(average.parameters(), net.parameters()):
                a.lerp_(p, 1 - keep)
        if time.time() - spoken > 240 or (done + 2 / 60 / options.minutes) > 1:
            spoken = time.time()
            score = judge(average, *held_out).mean()
            print(f"{done:6.1%} step {step} loss {loss.item():.5f} rate {rate:.1e} held out {score:.3f} dB", flush=True)
            if score > top:
                top = score
                save(options.out, average.state_dict())
    score = judge(average, *held_out).mean()
    if score > top:
        save(options.out, average.state_dict())
    net.load_state_dict({k: v.float() for k, v in torch.load(options.out)["params_ema"].items()})
    ours, backwards = judge(net, *held_out), judge(net, *held_out, order=torch.arange(DATES - 1, -1, -1))
    print(f"stored {ours.mean():.3f} dB ({ours.mean() - best.mean():+.3f} over bicubic of the best date, ", end="")
    print(f"{ours.mean() - first.mean():+.3f} of the clearest, {ours.mean() - mean.mean():+.3f} of the mean); dates reversed {backwards.mean():.3f} dB")
    print(f"chips better than all three: {(ours > np.maximum(best, mean)).mean():.0%} of {len(ours)}")


if __name__ == "__main__":
    main()
