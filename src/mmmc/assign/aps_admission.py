"""Which pairs of object and point APS may look at, before any loss."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from mmmc.assign.fcos import FCOS
from mmmc.assign.shared.pairs import Objects
from mmmc.boxes import squared_center_distance
from mmmc.structures import Points, Target


def long_enough(points: Points, objects: Objects, least_cells: float) -> Bool[Tensor, "B M P"]:
    """Pairs whose object is at least so many strides of the point's level long; every pair on the finest level."""
    longer = (objects.boxes[..., 2:] - objects.boxes[..., :2]).amax(dim=2)
    return (points.level == 0) | (longer[..., None] >= least_cells * points.stride.to(longer.dtype))


def with_nearest(
    points: Points, objects: Objects, targets: Sequence[Target], own: Bool[Tensor, "B M P"]
) -> Bool[Tensor, "B M P"]:
    """These pairs, and for each object without any the point of the finest level that is nearest to its centre.

    Args:
        points: of the batch.
        objects: of the batch, at least one.
        targets: of the batch; they say where pictures end.
        own: pairs that are admitted already.
    """
    within = torch.stack([points.within(target.size) for target in targets]) & (points.level == 0)
    away = squared_center_distance(points.xy.to(objects.boxes.dtype), objects.boxes[:, :, None])
    nearest = away.masked_fill(~within[:, None], torch.inf).argmin(dim=2, keepdim=True)
    numbers = torch.arange(away.shape[1], device=away.device)
    real = torch.stack([numbers < count for count in objects.counts])
    alone = ~own.any(dim=2, keepdim=True) & real[..., None]
    return own | torch.zeros_like(own).scatter(2, nearest, alone)


def by_fcos(rule: FCOS, points: Points, objects: Objects) -> Bool[Tensor, "B M P"]:
    """Pairs that FCOS's ranges and centre sampling permit, whether the point lies in the box or not."""
    xy = points.xy.to(objects.boxes.dtype)
    return torch.stack(
        [(rule.in_range(points, xy, box) & rule.near_center(points, xy, box)).T for box in objects.boxes]
    )
