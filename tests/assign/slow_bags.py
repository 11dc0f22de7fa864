"""FreeAnchor and MAL written again, slowly: loops over objects and points in plain numbers, from the published text."""

from __future__ import annotations

import math
from fractions import Fraction

from mmmc.assign import MAL, FreeAnchor

from .aps_reference import giou_loss
from .slow_rules import Picture


def matching(rule: FreeAnchor, picture: Picture, p: int, m: int) -> float:
    """P of a pair."""
    loss = giou_loss(picture.predicted[p], picture.boxes[m], 1, 0)
    return picture.probability[p][picture.labels[m]] * math.exp(-rule.box_factor * loss)


def bag_of(rule: FreeAnchor, picture: Picture, m: int) -> list[int]:
    def strides(p: int) -> float:
        return picture.away(p, m) / picture.stride[p]

    def rank(p: int) -> tuple[float, ...]:
        return (strides(p),) if rule.bag_by == "center" else (-picture.box_iou(p, m), strides(p))

    # Sorting keeps the order of equals.
    bag = sorted((p for p in picture.seen if picture.inside(p, m)), key=rank)[: rule.bag]
    if isinstance(rule, MAL):
        keep = min(rule.bag, math.floor(rule.bag * (1 - Fraction(str(rule.progress))) + 1))
        bag = sorted(bag, key=lambda p: (-matching(rule, picture, p, m), strides(p), p))[:keep]
    return bag


def pairs(rule: FreeAnchor, picture: Picture) -> list[dict[int, float]]:
    """Weight of each point in the bag of each object."""
    found = []
    for m in range(len(picture.boxes)):
        weight = {p: 1 / max(1 - matching(rule, picture, p, m), 1e-12) for p in bag_of(rule, picture, m)}
        found.append({p: value / sum(weight.values()) for p, value in weight.items()})
    return found


def owners(picture: Picture, weights: list[dict[int, float]]) -> list[int]:
    """The object of each point's heaviest pair; of equal ones the smallest object."""

    def size(m: int) -> float:
        x1, y1, x2, y2 = picture.boxes[m]
        return (x2 - x1) * (y2 - y1)

    gt = []
    for p in range(len(picture.xy)):
        rivals = [m for m, bag in enumerate(weights) if p in bag]
        gt.append(min(rivals, key=lambda m, p=p: (-weights[m][p], size(m))) if rivals else -1)
    return gt
