"""Seven assigners written again, slowly: loops over objects and points in plain numbers, from the rules as published.

They share no line with the package. Each takes one picture as lists and returns the object of each point, with -1 for
none and -2 for an ignored one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import mean, stdev

import numpy as np

from mmmc.assign import ATSS, OTA, PAA, TAL, DynamicSoftLabel, MaxIoU, SimOTA
from mmmc.structures import Points, Prediction, Target

from .aps_reference import giou_loss, parted

NONE = -1
IGNORED = -2


class Picture:
    """One picture in plain numbers."""

    def __init__(self, points: Points, prediction: Prediction, target: Target) -> None:
        self.xy = points.xy.tolist()
        self.stride = points.stride.tolist()
        self.level = points.level.tolist()
        self.boxes = target.boxes.tolist()
        self.labels = target.labels.tolist()
        self.predicted = prediction.boxes[0].tolist()
        self.probability = [[1 / (1 + math.exp(-v)) for v in row] for row in prediction.logits[0].tolist()]
        self.quality = [1 / (1 + math.exp(-v)) for v in prediction.quality[0].tolist()]
        height, width = target.size
        self.seen = [p for p, (x, y) in enumerate(self.xy) if x < width and y < height]

    def inside(self, p: int, m: int) -> bool:
        (x, y), (x1, y1, x2, y2) = self.xy[p], self.boxes[m]
        return x1 < x < x2 and y1 < y < y2

    def center(self, m: int) -> tuple[float, float]:
        x1, y1, x2, y2 = self.boxes[m]
        return (x1 + x2) / 2, (y1 + y2) / 2

    def away(self, p: int, m: int) -> float:
        return math.dist(self.xy[p], self.center(m))

    def central(self, p: int, m: int, radius: float) -> bool:
        (x, y), (cx, cy) = self.xy[p], self.center(m)
        return max(abs(x - cx), abs(y - cy)) < radius * self.stride[p]

    def square_iou(self, p: int, m: int, strides: float) -> float:
        (x, y), half = self.xy[p], strides * self.stride[p] / 2
        return iou([x - half, y - half, x + half, y + half], self.boxes[m])

    def box_iou(self, p: int, m: int) -> float:
        return iou(self.predicted[p], self.boxes[m])

    def settle(self, wanted: dict[int, list[int]], rank: Callable[[int, int], float]) -> list[int]:
        """Each point goes to the object of least rank among those that want it."""
        gt = [NONE] * len(self.xy)
        for p in range(len(self.xy)):
            rivals = [m for m, points in wanted.items() if p in points]
            if rivals:
                gt[p] = min(rivals, key=lambda m: (rank(p, m), m))
        return gt


def iou(a: Sequence[float], b: Sequence[float]) -> float:
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    both = width * height
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def focal(probability: Sequence[float], label: int | None) -> float:
    return sum(
        0.25 * (1 - p) ** 2 * -math.log(p) if c == label else 0.75 * p**2 * -math.log(1 - p)
        for c, p in enumerate(probability)
    )


def atss(rule: ATSS, picture: Picture) -> list[int]:
    wanted = {}
    for m in range(len(picture.boxes)):
        near: list[int] = []
        for level in sorted(set(picture.level)):
            there = [p for p in picture.seen if picture.level[p] == level]
            near += sorted(there, key=lambda p: picture.away(p, m))[: rule.topk]
        overlaps = [picture.square_iou(p, m, rule.square_strides) for p in near]
        limit = mean(overlaps) + (stdev(overlaps) if len(overlaps) > 1 else 0)
        wanted[m] = [p for p, v in zip(near, overlaps, strict=True) if v >= limit - 1e-6 and picture.inside(p, m)]
    return picture.settle(wanted, lambda p, m: -picture.square_iou(p, m, rule.square_strides))


def max_iou(rule: MaxIoU, picture: Picture) -> list[int]:
    def overlap(p: int, m: int) -> float:
        return picture.square_iou(p, m, rule.square_strides)

    wanted = {}
    for m in range(len(picture.boxes)):
        mine = [p for p in picture.seen if picture.inside(p, m)]
        best = max((overlap(p, m) for p in mine), default=0)
        wanted[m] = [p for p in mine if overlap(p, m) >= rule.positive or (rule.keep_best and overlap(p, m) == best)]
    gt = picture.settle(wanted, lambda p, m: -overlap(p, m))
    for p in picture.seen:
        if gt[p] == NONE and max(overlap(p, m) for m in range(len(picture.boxes))) >= rule.negative:
            gt[p] = IGNORED
    return gt


def take(
    picture: Picture, m: int, first: list[int], second: list[int], cost: Callable[[int, int], float], top: int
) -> list[int]:
    best = sorted((picture.box_iou(p, m) for p in second), reverse=True)[:top]
    k = max(1, math.floor(sum(best)))
    later = [p for p in second if p not in first]
    ranked = sorted(first, key=lambda p: cost(p, m)) + sorted(later, key=lambda p: cost(p, m))
    return ranked[:k]


def simota(rule: SimOTA, picture: Picture) -> list[int]:
    def cost(p: int, m: int) -> float:
        total = rule.box_cost * -math.log(max(picture.box_iou(p, m), 1e-8))
        for c, probability in enumerate(picture.probability[p]):
            score = math.sqrt(probability * picture.quality[p]) if rule.score == "product" else probability
            total -= math.log(score if c == picture.labels[m] else 1 - score)
        return total

    wanted = {}
    for m in range(len(picture.boxes)):
        square = [p for p in picture.seen if picture.central(p, m, rule.radius)]
        box = [p for p in picture.seen if picture.inside(p, m)]
        both, either = [p for p in box if p in square], sorted({*box, *square})
        wanted[m] = take(
            picture, m, *((square, square) if rule.region == "square" else (both, either)), cost, rule.topk
        )
    return picture.settle(wanted, cost)


def dynamic_soft_label(rule: DynamicSoftLabel, picture: Picture) -> list[int]:
    def cost(p: int, m: int) -> float:
        overlap = picture.box_iou(p, m)
        total = rule.box_cost * -math.log(max(overlap, 1e-8))
        total += 10 ** (picture.away(p, m) / picture.stride[p] - rule.center_radius)
        for c, probability in enumerate(picture.probability[p]):
            aim = overlap if c == picture.labels[m] else 0.0
            entropy = -aim * math.log(probability) - (1 - aim) * math.log(1 - probability)
            total += (aim - probability) ** 2 * entropy
        return total

    boxes = {m: [p for p in picture.seen if picture.inside(p, m)] for m in range(len(picture.boxes))}
    wanted = {m: take(picture, m, mine, mine, cost, rule.topk) for m, mine in boxes.items()}
    return picture.settle(wanted, cost)


def tal(rule: TAL, picture: Picture) -> list[int]:
    def alignment(p: int, m: int) -> float:
        return picture.probability[p][picture.labels[m]] ** rule.alpha * picture.box_iou(p, m) ** rule.beta

    wanted = {}
    for m in range(len(picture.boxes)):
        best = sorted(picture.seen, key=lambda p: -alignment(p, m))[: rule.topk]
        wanted[m] = [p for p in best if alignment(p, m) > 0 and picture.inside(p, m)]
    return picture.settle(wanted, lambda p, m: -picture.box_iou(p, m))


def tal_scores(rule: TAL, picture: Picture, gt: list[int]) -> list[float]:
    scores = [0.0] * len(gt)
    for m, label in enumerate(picture.labels):
        own = [p for p in range(len(gt)) if gt[p] == m]
        metric = {p: picture.probability[p][label] ** rule.alpha * picture.box_iou(p, m) ** rule.beta for p in own}
        for p in own:
            scores[p] = metric[p] / max(metric.values()) * max(picture.box_iou(q, m) for q in own)
    return scores


def ota(rule: OTA, picture: Picture) -> list[int]:
    """The plan as plain matrices: scale the columns of exp(-cost / eps), then the rows, again and again."""
    seen, number = picture.seen, len(picture.boxes)
    cost = np.full((number + 1, len(seen)), np.inf)
    supply = np.zeros(number + 1)
    for m in range(number):
        able = [i for i, p in enumerate(seen) if picture.inside(p, m) and picture.central(p, m, rule.radius)]
        for i in able:
            cost[m, i] = focal(picture.probability[seen[i]], picture.labels[m])
            cost[m, i] += rule.box_cost * -math.log(max(picture.box_iou(seen[i], m), 1e-8))
        if able:
            best = sorted((picture.box_iou(seen[i], m) for i in able), reverse=True)[: rule.topk]
            supply[m] = max(1, math.floor(sum(best)))
    cost[number] = [focal(picture.probability[p], None) for p in seen]
    supply[number] = max(0, len(seen) - supply.sum())
    kernel = np.exp(-cost / rule.epsilon)
    row = np.ones(number + 1)
    for _ in range(rule.iterations):
        column = 1 / (row @ kernel)
        moved = kernel @ column
        row = np.divide(supply, moved, out=np.zeros_like(supply), where=moved > 0)
    plan = row[:, None] * kernel * column
    most = plan.max(axis=1, keepdims=True)
    share = np.divide(plan, most, out=np.zeros_like(plan), where=most > 0)
    gt = [NONE] * len(picture.xy)
    for i, p in enumerate(seen):
        givers = [m for m in range(number) if share[m, i] > 0 and share[m, i] == share[:, i].max()]
        if givers:
            gt[p] = min(givers, key=lambda m: cost[m, i])
    return gt


def paa(rule: PAA, picture: Picture) -> list[int]:
    number = range(len(picture.boxes))

    def overlap(p: int, m: int) -> float:
        return picture.square_iou(p, m, rule.square_strides)

    def cost(p: int, m: int) -> float:
        return focal(picture.probability[p], picture.labels[m]) + giou_loss(
            picture.predicted[p], picture.boxes[m], 1, 0
        )

    holds = {m: [p for p in picture.seen if picture.inside(p, m)] for m in number}
    wanted, ignored = {}, set()
    for m in number:
        match = holds[m]
        if rule.prematch == "squares":
            best = max((overlap(p, m) for p in match), default=0)
            mine = [
                p for p in match if max((n for n in number if p in holds[n]), key=lambda n, p=p: overlap(p, n)) == m
            ]
            match = [p for p in mine if overlap(p, m) >= rule.least_iou or overlap(p, m) == best]
        near: list[int] = []
        for level in sorted(set(picture.level)):
            near += sorted((p for p in match if picture.level[p] == level), key=lambda p, m=m: cost(p, m))[: rule.topk]
        good, between = parted(np.array([cost(p, m) for p in near]), rule.rule, "raw") if near else ([], [])
        wanted[m] = [p for p, yes in zip(near, good, strict=True) if yes]
        ignored |= {p for p, yes in zip(near, between, strict=True) if yes}
    gt = picture.settle(wanted, cost)
    return [IGNORED if p in ignored and owner == NONE else owner for p, owner in enumerate(gt)]
