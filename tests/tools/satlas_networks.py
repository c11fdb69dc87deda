"""Satlas networks put together from torchvision's parts, with the published checkpoints' names.

The independent side of the comparisons: written from the networks' description, for tests only.
"""
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import AnchorGenerator, RegionProposalNetwork, RPNHead
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.ops import FeaturePyramidNetwork, MultiScaleRoIAlign


def swin_l():
    return SwinTransformer([4, 4], 192, [2, 2, 18, 2], [6, 12, 24, 48], [7, 7], stochastic_depth_prob=0.0)


class Swin(nn.Module):
    """The four stages' outputs as images."""

    def __init__(self, arch, channels):
        super().__init__()
        self.backbone = swin_l() if arch == "swin_l" else getattr(torchvision.models, arch)()
        first = self.backbone.features[0][0]
        self.backbone.features[0][0] = nn.Conv2d(channels, first.out_channels, 4, 4)

    def forward(self, x):
        maps = []
        for k, layer in enumerate(self.backbone.features):
            x = layer(x)
            if k % 2 == 1:
                maps.append(x.permute(0, 3, 1, 2))
        return maps


class ResNet(nn.Module):
    """The four layers' outputs."""

    def __init__(self, arch, channels):
        super().__init__()
        self.resnet = getattr(torchvision.models, arch)()
        self.resnet.conv1 = nn.Conv2d(channels, 64, 7, 2, 3, bias=False)

    def forward(self, x):
        net = self.resnet
        x = net.maxpool(net.relu(net.bn1(net.conv1(x))))
        maps = []
        for layer in (net.layer1, net.layer2, net.layer3, net.layer4):
            x = layer(x)
            maps.append(x)
        return maps


def backbone(arch, channels):
    return ResNet(arch, channels) if arch.startswith("resnet") else Swin(arch, channels)


class Aggregation(nn.Module):
    """The largest or the mean of the maps of images stacked on the channels."""

    def __init__(self, inner, channels, mean=False):
        super().__init__()
        self.backbone, self.channels, self.mean = inner, channels, mean

    def forward(self, x):
        dates = [self.backbone(image) for image in x.split(self.channels, 1)]
        stacked = [torch.stack(maps) for maps in zip(*dates)]
        return [s.mean(0) if self.mean else s.amax(0) for s in stacked]


class Fpn(nn.Module):
    def __init__(self, widths):
        super().__init__()
        self.fpn = FeaturePyramidNetwork(widths, 128)

    def forward(self, maps):
        return list(self.fpn({str(k): m for k, m in enumerate(maps)}).values())


class Upsample(nn.Module):
    def __init__(self):
        super().__init__()
        block = lambda: nn.Sequential(
            nn.Conv2d(128, 128, 3, padding=1), nn.ReLU(), nn.ConvTranspose2d(128, 128, 4, 2, 1), nn.ReLU())
        self.layers = nn.Sequential(block(), block())

    def forward(self, maps):
        return [self.layers(maps[0]), *maps]


class Dense(nn.Module):
    """A dense head: `bin_segment` by sigmoid or `regress` times 255."""

    def __init__(self, task, outputs=1):
        super().__init__()
        self.task = task
        self.layers = nn.Sequential(
            nn.Sequential(nn.Conv2d(128, 128, 3, padding=1), nn.ReLU()), nn.Conv2d(128, outputs, 3, padding=1))

    def forward(self, x, maps):
        y = self.layers(maps[0])
        return {"head0": torch.sigmoid(y) if self.task == "bin_segment" else 255 * y[:, 0]}


class Detector(nn.Module):
    def __init__(self, classes):
        super().__init__()
        anchors = AnchorGenerator(((32,), (64,), (128,), (256,)), ((0.5, 1.0, 2.0),) * 4)
        top = dict(training=2000, testing=2000)
        self.rpn = RegionProposalNetwork(anchors, RPNHead(128, 3), 0.7, 0.3, 256, 0.5, top, top, 0.7)
        pool = MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
        self.roi_heads = RoIHeads(pool, TwoMLPHead(128 * 49, 1024), FastRCNNPredictor(1024, classes),
                                  0.5, 0.5, 512, 0.25, None, 0.05, 0.5, 100)

    def forward(self, x, maps):
        features = {str(k): m for k, m in enumerate(maps[1:5])}
        size = tuple(-(-extent // 32) * 32 for extent in x.shape[2:])
        images = ImageList(F.pad(x, (0, size[1] - x.shape[3], 0, size[0] - x.shape[2])), [size] * len(x))
        proposals, _ = self.rpn(images, features)
        found, _ = self.roi_heads(features, proposals, images.image_sizes)
        return {f"head0_img{i}_{what}": item[what] for i, item in enumerate(found) for what in item}


class Satlas(nn.Module):
    """Backbone over dates, pyramid, enlargement, one head."""

    def __init__(self, arch, channels, task, classes=2, mean=False):
        super().__init__()
        inner = backbone(arch, channels)
        widths = [2048, 1024, 512, 256][::-1] if arch.startswith("resnet") else None
        if widths is None:
            first = inner.backbone.features[0][0].out_channels
            widths = [first * 2**k for k in range(4)]
        self.backbone = Aggregation(inner, channels, mean)
        self.intermediates = nn.ModuleList([Fpn(widths), Upsample()])
        self.heads = nn.ModuleList([Detector(classes) if task == "detect" else Dense(task)])

    def forward(self, x):
        maps = self.backbone(x)
        for part in self.intermediates:
            maps = part(maps)
        return self.heads[0](x, maps)


class Features(nn.Module):
    """A bare backbone's maps by name."""

    def __init__(self, arch, channels):
        super().__init__()
        self.backbone = backbone(arch, channels)

    def forward(self, x):
        return {f"feat{k}": m for k, m in enumerate(self.backbone(x))}
