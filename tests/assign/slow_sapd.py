"""SAPD written again, slowly: loops over objects and points in plain numbers, from the rule as described.

It shares no line with the package. One picture at a time.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from mmmc.assign import SAPD
from mmmc.structures import ObjectState

from .aps_reference import giou_loss
from .slow_rules import NONE, Picture, focal


def middle(picture: Picture, m: int, level: int, shrink: float) -> tuple[list[int], bool]:
    """Points of a level that are the middle of an object, and whether they only stand in for it."""
    x1, y1, x2, y2 = picture.boxes[m]
    cx, cy = picture.center(m)
    own = [p for p in picture.seen if picture.level[p] == level and picture.inside(p, m)]
    near = [
        p
        for p in own
        if 2 * abs(picture.xy[p][0] - cx) < shrink * (x2 - x1) and 2 * abs(picture.xy[p][1] - cy) < shrink * (y2 - y1)
    ]
    if near or not own:
        return near, False
    away = {p: (picture.xy[p][0] - cx) ** 2 + (picture.xy[p][1] - cy) ** 2 for p in own}
    return [p for p in own if away[p] == min(away.values())], True


def mean_loss(picture: Picture, m: int, points: Sequence[int]) -> float:
    losses = [
        focal(picture.probability[p], picture.labels[m]) + giou_loss(picture.predicted[p], picture.boxes[m], 1, 0)
        for p in points
    ]
    return sum(losses) / len(losses)


def centrality(picture: Picture, p: int, m: int) -> float:
    (x, y), (x1, y1, x2, y2) = picture.xy[p], picture.boxes[m]
    left, top, right, bottom = x - x1, y - y1, x2 - x, y2 - y
    return min(left, right) * min(top, bottom) / (max(left, right) * max(top, bottom))


def sapd(
    rule: SAPD, picture: Picture, logits: Sequence[Sequence[float]]
) -> tuple[list[int], list[float], list[ObjectState]]:
    """Object and weight of each point, and the state of each object; `logits` are the net's, object by level."""
    levels = sorted(set(picture.level))
    wanted: dict[tuple[int, int], tuple[float, bool]] = {}
    for m in range(len(picture.boxes)):
        regions = {level: middle(picture, m, level, rule.shrink) for level in levels}
        there = [level for level in levels if regions[level][0]]
        liking = {
            level: logits[m][level] if rule.levels == "net" else -mean_loss(picture, m, regions[level][0])
            for level in there
        }
        number = rule.soft_levels or (1 if rule.levels == "loss" else len(levels))
        best = sorted(there, key=lambda level: -liking[level])[:number]
        for level in best:
            share = 1 / sum(math.exp(liking[other] - liking[level]) for other in best)
            for p in regions[level][0]:
                wanted[m, p] = (share, regions[level][1])
    gt, weight = [NONE] * len(picture.xy), [1.0] * len(picture.xy)
    for p in range(len(picture.xy)):
        rivals = [m for m in range(len(picture.boxes)) if (m, p) in wanted]
        if rivals:
            areas = [(x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in picture.boxes]
            gt[p] = min(rivals, key=lambda m: areas[m])
            weight[p] = wanted[gt[p], p][0] * centrality(picture, p, gt[p])
    states = []
    for m in range(len(picture.boxes)):
        own = [p for p in range(len(gt)) if gt[p] == m]
        if own:
            stand_in = all(wanted[m, p][1] for p in own)
            states.append(ObjectState.FALLBACK if stand_in else ObjectState.CHOSEN)
        else:
            has_point = any(picture.inside(p, m) for p in picture.seen)
            states.append(ObjectState.NONE_LEFT if has_point else ObjectState.NO_POINT)
    return gt, weight, states
