"""The networks that are compared, in PyTorch: parameters named as in published checkpoints, results as swath's
last output."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

# The Satlas networks of the project's other comparisons.
sys.path.append(str(Path(__file__).resolve().parents[2] / "tests" / "tools"))


@dataclass
class Work:
    """One network: how it is made, the channels of its input, the (batch, rows, columns) it is run on, under
    which key its parameters are saved, and the parts of it that are compiled each by itself, so that what runs
    several times is compiled once."""

    make: Callable
    channels: int
    sizes: list
    key: str
    regions: Callable = lambda model: [model]


def esrgan(blocks):
    """The 8-date super-resolution generator: 64 features, growth 32."""
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

    return Generator()


def swin(_):
    """Swin v2 B as a backbone: the deepest of its four maps."""
    import torchvision
    from torch import nn

    class Backbone(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = torchvision.models.swin_v2_b(weights=None).features

        def forward(self, x):
            return self.features(x).permute(0, 3, 1, 2).contiguous()

    return Backbone()


def resnet(_):
    """ResNet-50 as a backbone: the deepest of its four maps."""
    import torchvision
    from torch import nn

    model = torchvision.models.resnet50(weights=None)
    model.avgpool = model.fc = nn.Identity()
    model._forward_impl = lambda x: model.layer4(model.layer3(model.layer2(model.layer1(
        model.maxpool(model.relu(model.bn1(model.conv1(x))))))))
    return model


def solar_farm(_):
    """The whole solar-farm network: Swin v2 B on four dates of nine channels, pyramid, enlargement, head."""
    from satlas_networks import Satlas

    class SolarFarm(Satlas):
        def forward(self, x):
            return super().forward(x)["head0"]

    return SolarFarm("swin_v2_b", 9, "bin_segment")


WORKS = {
    "esrgan": Work(esrgan, 24, [(1, 32, 32), (16, 32, 32), (1, 128, 128)], "params_ema"),
    "swin": Work(swin, 3, [(1, 512, 512), (4, 256, 256)], "model"),
    "resnet": Work(resnet, 3, [(1, 512, 512)], "model"),
    "solar_farm": Work(solar_farm, 36, [(1, 512, 512)], "model",
                       lambda model: [model.backbone.backbone, *model.intermediates, *model.heads]),
}


def network(work, blocks):
    """The network with random weights, the same each time."""
    import torch

    torch.manual_seed(1)
    return WORKS[work].make(blocks).eval()
