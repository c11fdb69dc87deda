#!/usr/bin/env python3
"""PyTorch's side of tests/convert.rs: convert_back.py CASE BACK …, pairs of a folder as tests/data/models/make.py
makes it and a .pth that its weights.pth became on the way there and back.

Loads both files safely into the network that meta.json names, runs it, and fails unless outputs are the same bits.
"""
import json
import pathlib
import sys

import numpy as np
import torch

from networks import KINDS


def output(weights, meta, x):
    (key, state), = torch.load(weights, weights_only=True).items()
    net = KINDS[meta["kind"]](**meta["args"])
    net.load_state_dict(state, strict=True)
    with torch.no_grad():
        return key, net(x)


def main(words):
    torch.set_num_threads(1)
    for case, back in zip(words[::2], words[1::2], strict=True):
        case = pathlib.Path(case)
        meta = json.loads((case / "meta.json").read_text())
        x = torch.from_numpy(np.load(case / "input.npy"))
        (key, before), (new_key, after) = output(case / "weights.pth", meta, x), output(back, meta, x)
        assert key == new_key, f"{case.name}: {key} became {new_key}"
        assert before.isfinite().all() and before.std() > 0, f"{case.name}: nothing to compare"
        assert torch.equal(before, after), f"{case.name}: outputs differ by {(before - after).abs().max()}"
        print(f"{case.name}: {tuple(after.shape)} equal")


if __name__ == "__main__":
    main(sys.argv[1:])
