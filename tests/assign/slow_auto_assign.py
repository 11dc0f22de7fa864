"""AutoAssign written again, slowly: loops over objects and points in plain numbers. Shares no line with the package.

Gaussians are given by class as `((mean x, mean y), (sigma x, sigma y))`; pairs come back as `{point: value}` by object.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from .aps_reference import giou_loss
from .slow_rules import NONE, Picture

Gaussian = tuple[Sequence[float], Sequence[float]]
START: Gaussian = ((0.0, 0.0), (1.0, 1.0))


def gaussian(picture: Picture, p: int, m: int, shape: Gaussian) -> float:
    (mx, my), (sx, sy) = shape
    (x, y), (cx, cy) = picture.xy[p], picture.center(m)
    dx, dy = (x - cx) / picture.stride[p], (y - cy) / picture.stride[p]
    return math.exp(-((dx - mx) ** 2) / (2 * sx**2)) * math.exp(-((dy - my) ** 2) / (2 * sy**2))


def score(picture: Picture, p: int, c: int) -> float:
    return picture.probability[p][c] * picture.quality[p]


def certainty(picture: Picture, p: int, m: int, box_power: float) -> float:
    frame = math.exp(-box_power * giou_loss(picture.predicted[p], picture.boxes[m], 1, 0))
    return score(picture, p, picture.labels[m]) * frame


def members(picture: Picture, m: int) -> list[int]:
    return [p for p in picture.seen if picture.inside(p, m)]


def weights(
    picture: Picture, gaussians: Sequence[Gaussian] | None = None, confidence: float = 3.0, box_power: float = 5.0
) -> list[dict[int, float]]:
    result = []
    for m, label in enumerate(picture.labels):
        shape = gaussians[label] if gaussians else START
        raw = {
            p: math.exp(confidence * certainty(picture, p, m, box_power)) * gaussian(picture, p, m, shape)
            for p in members(picture, m)
        }
        result.append({p: value / sum(raw.values()) for p, value in raw.items()})
    return result


def heaviest(picture: Picture, pairs: Sequence[dict[int, float]]) -> list[int]:
    gt = []
    for p in range(len(picture.xy)):
        rivals = [m for m, weighed in enumerate(pairs) if p in weighed]
        gt.append(max(rivals, key=lambda m, p=p: pairs[m][p]) if rivals else NONE)
    return gt


def losses(
    pictures: Sequence[Picture],
    gaussians: Sequence[Gaussian] | None = None,
    ignored: Sequence[Sequence[int]] | None = None,
    confidence: float = 3.0,
    box_power: float = 5.0,
    gamma: float = 2.0,
) -> dict[str, tuple[float, float]]:
    """Sum, times the published factor, and norm of each term."""
    positive = negative = center = prior = 0.0
    objects = held_pictures = 0
    for number, picture in enumerate(pictures):
        left_out = ignored[number] if ignored else []
        excuse: dict[tuple[int, int], float] = {}
        held, here = 0, 0.0
        for m, label in enumerate(picture.labels):
            points = [p for p in members(picture, m) if p not in left_out]
            if not points:
                continue
            held += 1
            shape = gaussians[label] if gaussians else START
            sure = {p: certainty(picture, p, m, box_power) for p in points}
            weight = {p: math.exp(confidence * sure[p]) * gaussian(picture, p, m, shape) for p in points}
            positive -= math.log(sum(weight[p] * sure[p] for p in points) / sum(weight.values()))
            here += sum(gaussian(picture, p, m, shape) for p in points)
            near = {p: 1 / max(1 - picture.box_iou(p, m), 1e-6) for p in points}
            low, high = min(near.values()), max(near.values())
            for p in points:
                value = (near[p] - low) / (high - low) if high > low else 1.0
                excuse[p, label] = max(value, excuse.get((p, label), 0.0))
        if held:
            center += held / here
            held_pictures += 1
        objects, prior = objects + held, prior + here
        for p in range(len(picture.xy)):
            for c in range(len(picture.probability[p])):
                q = score(picture, p, c) * (1 - excuse.get((p, c), 0.0))
                if p not in left_out:
                    negative += q**gamma * -math.log(1 - q)
    return {
        "positive": (0.25 * positive, objects),
        "negative": (0.75 * negative, prior),
        "center": (0.75 * center, held_pictures),
    }
