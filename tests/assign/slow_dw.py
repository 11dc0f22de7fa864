"""DW written again, slowly: loops over objects and points in plain numbers. Shares no line with the package."""

from __future__ import annotations

import math
from collections.abc import Sequence

from .aps_reference import giou_loss
from .slow_auto_assign import certainty, gaussian, members, score
from .slow_rules import Picture


def weights(
    picture: Picture,
    sharpness: float = 5.0,
    norm_sharpness: float = 3.0,
    box_power: float = 5.0,
    sigma: float = 1.11,
) -> list[dict[int, float]]:
    result = []
    for m in range(len(picture.boxes)):
        above, below = {}, 0.0
        for p in members(picture, m):
            sure = certainty(picture, p, m, box_power)
            prior = gaussian(picture, p, m, ((0, 0), (sigma, sigma)))
            above[p] = math.exp(sharpness * sure) * sure * prior
            below += math.exp(norm_sharpness * sure) * sure * prior
        result.append({p: value / below for p, value in above.items()})
    return result


def losses(
    pictures: Sequence[Picture],
    ignored: Sequence[Sequence[int]] | None = None,
    box_power: float = 5.0,
    least_iou: float = 0.5,
    power: float = 2.0,
    gamma: float = 2.0,
) -> dict[str, tuple[float, float]]:
    """Sum, times the default factor, and norm of each term; the assigner's options are the defaults."""
    cls = box = negative = excused = 0.0
    objects = 0
    for number, picture in enumerate(pictures):
        left_out = ignored[number] if ignored else []
        against: dict[tuple[int, int], float] = {}
        for m, pairs in enumerate(weights(picture, box_power=box_power)):
            points = [p for p in pairs if p not in left_out]
            objects += bool(points)
            label = picture.labels[m]
            curve = {}
            for p in points:
                cls += pairs[p] * -math.log(score(picture, p, label))
                box += pairs[p] * box_power * giou_loss(picture.predicted[p], picture.boxes[m], 1, 0)
                overlap = picture.box_iou(p, m)
                curve[p] = 1.0 if overlap < least_iou else (overlap**power - 1) / (least_iou**power - 1)
            for p in points:
                low, high = min(curve.values()), max(curve.values())
                value = curve[p] if high == low else (curve[p] - low) / (high - low)
                against[p, label] = min(value, against.get((p, label), 1.0))
        excused += sum(1 - value for value in against.values())
        for p in range(len(picture.xy)):
            for c in range(len(picture.probability[p])):
                s = score(picture, p, c)
                if p not in left_out:
                    negative += against.get((p, c), 1.0) * s**gamma * -math.log(1 - s)
    return {"class": (0.25 * cls, objects), "box": (0.25 * box, objects), "negative": (0.75 * negative, excused)}
