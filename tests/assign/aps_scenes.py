"""Rows of points with losses that are chosen, for APS's steps by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from mmmc.assign import APS
from mmmc.assign.aps_steps import Steps
from mmmc.assign.shared.candidates import Candidates
from mmmc.points import make_points
from mmmc.structures import Points, Prediction
from mmmc.testing import make_target

AUTHORS = APS(score="code", rule="c", score_scale="code", iou_smooth=1.0, conflict="area_first")
"""The released code's choices, as far as they are rules of ours."""


def row_points(*strides: int) -> Points:
    """A row of points at y = 8: 8 on stride 8 (x = 4, 12 … 60), 4 on stride 16, 2 on stride 32, 1 on stride 64."""
    points = make_points([(1, 64 // stride) for stride in strides], strides)
    return replace(points, xy=torch.stack([points.xy[:, 0], torch.full((len(points),), 8.0)], dim=1))


def losses_prediction(points: Points, box: Sequence[float], cls: Sequence[float], reg: Sequence[float]) -> Prediction:
    """A prediction of one class whose `bce` class loss and box loss (1 − IoU of a narrower box) are those given.

    With one class, binary cross-entropy −log σ(x) = c means x = −log(e^c − 1). A predicted box of the same top, bottom
    and left side as `box` and the share 1 − r of its width has IoU and GIoU 1 − r.
    """
    c, r = torch.tensor(cls, dtype=torch.float64), torch.tensor(reg, dtype=torch.float64)
    x1, y1, x2, y2 = box
    right = x1 + (1 - r) * (x2 - x1)
    boxes = torch.stack([torch.full_like(r, x1), torch.full_like(r, y1), right, torch.full_like(r, y2)], dim=1)
    logits = -(c.exp() - 1).log()
    return Prediction(logits[None, :, None], boxes[None], torch.zeros(1, len(points), dtype=torch.float64))


def steps(rule: APS, points: Points, cls: Sequence[float], reg: Sequence[float], box: Sequence[float]) -> Steps:
    """APS on one object of one class with these losses at each point; the class loss is `bce` to be set by hand."""
    prediction = losses_prediction(points, box, cls, reg)
    height = 64
    return replace(rule, class_loss="bce").steps(points, prediction, [make_target([box], (height, 64))])


def kept(candidates: Candidates) -> list[list[int]]:
    """Candidates of the only object, level by level, best first."""
    return [
        [p for p, ok in zip(points, valid, strict=True) if ok]
        for points, valid in zip(candidates.point[0, 0].tolist(), candidates.valid[0, 0].tolist(), strict=True)
    ]


BOX = [0.0, 0.0, 64.0, 16.0]
EIGHT = row_points(8)
"""Points 0 … 7 on one level."""


LEVELS = row_points(8, 16, 32)
"""Points 0–7, 8–11, 12–13."""
CLS = [0.1] * 4 + [0.9] * 4 + [0.5] * 4 + [0.2, 0.2]
REG = [0.1] * 8 + [0.2] * 4 + [0.8, 0.9]
"""Level means: cls .5, .5, .2; reg .1, .2, .85; sums .6, .7, 1.05."""
GROUPS = [0.10, 0.11, 0.12, 0.14, 0.90, 0.92, 0.93, 0.98]


def positions(mask: Tensor) -> list[int]:
    return mask.flatten().nonzero().flatten().tolist()


def row_labels(
    rule: APS, boxes: list[list[float]], cls: Sequence[Sequence[float]], predicted: Sequence[Sequence[float]]
) -> tuple[list[int], list[int]]:
    """`gt` and states for objects of classes 0, 1 … in a row of points of stride 8.

    Args:
        rule: with `class_loss = focal_gt_only` set here.
        boxes: of the objects.
        cls: for each point the logits of their classes.
        predicted: the box of each point.
    """
    prediction = Prediction(torch.tensor([cls]), torch.tensor([predicted]), torch.zeros(1, len(cls)))
    points = make_points([(1, len(cls))], (8,))
    target = make_target(boxes, (16, 8 * len(cls)), labels=list(range(len(boxes))))
    found = replace(rule, class_loss="focal_gt_only")(points, prediction, [target])
    return found.gt[0].tolist(), found.state[0].tolist()
