#!/usr/bin/env python3
"""Writes cases.json: labels, predictions and their scores by the rules of docs/evaluation.md, computed with
SciPy's assignment, Shapely's buffers and overlays, and scikit-image's lines, dilation and polygons.

Needs numpy, scipy, shapely and scikit-image: make.py (in this folder).
"""
import json
import pathlib

import numpy as np
import shapely.geometry as geometry
import skimage.draw
import skimage.morphology
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

THRESHOLDS = [0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95]
rng = np.random.default_rng(7)


def counts(pairs, labels, predictions):
    return [int(pairs), int(predictions - pairs), int(labels - pairs)]


def best_f1(rows):
    scores = [2 * tp / max(2 * tp + fp + fn, 1) for tp, fp, fn in rows]
    return max(scores)


def detect():
    images, sums = [], np.zeros((2, len(THRESHOLDS), 3), int)
    for _ in range(4):
        label = rng.uniform(0, 200, (rng.integers(0, 9), 2))
        label_class = rng.integers(1, 3, len(label))
        found = np.concatenate([label + rng.normal(0, 9, label.shape), rng.uniform(0, 200, (5, 2))])
        found_class = np.concatenate([label_class, rng.integers(1, 3, 5)])
        scores = rng.uniform(0, 1, len(found)).astype(np.float32)
        boxes = [np.concatenate([c - 20, c + 20], 1).astype(np.float32) for c in (label, found)]
        for category in (1, 2):
            centres = [(b[:, :2] + b[:, 2:]) / 2 for b in boxes]
            own = centres[0][label_class == category]
            for k, threshold in enumerate(THRESHOLDS):
                kept = centres[1][(found_class == category) & (scores >= np.float32(threshold))]
                distance = cdist(kept, own) if len(kept) and len(own) else np.zeros((len(kept), len(own)))
                distance[distance > 20] = 99999
                hits = distance[linear_sum_assignment(distance)] < 20
                sums[category - 1, k] += counts(hits.sum(), len(own), len(kept))
        images.append({"labels": boxes[0].tolist(), "categories": label_class.tolist(), "boxes": boxes[1].tolist(),
                       "found": found_class.tolist(), "scores": scores.tolist()})
    return {"images": images, "counts": sums.tolist(), "f1": float(np.mean([best_f1(rows) for rows in sums]))}


def matching(allowed):
    return int(allowed[linear_sum_assignment(1.0 - allowed)].sum()) if allowed.size else 0


def points():
    label = rng.integers(0, 1500, (30, 2))
    found = np.concatenate([label[:20] + rng.integers(-110, 110, (20, 2)), rng.integers(0, 1500, (15, 2))])
    pairs = matching((cdist(label, found) <= 128).astype(float))
    return {"labels": label.tolist(), "predictions": found.tolist(), "counts": counts(pairs, len(label), len(found))}


def star(centre, radius, corners):
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    reach = radius * rng.uniform(0.5, 1, corners)
    return np.round(np.stack([centre[0] + reach * np.cos(angles), centre[1] + reach * np.sin(angles)], 1)).tolist()


def polygons():
    tile = geometry.box(0, 0, 8192, 8192)
    labels, predictions = [], []
    for k in range(14):
        centre = rng.uniform(0, 8192, 2) if k > 2 else np.array([[0, 4000], [8192, 8192], [5000, 8200]])[k]
        labels.append([star(centre, 300, 9)])
        if k % 3 != 2:
            predictions.append([star(centre + rng.normal(0, 90, 2), 300, 7)])
    square = lambda x, y, side: [[x, y], [x + side, y], [x + side, y + side], [x, y + side]]
    labels.append([square(3000, 3000, 200), square(3040, 3040, 120)])
    predictions.append([square(3010, 3000, 200)])
    predictions.append([square(-500, -500, 100)])

    def shapes(side):
        grown = [geometry.Polygon(rings[0], rings[1:]).buffer(1.0).intersection(tile) for rings in side]
        return [g.buffer(1.0) for g in grown if g.area > 0]

    gt, found = shapes(labels), shapes(predictions)
    iou = np.array([[a.intersection(b).area / a.union(b).area for b in found] for a in gt])
    pairs = matching((iou >= 0.1).astype(float))
    best = np.where(iou >= 0.1, iou, 0).max(1).tolist() + [0.0] * (len(found) - pairs)
    return {"labels": labels, "predictions": predictions, "counts": counts(pairs, len(gt), len(found)),
            "iou": float(np.mean(best))}


def lines():
    side = 256
    make = lambda n: [rng.integers(-60, side + 60, (rng.integers(2, 6), 2)).tolist() for _ in range(n)]
    labels = make(4)
    predictions = [(np.array(line) + 3).tolist() for line in labels[:2]] + make(2)

    def mask(side_lines):
        canvas = np.zeros((side, side), bool)
        for line in side_lines:
            for (x0, y0), (x1, y1) in zip(line, line[1:]):
                rows, columns = skimage.draw.line(y0, x0, y1, x1)
                inside = (rows >= 0) & (rows < side) & (columns >= 0) & (columns < side)
                canvas[rows[inside], columns[inside]] = True
        for _ in range(4):
            canvas = skimage.morphology.dilation(canvas, skimage.morphology.diamond(1))
        return canvas

    a, b = mask(labels), mask(predictions)
    hits = (a & b).sum()
    return {"side": side, "labels": labels, "predictions": predictions, "counts": counts(hits, a.sum(), b.sum())}


def rings():
    """Pixels inside of rings or on them."""
    cases = []
    for _ in range(6):
        ring = rng.integers(-6, 30, (rng.integers(3, 9), 2))
        rows, columns = skimage.draw.polygon(ring[:, 1], ring[:, 0], shape=(24, 24))
        canvas = np.zeros((24, 24), int)
        canvas[rows, columns] = 1
        cases.append({"ring": ring.tolist(), "rows": ["".join(map(str, row)) for row in canvas]})
    return cases


def maps():
    classes, pixels, images = 3, 40, []
    sums = np.zeros((classes, len(THRESHOLDS), 3), int)
    accuracy, logs, overlaps = [], [], []
    for _ in range(4):
        labels = rng.integers(0, classes, pixels)
        known = rng.uniform(0, 1, pixels) < 0.8
        raw = rng.uniform(0, 1, (classes, pixels)) + 0.8 * (labels == np.arange(classes)[:, None])
        probabilities = (raw / raw.sum(0)).astype(np.float32)
        images.append({"labels": labels.tolist(), "known": known.tolist(), "probabilities": probabilities.ravel().tolist()})
        for c in range(classes):
            for k, threshold in enumerate(THRESHOLDS):
                above = (probabilities[c] > np.float32(threshold)) & known
                is_class = (labels == c) & known
                sums[c, k] += [(above & is_class).sum(), (above & ~is_class).sum(), (~above & is_class).sum()]
    pairs = [images[:2], images[2:]]
    stacked = lambda batch, key: np.concatenate([np.array(i[key]) for i in batch])
    for batch in pairs:
        labels, known = stacked(batch, "labels"), stacked(batch, "known")
        p = np.concatenate([np.array(i["probabilities"], np.float32).reshape(classes, -1) for i in batch], 1)
        chosen = p.argmax(0)
        accuracy.append(((chosen == labels) & known).sum() / known.sum())
        logs.append(np.log(p[labels, np.arange(len(labels))])[known].sum() / known.sum())
        iou = [((labels == c) & (chosen == c)).sum() / max(((labels == c) | (chosen == c)).sum(), 1) for c in range(classes)]
        overlaps.append(np.mean(iou))
    return {"images": images, "counts": sums.tolist(), "f1": float(np.mean([best_f1(rows) for rows in sums])),
            "batch": 2, "accuracy": float(np.mean(accuracy)), "logprob": float(np.mean(logs)),
            "mIou": float(np.mean(overlaps))}


def main():
    cases = {f.__name__: f() for f in (detect, points, polygons, lines, rings, maps)}
    target = pathlib.Path(__file__).with_name("cases.json")
    target.write_text(json.dumps(cases, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
