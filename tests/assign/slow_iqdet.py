"""IQDet written again, slowly: loops over objects, positions and points in plain numbers.

It shares no line with the package. A mixture is a list of components `[logit, mean x, mean y, deviation x,
deviation y]`; a position is `[x, y, level]`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

from mmmc.structures import IGNORED, NEGATIVE, Points, Target

Mixture = Sequence[Sequence[float]]
Position = Sequence[float]
GAUSS = NormalDist()


class Picture:
    """Where the points of one picture are; those in the padding are none of it."""

    def __init__(self, points: Points, target: Target) -> None:
        self.xy = points.xy.tolist()
        self.level = points.level.tolist()
        self.strides = points.strides
        self.boxes = target.boxes.tolist()
        self.labels = target.labels.tolist()
        height, width = target.size
        self.seen = [p for p, (x, y) in enumerate(self.xy) if x < width and y < height]

    def holds(self, m: int, level: int | None = None) -> list[int]:
        x1, y1, x2, y2 = self.boxes[m]
        found = [p for p in self.seen if x1 < self.xy[p][0] < x2 and y1 < self.xy[p][1] < y2]
        return found if level is None else [p for p in found if self.level[p] == level]

    def at(self, m: int, x: float, y: float) -> tuple[float, float]:
        x1, y1, x2, y2 = self.boxes[m]
        return 2 * (x - x1) / (x2 - x1) - 1, 2 * (y - y1) / (y2 - y1) - 1

    def neighbours(self, position: Position) -> dict[int, float]:
        """Weight of each point of the level: a tent of one stride in both directions, from a place moved inwards."""
        x, y, level = position
        there = [p for p in self.seen if self.level[p] == level]
        if not there:
            return {}
        stride = self.strides[int(level)]
        x = min(max(x, min(self.xy[p][0] for p in there)), max(self.xy[p][0] for p in there))
        y = min(max(y, min(self.xy[p][1] for p in there)), max(self.xy[p][1] for p in there))
        weights = {
            p: max(0.0, 1 - abs(self.xy[p][0] - x) / stride) * max(0.0, 1 - abs(self.xy[p][1] - y) / stride)
            for p in there
        }
        return {p: weight for p, weight in weights.items() if weight > 0}


def shares(mixture: Mixture) -> list[float]:
    total = 1 + sum(math.exp(component[0]) for component in mixture)
    return [math.exp(component[0]) / total for component in mixture]


def value(mixture: Mixture, x: float, y: float) -> float:
    return sum(
        share * math.exp(-(((x - mx) / sx) ** 2 + ((y - my) / sy) ** 2) / 2)
        for share, (_, mx, my, sx, sy) in zip(shares(mixture), mixture, strict=True)
    )


def start(picture: Picture, m: int, samples: int, deviation: float) -> tuple[list[Mixture], list[Position]]:
    """Mixtures of all levels and positions of an object for which none are given."""
    levels = range(len(picture.strides))
    mixtures: list[Mixture] = [[[0, 0, 0, deviation, deviation]] * 2 for _ in levels]
    able = [level for level in levels if picture.holds(m, level)] or [0]
    x1, y1, x2, y2 = picture.boxes[m]
    below, above = GAUSS.cdf(-1 / deviation), GAUSS.cdf(1 / deviation)
    g = 1.324717957244746
    positions: list[Position] = []
    for k in range(samples):
        # All components weigh alike, so that each level has the same share of the positions.
        level = able[math.floor((k + 0.618034) / samples * len(able))]
        x, y = (deviation * GAUSS.inv_cdf(below + ((k / power + 0.5) % 1) * (above - below)) for power in (g, g * g))
        positions.append([(x1 + x2) / 2 + x * (x2 - x1) / 2, (y1 + y2) / 2 + y * (y2 - y1) / 2, level])
    return mixtures, positions


def pairs(
    picture: Picture, mixtures: Sequence[Sequence[Mixture]], positions: Sequence[Sequence[Position]]
) -> list[list[float]]:
    """Weight of each object and point."""
    found = [[0.0] * len(picture.xy) for _ in picture.boxes]
    for m, row in enumerate(found):
        for x, y, level in positions[m]:
            worth = value(mixtures[m][int(level)], *picture.at(m, x, y))
            for p, weight in picture.neighbours([x, y, level]).items():
                row[p] += weight * worth
    return found


def owners(weights: Sequence[Sequence[float]], areas: Sequence[float], points: int) -> list[int]:
    """The object of each point's heaviest pair, of equal ones the smallest object."""
    found = []
    for p in range(points):
        best = max(range(len(weights)), key=lambda m, p=p: (weights[m][p], -areas[m], -m), default=None)
        found.append(best if best is not None and weights[best][p] > 0 else NEGATIVE)
    return found


def losses(
    picture: Picture,
    mixtures: Sequence[Sequence[Mixture]],
    positions: Sequence[Sequence[Position]],
    gt: Sequence[int],
    logits: Sequence[Sequence[float]],
    boxes: Sequence[Sequence[float]],
    quality: Sequence[float],
    gamma: float = 2.0,
    negatives: str = "unread",
) -> dict[str, tuple[float, float]]:
    """Sum and norm of each term, for quality focal loss and factors of 1."""

    def focal(logit: float, target: float) -> float:
        p = 1 / (1 + math.exp(-logit))
        return abs(target - p) ** gamma * entropy(p, target)

    total = dict.fromkeys(("class", "box", "quality", "distribution"), 0.0)
    norm = dict(total)
    shares = [picture.neighbours(position) for own in positions for position in own]
    inside = {p for m in range(len(picture.boxes)) for p in picture.holds(m)}
    for p, own in enumerate(gt):
        left = 1 - max((share.get(p, 0.0) for share in shares), default=0.0)
        rest = left * (own != IGNORED)
        weight = {"unread": own == NEGATIVE, "rest": rest, "outside": rest * (p not in inside)}[negatives]
        total["class"] += weight * sum(focal(logit, 0.0) for logit in logits[p])
    for m, box in enumerate(picture.boxes):
        for x, y, level in positions[m]:
            weights = picture.neighbours([x, y, level])
            if not weights:
                continue
            worth = value(mixtures[m][int(level)], *picture.at(m, x, y))
            for c in range(len(logits[0])):
                read = sum(w * logits[p][c] for p, w in weights.items())
                total["class"] += focal(read, worth if c == picture.labels[m] else 0.0)
            read_box = [sum(w * boxes[p][side] for p, w in weights.items()) for side in range(4)]
            overlap, generalised = overlaps(read_box, box)
            total["box"] += worth * (1 - generalised)
            read_quality = sum(w * quality[p] for p, w in weights.items())
            total["quality"] += entropy(1 / (1 + math.exp(-read_quality)), overlap)
            norm["class"] += 1
            norm["quality"] += 1
            norm["box"] += worth
        for level in range(len(picture.strides)):
            there = [p for p in picture.holds(m, level) if gt[p] != IGNORED]
            if there:
                said = [value(mixtures[m][level], *picture.at(m, *picture.xy[p])) for p in there]
                each = [entropy(v, overlaps(boxes[p], box)[0]) for v, p in zip(said, there, strict=True)]
                total["distribution"] += sum(each) / len(each)
                norm["distribution"] += 1
    return {name: (total[name], norm[name]) for name in total}


def entropy(p: float, target: float) -> float:
    return -target * math.log(p) - (1 - target) * math.log1p(-p)


def overlaps(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """IoU and generalised IoU."""
    both = max(0.0, min(a[2], b[2]) - max(a[0], b[0])) * max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both
    round_both = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return both / union, both / union - (round_both - union) / round_both
