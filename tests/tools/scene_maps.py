#!/usr/bin/env python3
"""Satlas networks of published size on a real scene: `swath detect` and `swath segment` against `swath forward` on the
same windows, and what GDAL makes of the results.

FOLDER holds one Sentinel-2 scene as TCI.tif, B05.tif … B12.tif (coarser bands on grids of their own). Four dates are made of
it by changing its brightness; weights come from formula.py. Windows are assembled here from the files, coarser pixels
repeated. Detections: each feature must be a window's, each a window answers for must be there or overlapped by one that
is, places must be gdaltransform's within 5 cm; with --whole, those of one window over the whole scene, and of one begun a
little further in, are compared too. Classes and probabilities must be the windows', bit for bit. ogrinfo and gdalinfo
must read the files.

scene_maps.py FOLDER [--swath target/release/swath] [--threads N] [--side PX] [--whole] [--keep DIR] [--weights DIR]
"""
import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy as np
import rasterio

BANDS = ["TCI", "B05", "B06", "B07", "B08", "B11", "B12"]
DAYS = {"20200219": 1.0, "20200305": 0.93, "20200320": 1.06, "20200404": 0.88}
TILE, OVERLAP, ALIGN = 512, 128, 4
SCORE = 0.05
FULL = 100
MOVED = 20


def dates(folder, out, side):
    """Writes the dates; gives their folders, the grid, and (date, channel, row, column) as the network gets them."""
    folders, stack = [], []
    with rasterio.open(folder / "TCI.tif") as tci:
        width, height = min(tci.width, side), min(tci.height, side)
        transform, crs = tci.transform, tci.crs
    rows, columns = np.mgrid[0:height, 0:width]
    x, y = transform * (columns + 0.5, rows + 0.5)
    for day, gain in DAYS.items():
        target = out / f"T29RKH_{day}T111949"
        target.mkdir(parents=True)
        planes, valid = [], np.ones((height, width), bool)
        for band in BANDS:
            with rasterio.open(folder / f"{band}.tif") as source:
                column, row = ~source.transform * (x, y)
                cut = tuple(min(-(-n * s // t), s) for n, s, t in
                            [(height, source.height, tci.height), (width, source.width, tci.width)])
                raw = source.read(window=((0, cut[0]), (0, cut[1])))
                most = np.iinfo(raw.dtype).max
                raw = np.where(raw == 0, 0, np.clip(np.rint(raw * gain), 1, most)).astype(raw.dtype)
                profile = source.profile | {"driver": "GTiff", "height": cut[0], "width": cut[1], "compress": "deflate"}
            with rasterio.open(target / f"{band}.tif", "w", **profile) as sink:
                sink.write(raw)
            near = raw[:, np.minimum(row.astype(int), cut[0] - 1), np.minimum(column.astype(int), cut[1] - 1)]
            valid &= near.any(0)
            scale, bound = (1 / 255, np.inf) if band == "TCI" else (1 / 8160, 1.0)
            planes.append(np.minimum(near.astype(np.float32) * np.float32(scale), np.float32(bound)))
        folders.append(target)
        stack.append(np.concatenate(planes) * valid)
    return folders, (width, height, transform, crs), np.stack(stack)


def axis(length, tile):
    """Origins of tiles and the pixels each answers for."""
    padded = -(-length // ALIGN) * ALIGN
    tile = min(tile, padded)
    step, last = (tile - OVERLAP) // ALIGN * ALIGN, padded - tile
    origins = [o for o in range(0, last, step)] + [last]
    cuts = [b + (a + tile - b) // 2 for a, b in zip(origins, origins[1:])]
    return [(o, *core) for o, core in zip(origins, zip([0] + cuts, cuts + [length]))], tile


def windows(stack, tile):
    """Each window's place, core and input, reflected where it reaches past the image."""
    (xs, w), (ys, h) = axis(stack.shape[3], tile), axis(stack.shape[2], tile)
    pad = ((0, 0), (0, 0), (0, h + ys[-1][0] - stack.shape[2]), (0, w + xs[-1][0] - stack.shape[3]))
    stack = np.pad(stack, pad, mode="reflect")
    for y, top, bottom in ys:
        for x, left, right in xs:
            yield (x, y), (left, top, right, bottom), stack[:, :, y:y + h, x:x + w].reshape(1, -1, h, w)


def run(program, *words):
    subprocess.run([program, *map(str, words)], check=True, stdout=subprocess.DEVNULL)


def forward(program, weights, inputs, folder, *told):
    np.save(folder / "x.npy", np.concatenate(inputs).astype(np.float32))
    run(program, "forward", "-m", weights, "-i", folder / "x.npy", "-o", folder / "y.npz", *told)
    return dict(np.load(folder / "y.npz"))


def network(args, folder, name, task):
    if args.weights:
        return args.weights / f"{name}.pth"
    import torch
    from formula import fill
    from satlas_networks import Satlas

    net = fill(Satlas("swin_v2_b", 9, task), name)
    torch.save(net.state_dict(), folder / f"{name}.pth")
    return folder / f"{name}.pth"


def overlap(a, b):
    """Of boxes with boxes: common area over that of both together, and over that of the smaller one."""
    low, high = np.maximum(a[:, None, :2], b[None, :, :2]), np.minimum(a[:, None, 2:], b[None, :, 2:])
    common = np.clip(high - low, 0, None).prod(2)
    area = lambda boxes: (boxes[:, 2:] - boxes[:, :2]).prod(1)
    areas = area(a)[:, None], area(b)[None]
    return common / (sum(areas) - common), common / np.minimum(*areas)


def in_windows(arrays, places, grid):
    """Boxes in the image, scores, labels, whether their window answers for them and whether its border cuts them."""
    width, height = grid[:2]
    boxes, scores, labels, own, cut = [], [], [], [], []
    for k, ((x, y), (left, top, right, bottom), size) in enumerate(places):
        found = arrays[f"head0_img{k}_boxes"].astype(np.float64) + [x, y, x, y]
        found = found.clip([x, y, x, y], [min(x + size[1], width), min(y + size[0], height)] * 2)
        cx, cy = found[:, ::2].mean(1), found[:, 1::2].mean(1)
        boxes.append(found)
        scores.append(arrays[f"head0_img{k}_scores"].astype(np.float64))
        labels.append(arrays[f"head0_img{k}_labels"])
        ends = [(found[:, 0] <= x + 1) & (x > 0), (found[:, 1] <= y + 1) & (y > 0),
                (found[:, 2] >= x + size[1] - 1) & (x + size[1] < width), (found[:, 3] >= y + size[0] - 1) & (y + size[0] < height)]
        cut.append(np.any(ends, axis=0))
        own.append((left <= cx) & (cx < right) & (top <= cy) & (cy < bottom) & ((found[:, 2:] - found[:, :2]).min(1) > 0))
    return [np.concatenate(parts) for parts in (boxes, scores, labels, own, cut)]


def features(path):
    """Outlines in longitude and latitude from the upper left corner on, long sides cut into pieces, and scores."""
    items = json.loads(path.read_text())["features"]
    rings = [np.array(f["geometry"]["coordinates"][0]) for f in items]
    return rings, np.array([f["properties"]["score"] for f in items])


def bounds(rings):
    return np.array([[*ring.min(0), *ring.max(0)] for ring in rings]).reshape(-1, 4)


def lonlat(points, crs):
    text = "\n".join(f"{x:.6f} {y:.6f}" for x, y in points)
    done = subprocess.run(["gdaltransform", "-s_srs", crs.to_string(), "-t_srs", "EPSG:4326", "-output_xy"],
                          input=text, capture_output=True, text=True, check=True)
    return np.array([[float(v) for v in line.split()] for line in done.stdout.splitlines()])


def detect(args, folder, scenes, grid, stack):
    weights, out = network(args, folder, "wind_turbine", "detect"), folder / "turbines.geojson"
    common = ["--threads", args.threads, "--set", "n_s2_images=4"]
    job = ["-m", weights, "--min-score", SCORE, "--geometry", "box", "--memory", "12G", *common]
    run(args.swath, "detect", *scenes, "-o", out, "--tile", TILE, "--overlap", OVERLAP, *job,
        "--coverage", folder / "seen.tif", "--preview", folder / "turbines.png")
    parts = list(windows(stack, TILE))
    arrays = forward(args.swath, weights, [p[2] for p in parts], folder, *common)
    boxes, scores, labels, own, cut = in_windows(arrays, [(p[0], p[1], p[2].shape[2:]) for p in parts], grid)
    rings, got = features(out)
    assert len(got) >= 100, f"{len(got)} objects"
    x0, y0 = grid[2] * (boxes[:, 0], boxes[:, 1])
    x1, y1 = grid[2] * (boxes[:, 2], boxes[:, 3])
    corners = np.hstack([lonlat(np.stack([x0, y0], 1), grid[3]), lonlat(np.stack([x1, y1], 1), grid[3])])
    far, kept = 0.0, []
    for ring, score in zip(rings, got):
        same = np.flatnonzero(np.abs(scores - score) < 1e-9)
        lower = np.abs(ring[None] - corners[same, None, 2:]).max(2).min(1)
        error = np.maximum(np.abs(ring[0] - corners[same, :2]).max(1), lower)
        assert len(same) and error.min() < 5e-7, f"{ring[0]} {score} is no window's: {error}"
        far, _ = max(far, error.min()), kept.append(same[error.argmin()])
    kept = np.array(kept)
    # A box that the image's edge leaves nothing of has its middle on the edge.
    columns, rows = np.minimum(boxes.reshape(-1, 2, 2).mean(1).astype(int), [grid[0] - 1, grid[1] - 1]).T
    seen = stack.any((0, 1))[rows, columns]
    missing = np.setdiff1d(np.flatnonzero(own & seen), kept)
    both, part = overlap(boxes[missing], boxes[kept])
    same = (both > 0.5) | (part > 0.6) & (cut[missing][:, None] | cut[kept][None])
    assert (same & (labels[missing][:, None] == labels[kept])).any(1).all(), "an object of a window is lost"
    twice = (overlap(boxes[kept], boxes[kept])[0] - np.eye(len(kept))) * (labels[kept][:, None] == labels[kept])
    print(f"detect   {len(got)} objects of {len(scores)} in {len(parts)} windows, every one a window's; "
          f"{len(missing)} that windows answer for gave way to another; largest overlap of two of a category {twice.max():.2f}; "
          f"places within {far * 111e3:.3f} m of gdaltransform's", flush=True)
    info = subprocess.run(["ogrinfo", "-so", "-al", out], capture_output=True, text=True, check=True).stdout
    assert f"Feature Count: {len(got)}" in info
    if args.whole:
        # A window gives 100 objects at most: from the surest of the last ones on, all are there.
        found = [arrays[f"head0_img{k}_scores"] for k in range(len(parts))]
        least = max((float(sure.min()) for sure in found if len(sure) >= FULL), default=SCORE)
        compare_whole(args, folder, scenes, grid, job, boxes[kept], bounds(rings), got, least)


def unmatched(a, b):
    """Of boxes: which have none among others that overlaps by half."""
    return overlap(a, b)[0].max(1, initial=0) < 0.5


def compare_whole(args, folder, scenes, grid, job, pixels, tiled, scores, least):
    """The objects of tiles (in pixels and in degrees) beside those of one window over the whole scene, and of one that
    begins MOVED pixels further in: where a network's windows lie differently, it finds other objects, seams or not."""
    (x0, y0), (x1, y1) = grid[2] * (MOVED, MOVED), grid[2] * (grid[0], grid[1])
    found = {}
    for name, more in [("whole", []), ("moved", ["--bbox", f"{x0},{y1},{x1},{y0}"])]:
        out = folder / f"{name}.geojson"
        run(args.swath, "detect", *scenes, "-o", out, "--tile", max(grid[:2]) + ALIGN, *job, *more)
        rings, sure = features(out)
        found[name] = bounds(rings), sure
    least = max([least] + [sure.min() for _, sure in found.values() if len(sure) >= FULL])
    tiles = scores >= least
    whole, moved = (boxes[sure >= least] for boxes, sure in found.values())
    lost = unmatched(tiled[tiles], whole)
    middle = pixels[tiles].reshape(-1, 2, 2).mean(1)
    cuts = [[core[1] for _, *core in axis(extent, TILE)[0]][:-1] for extent in grid[:2]]
    near = np.any([np.abs(middle[:, k, None] - cuts[k]).min(1, initial=np.inf) < OVERLAP / 2 for k in (0, 1)], axis=0)
    share = lambda which: f"{which.mean():.1%} of {len(which)}"
    print(f"whole    from score {least:.3f} on, which no window's limit of 100 hides: without a counterpart that overlaps by "
          f"half are {share(lost)} objects of tiles in the whole scene as one window ({share(lost[near])} near seams, "
          f"{share(lost[~near])} elsewhere), {share(unmatched(whole, tiled[tiles]))} the other way round, and "
          f"{share(unmatched(whole, moved))} in the whole scene as one window begun {MOVED} pixels further in", flush=True)


def segment(args, folder, scenes, grid, stack):
    weights, out, shares = network(args, folder, "solar_farm", "bin_segment"), folder / "solar.tif", folder / "shares.tif"
    common = ["--threads", args.threads, "--set", "n_s2_images=4", "--set", "tasks=solar_farm"]
    parts = list(windows(stack, TILE))
    arrays = forward(args.swath, weights, [p[2] for p in parts], folder, *common)["head0"][:, 0]
    level = float(np.float32(np.median(arrays)))
    run(args.swath, "segment", *scenes, "-m", weights, "-o", out, "--probabilities", shares, "--type", "f32",
        "--tile", TILE, "--overlap", OVERLAP, "--blend", "crop", "--threshold", level, "--memory", "12G", *common,
        "--preview", folder / "solar.png")
    with rasterio.open(out) as f, rasterio.open(shares) as g:
        classes, numbers = f.read(1), g.read(1)
        assert f.crs == grid[3] and f.transform.almost_equals(grid[2]) and f.colormap(1)[2][:3] == (255, 255, 0)
    different = 0
    for y, ((x0, y0), (left, top, right, bottom), _) in zip(arrays, parts):
        mine = y[top - y0:bottom - y0, left - x0:right - x0]
        theirs, classed = numbers[top:bottom, left:right], classes[top:bottom, left:right]
        seen = classed > 0
        different += int((mine != theirs)[seen].sum())
        assert (classed[seen] == np.where(mine > np.float32(level), 2, 1)[seen]).all()
        assert np.isnan(theirs[~seen]).all()
    print(f"segment  {classes.shape[1]}x{classes.shape[0]} px, {(classes == 2).mean():.1%} solar_farm, {(classes == 0).mean():.1%} "
          f"without data; {different} probabilities differ from the windows'", flush=True)
    assert different == 0
    info = json.loads(subprocess.run(["gdalinfo", "-json", out], capture_output=True, text=True, check=True).stdout)
    band = info["bands"][0]
    assert band["noDataValue"] == 0 and band["colorInterpretation"] == "Palette"
    assert info["metadata"][""]["SWATH_CLASS_2"] == "solar_farm"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--swath", default="target/release/swath")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--side", type=int, default=1 << 20, help="use no more than this of the scene")
    parser.add_argument("--whole", action="store_true")
    parser.add_argument("--keep", type=pathlib.Path)
    parser.add_argument("--weights", type=pathlib.Path, help="folder of wind_turbine.pth and solar_farm.pth to run instead")
    parser.add_argument("--only", choices=["detect", "segment"])
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = args.keep or pathlib.Path(made)
        folder.mkdir(exist_ok=True)
        scenes, grid, stack = dates(args.folder, folder / "scenes", args.side)
        for job in (detect, segment):
            if args.only in (None, job.__name__):
                job(args, folder, scenes, grid, stack)


if __name__ == "__main__":
    main()
