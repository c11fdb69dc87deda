"""The three super-resolution networks in PyTorch, with the published checkpoints' names.

The independent side of the comparisons: written from the networks' description, for tests only.
"""
import torch
from torch import nn
from torch.nn import functional as F


class DenseBlock(nn.Module):
    """x + 0.2 · conv5 of all that came before, each step concatenated."""

    def __init__(self, features, growth):
        super().__init__()
        for k in range(1, 6):
            out = growth if k < 5 else features
            setattr(self, f"conv{k}", nn.Conv2d(features + (k - 1) * growth, out, 3, padding=1))

    def forward(self, x):
        seen = x
        for k in range(1, 5):
            grown = F.leaky_relu(getattr(self, f"conv{k}")(seen), 0.2)
            seen = torch.cat([seen, grown], dim=1)
        return x + 0.2 * self.conv5(seen)


class ResidualInResidual(nn.Module):
    def __init__(self, features, growth):
        super().__init__()
        for k in range(1, 4):
            setattr(self, f"rdb{k}", DenseBlock(features, growth))

    def forward(self, x):
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))


class RRDBNet(nn.Module):
    """Frames stacked on channels, N,T·C,H,W, to N,out,scale·H,scale·W."""

    def __init__(self, num_in_ch, num_out_ch=3, scale=4, num_feat=64, num_block=23, num_grow_ch=32):
        super().__init__()
        self.scale = scale
        self.unshuffle = {1: 4, 2: 2}.get(scale, 1)
        self.extra = [f"conv_up{k}" for k in range(3, {8: 4, 16: 5}.get(scale, 3))]
        self.conv_first = nn.Conv2d(num_in_ch * self.unshuffle**2, num_feat, 3, padding=1)
        self.body = nn.Sequential(*(ResidualInResidual(num_feat, num_grow_ch) for _ in range(num_block)))
        for name in ["conv_body", "conv_up1", "conv_up2", *self.extra, "conv_hr"]:
            setattr(self, name, nn.Conv2d(num_feat, num_feat, 3, padding=1))
        self.conv_last = nn.Conv2d(num_feat, num_out_ch, 3, padding=1)

    def forward(self, x):
        if self.unshuffle > 1:
            x = F.pixel_unshuffle(x, self.unshuffle)
        x = self.conv_first(x)
        x = x + self.conv_body(self.body(x))
        for name in ["conv_up1", "conv_up2", *self.extra]:
            x = F.leaky_relu(getattr(self, name)(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))


def conv(c_in, c_out, kernel):
    return nn.Conv2d(c_in, c_out, kernel, padding=kernel // 2, padding_mode="reflect")


class DoubleConv(nn.Module):
    """Two convolutions, each followed by a PReLU; positions 1, 3, 5, 7 hold nothing at inference."""

    def __init__(self, c_in, c_out, kernel):
        super().__init__()
        nothing = nn.Identity
        self.doubleconv2d = nn.Sequential(
            conv(c_in, c_out, kernel), nothing(), nn.PReLU(), nothing(),
            conv(c_out, c_out, kernel), nothing(), nn.PReLU(), nothing(),
        )

    def forward(self, x):
        return self.doubleconv2d(x)


class Residual(nn.Module):
    def __init__(self, channels, kernel):
        super().__init__()
        self.residualblock = DoubleConv(channels, channels, kernel)

    def forward(self, x):
        return x + self.residualblock(x)


class Fuse(nn.Module):
    """Two maps, concatenated, to one."""

    def __init__(self, hidden, kernel):
        super().__init__()
        self.fuse = nn.Sequential(Residual(2 * hidden, kernel), conv(2 * hidden, hidden, kernel), nn.Identity(), nn.PReLU())

    def forward(self, x):
        return self.fuse(x)


class Fusion(nn.Module):
    """Halves the frames again and again, by one block that is saved once a round."""

    def __init__(self, hidden, kernel, rounds):
        super().__init__()
        block = Fuse(hidden, kernel) if rounds else None
        self.fusion = nn.ModuleList([block] * rounds)

    def forward(self, x):
        n, t, c, h, w = x.shape
        full = 2 ** len(self.fusion)
        x = torch.cat([x, x.new_zeros(n, full - t, c, h, w)], dim=1)
        for block in self.fusion:
            half = x.shape[1] // 2
            pairs = torch.cat([x[:, :half], x[:, half:]], dim=2)
            x = block(pairs.flatten(0, 1)).unflatten(0, (n, half))
        return x[:, 0]


class Head(nn.Module):
    def __init__(self, hidden, out_channels, zoom, kernel):
        super().__init__()
        inner = hidden // zoom**2
        self.upsample = nn.Sequential(
            nn.PixelShuffle(zoom), conv(inner, inner, kernel), nn.Identity(), nn.PReLU(),
            conv(inner, out_channels, kernel), nn.Identity(), nn.PReLU(),
        )

    def forward(self, x):
        return self.upsample(x)


class Frames(nn.Module):
    """What SRCNN and HighResNet share; input N,T,C,H,W, output N,1,out,H',W'."""

    def __init__(self, in_channels=3, revisits=8, hidden_channels=128, out_channels=3, kernel_size=3,
                 residual_layers=1, output_size=128, zoom_factor=4, sr_kernel_size=1,
                 use_reference_frame=False, mask_channels=0):
        super().__init__()
        self.reference = use_reference_frame
        self.output_size = output_size
        h, k = hidden_channels, kernel_size
        self.encoder = DoubleConv(in_channels * (2 if use_reference_frame else 1), h, k)
        self.mask_encoder = nn.ModuleList([nn.Identity(), DoubleConv(0, 1, k)])
        self.doubleconv2d = DoubleConv(revisits * h, h, k)
        self.residualblocks = nn.Sequential(*(Residual(h, k) for _ in range(residual_layers)))
        self.add_fusion(revisits, h, k)
        self.sr = Head(h, out_channels, zoom_factor, sr_kernel_size)

    def encode(self, x):
        n, t, c, h, w = x.shape
        if self.reference:
            middle = x.sort(dim=1).values[:, (t - 1) // 2 : (t - 1) // 2 + 1]
            x = torch.cat([x, middle.expand(n, t, c, h, w)], dim=2)
        return self.encoder(x.flatten(0, 1)).unflatten(0, (n, t))


class SRCNN(Frames):
    def add_fusion(self, revisits, hidden, kernel):
        self.fusion = nn.Sequential(self.doubleconv2d, self.residualblocks)

    def forward(self, x):
        y = self.sr(self.fusion(self.encode(x).flatten(1, 2)))
        return kornia_resize(y, self.output_size)[:, None]


class HighResNet(Frames):
    def add_fusion(self, revisits, hidden, kernel):
        self.fusion = Fusion(hidden, kernel, (revisits - 1).bit_length())

    def forward(self, x):
        return self.sr(self.fusion(self.encode(x)))[:, None]


def kornia_resize(x, side):
    """The shorter side becomes `side`; shrinking blurs first, as kornia 0.6 does with antialias."""
    h, w = x.shape[-2:]
    aspect = w / h
    size = (int(side / aspect), side) if aspect < 1 else (side, int(side * aspect))
    if size == (h, w):
        return x
    factors = (h / size[0], w / size[1])
    if max(factors) > 1:
        for axis, q in ((2, factors[0]), (3, factors[1])):
            x = blur(x, axis, q)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def blur(x, axis, q):
    sigma = max((q - 1) / 2, 0.001)
    taps = int(max(4 * sigma, 3))
    taps += 1 - taps % 2
    at = torch.arange(taps, dtype=x.dtype) - taps // 2
    weights = torch.exp(-(at**2) / (2 * sigma**2))
    weights = weights / weights.sum()
    r = taps // 2
    pad = (0, 0, r, r) if axis == 2 else (r, r, 0, 0)
    shape = (1, 1, taps, 1) if axis == 2 else (1, 1, 1, taps)
    channels = x.shape[1]
    kernel = weights.reshape(shape).expand(channels, 1, *shape[2:])
    return F.conv2d(F.pad(x, pad, mode="reflect"), kernel, groups=channels)


KINDS = {"SSR_RRDBNet": RRDBNet, "SRCNN": SRCNN, "HighResNet": HighResNet}
