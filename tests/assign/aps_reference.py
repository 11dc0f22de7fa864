"""APS written again, slowly: a loop over objects and points in plain numbers, with scikit-learn's mixture.

It shares no line with the package. For the defaults, for the authors' variant, and for levels as FSAF chooses them.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from mmmc.assign import APS
from mmmc.structures import ObjectState, Points, Prediction, Target


def focal(logits: np.ndarray, label: int) -> float:
    total = 0.0
    for index, logit in enumerate(logits):
        p = 1 / (1 + math.exp(-logit))
        total += 0.25 * (1 - p) ** 2 * -math.log(p) if index == label else 0.75 * p**2 * -math.log(1 - p)
    return total


def giou_loss(a: Sequence[float], b: Sequence[float], stride: float, smooth: float) -> float:
    a, b = [v / stride for v in a], [v / stride for v in b]
    width = max(0.0, min(a[2], b[2]) - max(a[0], b[0]))
    height = max(0.0, min(a[3], b[3]) - max(a[1], b[1]))
    inter = width * height
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - inter
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return 1 - (inter + smooth) / (union + smooth) + (hull - union) / hull


def parted(cost: np.ndarray, rule: str, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Which of an object's candidates are positive, and which are ignored."""
    nothing = np.zeros(len(cost), dtype=bool)
    if len(cost) == 1 or cost.max() - cost.min() < 1e-6 * np.abs(cost).mean():
        return ~nothing, nothing
    x = {"standard": lambda: (cost - cost.mean()) / cost.std(), "code": lambda: 10 * cost, "raw": lambda: cost}[scale]()
    mixture = GaussianMixture(
        2,
        weights_init=[0.5, 0.5],
        means_init=[[x.min()], [x.max()]],
        precisions_init=np.full((2, 1, 1), 0.1 if scale == "code" else 1.0),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        mixture.fit(x[:, None])
    better = int(np.argmin(mixture.means_[:, 0]))
    member = (mixture.predict_proba(x[:, None])[:, better] >= 0.5) & (x <= mixture.means_.max())
    best = x == x.min()
    member = x <= x[member].max() if member.any() else member
    likelihood = mixture.score_samples(x[:, None])

    def likeliest(of: np.ndarray) -> float:
        """Where the most likely of these lies, of equally likely ones the best; beyond all if there is none."""
        return min(((-likelihood[i], x[i]) for i in np.flatnonzero(of)), default=(0, math.inf))[1]

    positive = best | (member & (x <= (math.inf if rule == "a" else likeliest(member))))
    return positive, (x < likeliest(~member)) & ~positive if rule == "b" else nothing


def in_the_middle(own: Sequence[int], xy: np.ndarray, box: Sequence[float], shrink: float) -> list[int]:
    """Of an object's points on one level those in its shrunk box; if there are none, those nearest to the centre."""
    cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    wide, high = shrink * (box[2] - box[0]), shrink * (box[3] - box[1])
    found = [p for p in own if 2 * abs(xy[p][0] - cx) < wide and 2 * abs(xy[p][1] - cy) < high]
    away = {p: (xy[p][0] - cx) ** 2 + (xy[p][1] - cy) ** 2 for p in own}
    return found or [p for p in own if away[p] == min(away.values())]


def assign(
    rule: APS, points: Points, prediction: Prediction, targets: Sequence[Target]
) -> tuple[np.ndarray, list[list[int]]]:
    """`gt` of every picture and point, and the state of every object."""
    xy, stride, level = points.xy.double().numpy(), points.stride.numpy(), points.level.numpy()
    all_gt, all_states = [], []
    for picture, target in enumerate(targets):
        logits, predicted = prediction.logits[picture].double().numpy(), prediction.boxes[picture].double().tolist()
        height, width = target.size
        boxes = target.boxes.double().tolist()
        costs: list[dict[int, float]] = []
        shortlists: list[list[int]] = []
        wants: list[list[int]] = []
        empty: list[ObjectState] = []
        for box, label in zip(boxes, target.labels.tolist(), strict=True):
            in_box = [
                p
                for p, (x, y) in enumerate(xy)
                if box[0] < x < box[2] and box[1] < y < box[3] and x < width and y < height
            ]
            longer = max(box[2] - box[0], box[3] - box[1])
            inside = [p for p in in_box if level[p] == 0 or longer >= rule.least_cells * stride[p]]
            empty.append(ObjectState.NO_CANDIDATE if in_box else ObjectState.NO_POINT)
            cls = {p: focal(logits[p], label) for p in inside}
            reg = {p: giou_loss(predicted[p], box, float(stride[p]), rule.iou_smooth) for p in inside}
            cost = {p: cls[p] + reg[p] for p in inside}
            levels = []
            for number in range(len(points.strides)):
                best = sorted((p for p in inside if level[p] == number), key=cost.__getitem__)[:9]
                if best:
                    seen = best
                    if rule.level_stat == "shrunk":
                        seen = in_the_middle([p for p in inside if level[p] == number], xy, box, rule.shrink)
                    levels.append((sum(cost[p] for p in seen) / len(seen), best))
            shortlist = [p for _, best in sorted(levels)[: rule.num_levels] for p in best]
            lc, lr = np.array([cls[p] for p in shortlist]), np.array([reg[p] for p in shortlist])
            if rule.score == "paper":
                fit = np.exp(-lc) / np.exp(-lc).sum() + np.exp(-lr) / np.exp(-lr).sum()
                value = -np.sqrt(fit / (1 + np.exp(np.abs(lc - lr))))
            else:
                value = np.sqrt((lc + lr) / (1 + np.exp(-np.abs(lc - lr))))
            chosen = parted(value, rule.rule, rule.score_scale)[0] if shortlist else []
            costs.append(cost)
            shortlists.append(shortlist)
            wants.append([p for p, yes in zip(shortlist, chosen, strict=True) if yes])
        gt = {}
        for p in range(len(xy)):
            rivals = [m for m in range(len(boxes)) if p in wants[m]]
            if rivals:
                areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in boxes]
                gt[p] = min(rivals, key=lambda m: areas[m] if rule.conflict == "area_first" else costs[m][p])
        states = [ObjectState.CHOSEN if m in gt.values() else ObjectState.NONE_LEFT for m in range(len(boxes))]
        for m in sorted(range(len(boxes)), key=lambda m: min(costs[m].values(), default=math.inf)):
            if not costs[m]:
                states[m] = empty[m]
            elif states[m] == ObjectState.NONE_LEFT:
                owned = list(gt.values())
                free = [p for p in shortlists[m] if p not in gt] or [p for p in costs[m] if p not in gt]
                spare = [p for p in costs[m] if p in gt and owned.count(gt[p]) > 1]
                if free or spare:
                    gt[min(free or spare, key=costs[m].__getitem__)] = m
                    states[m] = ObjectState.FALLBACK
        all_gt.append([gt.get(p, -1) for p in range(len(xy))])
        all_states.append([int(state) for state in states])
    return np.array(all_gt), all_states
