"""Bags of points: what FreeAnchor and MAL do with the points of an object, shared by their rules and their losses."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from mmmc.assign.shared.pairs import Objects
from mmmc.assign.shared.rules import least
from mmmc.boxes import center_offsets
from mmmc.structures import Points

LEAST_MISS = 1e-12
"""Least 1 - P that is divided by."""


def log_matching(
    logit: Float[Tensor, "*shape"], giou: Float[Tensor, "*shape"], box_factor: float
) -> Float[Tensor, "*shape"]:
    """log P of pairs, where P = class probability · exp(-box loss) (Zhang et al. 2019, section 3.1).

    Args:
        logit: of the object's class at the point.
        giou: of the box predicted there and the object; the box loss is `box_factor` · (1 - GIoU).
        box_factor: see `FreeAnchor`.
    """
    return logsigmoid(logit) - box_factor * (1 - giou)


def miss(log_p: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """1 - P, without cancellation, of at least 1e-12."""
    return (-log_p.expm1()).clamp(min=LEAST_MISS)


def mean_max_weights(log_p: Float[Tensor, "B M P"], bag: Bool[Tensor, "B M P"]) -> Float[Tensor, "B M P"]:
    """Weights 1 / (1 - P), normalised over each bag; 0 outside of it (Zhang et al. 2019, section 3.3).

    Alike while no P stands out, which makes the weighted mean of P a mean, and all on one point when its P nears 1.
    """
    weight = (1 / miss(log_p)).where(bag, 0.0)
    # A bag that holds a point sums to more than 1.
    return weight / weight.sum(dim=2, keepdim=True).clamp(min=1)


def center_distances(points: Points, objects: Objects) -> Float[Tensor, "B M P"]:
    """Distance of each point from the centre of each object, in strides of the point."""
    dtype = objects.boxes.dtype
    right, down = center_offsets(points.xy.to(dtype), objects.boxes[:, :, None])
    return torch.hypot(right, down) / points.stride.to(dtype)


def foremost(
    value: Float[Tensor, "B M P"], away: Float[Tensor, "B M P"], allowed: Bool[Tensor, "B M P"], count: int
) -> Bool[Tensor, "B M P"]:
    """The `count` allowed pairs of highest value of each object, all if it has fewer.

    Args:
        value: what is compared; finite where allowed.
        away: of equal values the least of this comes first, then the first point; finite.
        allowed: pairs that may be taken.
        count: how many.
    """
    count = min(count, value.shape[2])
    value = value.masked_fill(~allowed, -torch.inf)
    last = value.topk(count, dim=2).values[..., -1:]
    above, equal = value > last, allowed & (value == last)
    room = count - above.sum(dim=2)
    nearest = least(away.masked_fill(~equal, torch.inf).flatten(0, 1).mT, room.flatten(), count)
    return above | nearest.mT.view_as(above)
