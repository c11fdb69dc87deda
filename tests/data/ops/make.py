"""Makes cases.json: operators evaluated by PyTorch in float64, for tests/ops.

Usage: python make.py > cases.json   (needs torch and torchvision; kornia's resize is written out below)
"""

import json
import math
import sys

import torch
import torchvision
import torch.nn.functional as F

torch.manual_seed(7)
CASES = {}


def rand(*shape):
    """Values with few digits, so that the file is small and float32 holds them exactly."""
    return torch.randint(-64, 65, shape).double() / 32


def case(name, y, x=(), params=None):
    def dump(t):
        data = {"shape": list(t.shape), "data": [float(f"{v:.9g}") for v in t.flatten().tolist()]}
        # Samples of files; all else is f32.
        return data | ({"samples": True} if t.dtype == torch.uint8 else {})

    CASES[name] = {
        "x": [dump(t) for t in x],
        "params": {k: dump(t) for k, t in (params or {}).items()},
        "y": dump(y),
    }


def gaussian(sigma, taps):
    at = torch.arange(taps).double() - taps // 2
    w = torch.exp(-at * at / (2 * sigma * sigma))
    return w / w.sum()


def kornia_resize(x, size):
    q = [x.shape[2] / size[0], x.shape[3] / size[1]]
    if max(q) > 1:
        sigma = [max((v - 1) / 2, 0.001) for v in q]
        taps = [int(max(4 * s, 3)) for s in sigma]
        taps = [t + 1 if t % 2 == 0 else t for t in taps]
        kernel = torch.outer(gaussian(sigma[0], taps[0]), gaussian(sigma[1], taps[1]))
        c = x.shape[1]
        pad = (taps[1] // 2, taps[1] // 2, taps[0] // 2, taps[0] // 2)
        x = F.conv2d(F.pad(x, pad, mode="reflect"), kernel.expand(c, 1, *kernel.shape), groups=c)
    return F.interpolate(x, size=size, mode="bilinear", align_corners=False)


def convolutions():
    x, w, b = rand(2, 4, 7, 9), rand(6, 4, 3, 3), rand(6)
    case("conv_same", F.conv2d(x, w, b, padding=1), [x], {"w": w, "b": b})
    wg = rand(6, 2, 3, 2)
    y = F.conv2d(x, wg, None, stride=(2, 1), padding=(2, 1), dilation=(2, 3), groups=2)
    case("conv_groups", y, [x], {"w": wg})
    w5 = rand(3, 4, 5, 5)
    y = F.conv2d(F.pad(x, (2, 2, 2, 2), mode="reflect"), w5, None)
    case("conv_reflect", y, [x], {"w": w5})
    w4 = rand(5, 4, 4, 4)
    case("conv_even", F.conv2d(x, w4, None, stride=2, padding=1), [x], {"w": w4})
    case("conv_leaky", F.leaky_relu(F.conv2d(x, w, b, padding=1), 0.2), [x], {"w": w, "b": b})
    s1, s6 = torch.tensor([0.25]).double(), rand(6)
    case("conv_prelu_shared", F.prelu(F.conv2d(x, w, b, padding=1), s1), [x], {"w": w, "b": b, "s": s1})
    case("conv_prelu_channel", F.prelu(F.conv2d(x, w, b, padding=1), s6), [x], {"w": w, "b": b, "s": s6})
    r0, r1 = rand(2, 6, 7, 9), rand(2, 6, 7, 9)
    y = r1 + 0.5 * (r0 + 0.25 * torch.relu(F.conv2d(x, w, b, padding=1)))
    case("conv_residuals", y, [x, r0, r1], {"w": w, "b": b})
    up = F.interpolate(x, scale_factor=2, mode="nearest")
    case("conv_upsampled", F.leaky_relu(F.conv2d(up, w, b, padding=1), 0.2), [x], {"w": w, "b": b})
    weight, bias, mean, var = rand(6), rand(6), rand(6), rand(6).abs() + 0.5
    p = {"weight": weight, "bias": bias, "mean": mean, "var": var}
    y = F.relu(F.batch_norm(F.conv2d(x, w, b, padding=1), mean, var, weight, bias, False, 0.1, 1e-3))
    case("conv_norm_relu", y, [x], {"w": w, "b": b, **p})
    y = F.batch_norm(F.conv2d(x, w, None, padding=1), mean, var, weight, bias, False, 0.1, 1e-3)
    case("conv_norm", y, [x], {"w": w, **p})


def transposed():
    x, w, b = rand(2, 3, 5, 4), rand(3, 5, 4, 4) / 2, rand(5)
    y = F.conv_transpose2d(x, w, b, stride=2, padding=1)
    case("conv_transpose", y, [x], {"w": w, "b": b})
    case("conv_transpose_relu", F.relu(y), [x], {"w": w, "b": b})
    w = rand(3, 2, 2, 2)
    case("conv_transpose_apart", F.conv_transpose2d(x, w, None, stride=2), [x], {"w": w})
    w = rand(3, 2, 5, 5)
    case("conv_transpose_odd", F.conv_transpose2d(x, w, None, stride=3, padding=2), [x], {"w": w})


def detection():
    scores = rand(2, 11) + torch.arange(11) / 1024
    best = torch.topk(scores, 4)
    pair = lambda t: torch.stack([t.values, t.indices.double()], -1)
    case("top_k", pair(best), [scores])
    case("top_k_all", pair(torch.topk(scores, 11)), [scores])
    x, index = rand(2, 5, 3), torch.tensor([[[9.0, 4], [9, 0]], [[9, 2], [9, 2]]]).double()
    case("gather", torch.stack([x[n, index[n, :, 1].long()] for n in range(2)]), [x, index])
    case("gather_shared", torch.stack([x[0, index[n, :, 1].long()] for n in range(2)]), [x[:1], index])
    ys, xs = torch.meshgrid(torch.arange(2) * 8.0, torch.arange(3) * 4.0, indexing="ij")
    shift = torch.stack([xs, ys, xs, ys], -1).double().reshape(-1, 1, 4)
    cell = torch.tensor([[-4.0, -2, 4, 2], [-3, -3, 3, 3], [-2, -4, 2, 4]]).double()
    anchors = (shift + cell).reshape(1, -1, 4)
    z = rand(1, 18, 4)
    case("anchors", anchors + z, [z])

    def decode(references, deltas, scores, first, label, weights, size):
        n, k, classes = scores.shape
        w, h = references[..., 2] - references[..., 0], references[..., 3] - references[..., 1]
        cx, cy = references[..., 0] + w / 2, references[..., 1] + h / 2
        d = deltas.reshape(n, k, classes, 4) / torch.tensor(weights).double()
        sides = torch.exp(torch.clamp(d[..., 2:], max=math.log(1000 / 16))) * torch.stack([w, h], -1)[..., None, :]
        centre = d[..., :2] * torch.stack([w, h], -1)[..., None, :] + torch.stack([cx, cy], -1)[..., None, :]
        boxes = torch.cat([centre - sides / 2, centre + sides / 2], -1)
        limit = torch.tensor([size[1], size[0]] * 2).double()
        boxes = torch.minimum(boxes.clamp(min=0), limit)
        labels = (torch.arange(classes) + label).double().view(1, 1, classes, 1).expand(n, k, classes, 1)
        return torch.cat([boxes, scores[..., None], labels], -1)[:, :, first:].reshape(n, -1, 6)

    def some_boxes(*shape):
        corner = torch.rand(*shape, 2).double() * 20
        return torch.cat([corner, corner + 2 + torch.rand(*shape, 2).double() * 12], -1)

    def exact(t):
        return (t * 64).round() / 64

    references, deltas, scores = exact(some_boxes(1, 6)), rand(2, 6, 8), rand(2, 6, 2)
    deltas[0, 0, 2] = 30
    y = decode(references.expand(2, -1, -1), deltas, scores, 0, 3, [1.0, 1, 1, 1], (24, 28))
    case("box_decode", y, [references, deltas, scores])
    rows = torch.cat([exact(some_boxes(2, 5)), rand(2, 5, 2)], -1)
    deltas, scores = rand(2, 5, 12), rand(2, 5, 3)
    y = decode(rows, deltas, scores, 1, 0, [10.0, 10, 5, 5], (24, 28))
    case("box_decode_rows", y, [rows, deltas, scores])

    def nms(rows, iou, above, side, capacity):
        out = []
        for item in rows:
            fits = (item[:, 4] > above) & (item[:, 2] - item[:, 0] >= side) & (item[:, 3] - item[:, 1] >= side)
            item = item[fits]
            kept = torchvision.ops.batched_nms(item[:, :4], item[:, 4], item[:, 5], iou)[:capacity]
            item = item[kept]
            empty = torch.tensor([[0.0, 0, 0, 0, -1e30, 0]]).double().expand(capacity - len(item), 6)
            out.append(torch.cat([item, empty]))
        return torch.stack(out)

    labels = torch.randint(0, 2, (2, 60, 1)).double()
    rows = torch.cat([exact(some_boxes(2, 60)), torch.rand(2, 60, 1).double().float().double(), labels], -1)
    rows[0, :3, 2] = rows[0, :3, 0]
    # A row without a box has a score of minus infinity, which is no number to compare: both are cut off.
    case("nms", nms(rows, 0.4, 0.2, 0.5, 40)[..., :4], [rows])
    case("nms_few", nms(rows, 0.7, 0.0, 0.5, 9), [rows])
    maps = [rand(2, 3, 8, 10), rand(2, 3, 4, 5)]
    # Boxes on both sides of the size that changes the map, some beyond the edge.
    boxes = torch.tensor([[1.0, 2, 9, 11], [-3, 4, 30, 20], [0, 0, 160, 90], [30, 20, 31, 21], [100, 5, 700, 400]])
    rows = torch.cat([boxes.double(), torch.zeros(5, 2).double()], -1).expand(2, 5, 6).contiguous()
    for name, size in [("roi_align", 3), ("roi_align_large", 5)]:
        pooled = []
        for n in range(2):
            for box in boxes.double():
                area = float((box[2] - box[0]) * (box[3] - box[1]))
                k = min(max(math.floor(4 + math.log2(math.sqrt(area) / 224) + 1e-6), 2), 3)
                roi = torch.cat([torch.tensor([float(n)]).double(), box])[None]
                pooled.append(torchvision.ops.roi_align(maps[k - 2], roi, size, 0.5**k, 2, False))
        case(name, torch.cat(pooled), [rows, *maps])


def dense_block():
    x = rand(2, 4, 6, 5)
    ws = [rand(2, 4 + 2 * k, 3, 3) / 4 for k in range(3)] + [rand(4, 10, 3, 3) / 4]
    xs = [x]
    for w in ws[:3]:
        xs.append(F.leaky_relu(F.conv2d(torch.cat(xs, 1), w, padding=1), 0.25))
    y = x + 0.25 * F.conv2d(torch.cat(xs, 1), ws[3], padding=1)
    case("dense_block", y, [x], {f"w{k}": w for k, w in enumerate(ws)})


def element_wise():
    x, z = rand(2, 3, 4, 5), rand(2, 3, 4, 5)
    v, s1, s3 = rand(3), torch.tensor([0.25]).double(), rand(3)
    case("bias", x + v.view(1, 3, 1, 1), [x], {"b": v})
    case("relu", F.relu(x), [x])
    case("leaky_relu", F.leaky_relu(x, 0.125), [x])
    case("prelu_shared", F.prelu(x, s1), [x], {"s": s1})
    case("prelu_channel", F.prelu(x, s3), [x], {"s": s3})
    case("sigmoid", torch.sigmoid(x), [x])
    case("softmax", F.softmax(x, 1), [x])
    case("softmax_last", F.softmax(x, 3), [x])
    case("add", x + z, [x, z])
    case("scaled_add", x + 0.2 * z, [x, z])
    case("mul", x * z, [x, z])
    case("scale", 0.2 * x, [x])
    weight, bias, mean, var = rand(3), rand(3), rand(3), rand(3).abs() + 0.5
    y = F.batch_norm(x, mean, var, weight, bias, False, 0.1, 1e-5)
    case("batch_norm", y, [x], {"weight": weight, "bias": bias, "mean": mean, "var": var})
    w, b, t = rand(4, 5), rand(4), rand(2, 3, 5)
    case("linear", F.linear(t, w, b), [t], {"w": w, "b": b})
    case("linear_no_bias", F.linear(t, w), [t], {"w": w})


def tokens():
    x, w, b, r = rand(2, 5, 6), rand(6), rand(6), rand(2, 5, 6)
    norm = F.layer_norm(x, (6,), w, b, 1e-5)
    case("layer_norm", norm, [x], {"w": w, "b": b})
    case("layer_norm_residual", r + norm, [x, r], {"w": w, "b": b})
    wide = rand(2, 3, 37)
    w, b = rand(37), rand(37)
    case("layer_norm_wide", F.layer_norm(wide, (37,), w, b, 1e-5), [wide], {"w": w, "b": b})
    x, w, b, r = rand(2, 50, 7), rand(70, 7) / 4, rand(70), rand(2, 50, 70)
    linear = F.linear(x, w, b)
    p = {"w": w, "b": b}
    case("linear_gelu", F.gelu(linear), [x], p)
    case("linear_relu", F.relu(linear), [x], p)
    case("linear_residual", r + linear, [x, r], p)
    case("linear_gelu_residual", F.gelu(F.linear(x, w)) + r, [x, r], {"w": w})
    x, w, b = rand(2, 200), rand(9, 200) / 8, rand(9)
    case("linear_long", F.linear(x, w, b), [x], {"w": w, "b": b})
    x = rand(2, 3, 4, 5)
    z = rand(2, 3, 4, 5)
    case("gelu", F.gelu(2 * x), [2 * x])
    case("maximum", torch.maximum(x, z), [x, z])


def window_attention(qkv, pad, table, heads, window, shift, scale=None):
    """Swin attention as its papers define it, by torch.roll and an explicit mask."""
    n, h, w, c = qkv.shape
    c //= 3
    hp, wp = -(-h // window) * window, -(-w // window) * window
    whole = pad.view(1, 1, 1, -1).expand(n, hp, wp, -1).clone()
    whole[:, :h, :w] = qkv
    shifts = [0 if hp <= window else shift, 0 if wp <= window else shift]
    region = torch.zeros(hp, wp)
    for axis, extent in enumerate((hp, wp)):
        at = torch.arange(extent)
        label = (at >= extent - window).long() + (at >= extent - shifts[axis]).long()
        label = label if shifts[axis] else torch.zeros_like(at)
        region += (label.view(-1, 1) * 3) if axis == 0 else label.view(1, -1)
    whole = torch.roll(whole, (-shifts[0], -shifts[1]), (1, 2))

    def cut(t):
        t = t.reshape(t.shape[0], hp // window, window, wp // window, window, -1)
        return t.transpose(2, 3).reshape(t.shape[0], -1, window * window, t.shape[-1])

    q, k, v = cut(whole).reshape(n, -1, window * window, 3, heads, c // heads).permute(3, 0, 1, 4, 2, 5)
    if scale is None:
        logits = q @ k.transpose(-1, -2) / (c // heads) ** 0.5
    else:
        factor = torch.clamp(scale, max=math.log(100)).exp().view(-1, 1, 1)
        logits = F.normalize(q, dim=-1) @ F.normalize(k, dim=-1).transpose(-1, -2) * factor
    at = torch.stack(torch.meshgrid(torch.arange(window), torch.arange(window), indexing="ij")).flatten(1)
    d = at[:, :, None] - at[:, None, :] + window - 1
    logits = logits + table[:, d[0] * (2 * window - 1) + d[1]]
    region = cut(region.view(1, hp, wp, 1))[..., 0]
    logits = logits + torch.where(region[..., :, None] == region[..., None, :], 0.0, -100.0).unsqueeze(2)
    y = (logits.softmax(-1) @ v).transpose(2, 3).reshape(n, hp // window, wp // window, window, window, c)
    y = torch.roll(y.transpose(2, 3).reshape(n, hp, wp, c), shifts, (1, 2))
    return y[:, :h, :w]


def attention():
    for name, h, w, heads, d, window, shift, cosine in [
        ("window_attention_cosine", 9, 7, 2, 5, 4, 2, True),
        ("window_attention_clamped", 4, 8, 3, 4, 4, 2, True),
        ("window_attention_dot", 8, 5, 2, 4, 3, 1, False),
        ("window_attention_one", 3, 5, 1, 33, 6, 3, False),
        ("window_attention_seven", 10, 9, 1, 3, 7, 3, False),
    ]:
        qkv, pad = rand(2 if window < 5 else 1, h, w, 3 * heads * d), rand(3 * heads * d)
        table, scale = rand(heads, (2 * window - 1) ** 2), torch.linspace(1, 6, heads).double()
        y = window_attention(qkv, pad, table, heads, window, shift, scale if cosine else None)
        case(name, y, [qkv], {"pad": pad, "bias": table, **({"scale": scale} if cosine else {})})


def moves():
    x, z, t = rand(2, 3, 4, 6), rand(2, 2, 4, 6), rand(1, 5, 2, 3, 4)
    case("concat", torch.cat([x, z, x], 1), [x, z])
    case("concat_rows", torch.cat([x, x[:, :, :1]], 2), [x])
    case("slice_channels", F.relu(x[:, 1:3]), [x])
    case("slice_columns", F.relu(x[:, :, :, 2:5]), [x])
    case("reshape", F.relu(x.reshape(3, 8, 6)), [x])
    case("reshape_slice", F.relu(x[:, 1:3].reshape(16, 6)), [x])
    case("permute", x.permute(2, 0, 3, 1), [x])
    case("pad_axis", F.pad(t, (0, 0, 0, 0, 0, 0, 1, 2)), [t])
    case("pixel_shuffle", F.pixel_shuffle(rand_shuffle := rand(2, 8, 3, 4), 2), [rand_shuffle])
    case("pixel_unshuffle", F.pixel_unshuffle(x, 2), [x])
    half = t[:, :4]
    pairs = torch.cat([half[:, :2], half[:, 2:]], 2)
    case("pair_frames", F.relu(pairs), [t])


def images():
    x = rand(2, 3, 6, 7)
    for mode in ["nearest", "bilinear", "bicubic"]:
        for size in [(12, 14), (9, 5), (3, 7)]:
            corners = {} if mode == "nearest" else {"align_corners": False}
            y = F.interpolate(x, size=size, mode=mode, **corners)
            case(f"{mode}_{size[0]}x{size[1]}", y, [x])
    big = rand(1, 2, 20, 17)
    for size in [(8, 17), (5, 6), (24, 9), (24, 30)]:
        case(f"kornia_{size[0]}x{size[1]}", kornia_resize(big, size), [big])
    case("max_pool", F.max_pool2d(x, 3, 2, 1), [x])
    case("max_pool_even", F.max_pool2d(x, 2), [x])
    case("avg_pool", F.avg_pool2d(x, 3, 2, 1), [x])
    case("avg_pool_inside", F.avg_pool2d(x, (3, 2), (1, 2), (1, 1), count_include_pad=False), [x])


def reductions():
    for frames in [1, 4, 5]:
        t = rand(2, frames, 3, 4)
        case(f"median_{frames}", t.median(1).values, [t])
    t = rand(3, 5, 4)
    case("max_last", t.amax(2), [t])
    case("max_first", t.amax(0), [t])
    case("mean", t.mean(1), [t])


def samples():
    raw = torch.randint(0, 256, (2, 3, 4, 5), dtype=torch.uint8)
    zero, gain = (torch.tensor(v, dtype=torch.float32).view(1, 3, 1, 1) for v in [(0, 100, 0), (1 / 255, 1 / 64, 1 / 128)])
    case("normalise", ((raw.float() - zero) * gain).clamp(0, 1), [raw])
    x = rand(2, 3, 4, 5) * 8
    case("to_samples", (x * 60).round().clamp(1, 255), [x])


for make in [convolutions, dense_block, element_wise, moves, images, reductions, tokens, attention, transposed, detection, samples]:
    make()
json.dump(CASES, sys.stdout, separators=(",", ":"))
