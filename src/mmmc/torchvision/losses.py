"""Losses of a batch as torchvision's models return them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from mmmc.assign import Assigner, ignore_crowds
from mmmc.criterion import Criterion, DenseCriterion
from mmmc.structures import Points, Prediction, Target

LOSSES = DenseCriterion(quality_target="centerness", box_weight="none")
"""The losses of torchvision's FCOS: focal loss, GIoU loss, centerness, all divided by the number of positives."""

NAMES = {"class": "classification", "box": "bbox_regression", "quality": "bbox_ctrness"}
"""Ours to theirs; other terms keep their names."""


def losses_by_name(
    points: Points, prediction: Prediction, targets: Sequence[Target], assigner: Assigner, criterion: Criterion
) -> dict[str, Tensor]:
    """Each term divided by its norm in this batch; their sum is the loss.

    All of them are NaN where the assigner met values that are not finite, so that the check of any loop sees it.

    Raises:
        InputError: the criterion cannot be computed from what this assigner gives.
    """
    criterion.require(assigner, None)
    assignment = ignore_crowds(points, assigner(points, prediction, targets), targets)
    sound = torch.where(assignment.finite.all(), 1.0, torch.nan)
    divided = criterion(points, prediction, targets, assignment).divided()
    return {NAMES.get(name, name): loss * sound for name, loss in divided.items()}
