#!/usr/bin/env python3
"""Writes classify.json: tensors' names and shapes, and results, of torchvision's classifiers as a network of type
`classify` uses them: one classifier over the categories of two tasks, weights and input by tests/tools/formula.py.

Needs PyTorch and torchvision: make.py (in this folder).
"""
import json
import pathlib
import sys

import torch
import torchvision
from torch import nn

sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "tools"))
from formula import fill, tensor  # noqa: E402

CLASSES = (3, 2)


class Classifier(nn.Module):
    def __init__(self, arch, channels):
        super().__init__()
        self.backbone = getattr(torchvision.models, arch)()
        if arch.startswith("resnet"):
            self.backbone.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)
            self.backbone.fc = nn.Linear(self.backbone.fc.in_features, sum(CLASSES))
        else:
            first = self.backbone.features[0][0]
            self.backbone.features[0][0] = nn.Conv2d(channels, first.out_channels, 4, 4)
            self.backbone.head = nn.Linear(self.backbone.head.in_features, sum(CLASSES))


def case(arch, channels):
    net = fill(Classifier(arch, channels), arch)
    x = tensor("x", (2, channels, 64, 96), arch)
    with torch.no_grad():
        logits = net.backbone(x)
    keys = [[key, list(value.shape)] for key, value in net.state_dict().items() if value.is_floating_point()]
    return {"keys": keys, "input": list(x.shape),
            "softmax": torch.softmax(logits[:, :3], 1).flatten().tolist(),
            "sigmoid": torch.sigmoid(logits[:, 3:]).flatten().tolist()}


if __name__ == "__main__":
    cases = {arch: case(arch, channels) for arch, channels in (("resnet18", 4), ("swin_v2_t", 3), ("swin_t", 3))}
    target = pathlib.Path(__file__).with_name("classify.json")
    target.write_text(json.dumps(cases, separators=(",", ":")) + "\n")
