"""A small picture with three objects, its points and its labels, worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import torch

from mmmc.comparison import Comparison
from mmmc.points import make_points
from mmmc.structures import IGNORED, NEGATIVE, Assignment, ObjectState, Target

NAMES = ["cat", "$5 and $10 bills", "_hidden"]
SIZE = (48, 64)
PICTURE = torch.full((3, 64, 64), 120, dtype=torch.uint8)
"""Sixteen rows at the bottom are padding."""
POINTS = make_points([(8, 8), (4, 4)], (8, 16))


def target(boxes: int = 3) -> Target:
    corners = torch.tensor([[4.0, 4.0, 28.0, 28.0], [32.0, 8.0, 60.0, 40.0], [40.0, 41.0, 43.0, 44.0]])
    return Target(
        boxes=corners[:boxes],
        labels=torch.arange(3)[:boxes],
        crowd=torch.zeros(0, 4),
        image_id=7,
        size=SIZE,
        original_size=SIZE,
    )


def assignment() -> Assignment:
    """For the second picture of a batch of two; the first one's labels must never be seen."""
    gt = torch.full((2, len(POINTS)), NEGATIVE)
    gt[0] = 1
    # Row 1 and 2, column 1 and 2 of the first map; one cell of the second.
    gt[1, [9, 10, 17, 18]] = 0
    gt[1, 64 + 6] = 1
    # One ignored point in the picture, one in the padding.
    gt[1, [5, 60]] = IGNORED
    weight = torch.ones(gt.shape)
    weight[1, 10] = 0.25
    return Assignment(
        gt=gt,
        score=(gt >= 0).float(),
        weight=weight,
        state=[torch.zeros(3).long(), torch.tensor([ObjectState.CHOSEN, ObjectState.FALLBACK, ObjectState.NO_POINT])],
        finite=torch.ones(2, dtype=torch.bool),
    )


def comparison(names: tuple[str, ...] = ("FCOS", "Mine(pull=2)")) -> Comparison:
    """The second picture's labels above under each name, but that the last assigner gives no point to object 0."""
    both = assignment()
    one = Assignment(both.gt[1:], both.score[1:], both.weight[1:], [both.state[1]], both.finite[1:])
    state = [torch.tensor([ObjectState.NONE_LEFT, ObjectState.FALLBACK, ObjectState.NO_CANDIDATE])]
    last = replace(one, gt=one.gt.masked_fill(one.gt == 0, NEGATIVE), state=state)
    assignments = (*[one] * (len(names) - 1), last)
    return Comparison(
        names=names,
        points=POINTS,
        target=target(),
        assignments=assignments,
        counts=torch.stack([each.counts()[0] for each in assignments]),
        agreement=torch.eye(len(names)).clamp(min=0.2),
    )
