"""Some objects at a time, so that memory does not grow with their number; how those of one picture claim points."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmmc.assign.shared.rules import ImageLabels, unit_labels
from mmmc.structures import IGNORED, NEGATIVE, Points, Prediction, Target

AT_ONCE = 64
"""Objects that are looked at together: few enough for little memory, many enough for few calls."""


def some_at_a_time(targets: Sequence[Target]) -> Iterator[tuple[slice, list[Target]]]:
    """Up to `AT_ONCE` objects of each picture after others, and which these are; once, if there is no object."""
    for first in range(0, max(1, *(len(target.labels) for target in targets)), AT_ONCE):
        part = slice(first, first + AT_ONCE)
        yield part, [replace(target, boxes=target.boxes[part], labels=target.labels[part]) for target in targets]


class Claims(NamedTuple):
    """What some objects of one picture want.

    Attributes:
        wanted: points that an object claims.
        rank: how a claim compares with those of other objects; the least gets the point, of equal ones the first
            object. Finite where wanted.
        admitted: points that the rule admits before any comparison.
        in_box: points of the picture that lie in the object's box.
        ignored: points that are no negatives even if nobody gets them.
    """

    wanted: Bool[Tensor, "P M"]
    rank: Float[Tensor, "P M"]
    admitted: Bool[Tensor, "P M"]
    in_box: Bool[Tensor, "P M"]
    ignored: Bool[Tensor, "P M"] | None = None


ClaimRule = Callable[[Points, Prediction, Target], Claims]
"""What the objects of a target want. It is called with some of a picture's objects and may not compare them."""


def settled(rule: ClaimRule, points: Points, prediction: Prediction, target: Target) -> ImageLabels:
    """Labels of one picture with target 1 and weight 1, from what its objects claim."""
    dtype, device, number = prediction.boxes.dtype, prediction.boxes.device, len(target.labels)
    least = torch.full((len(points),), torch.inf, dtype=dtype, device=device)
    gt = torch.full((len(points),), NEGATIVE, device=device)
    ignored = torch.zeros(len(points), dtype=torch.bool, device=device)
    holds, admits = [gt.new_zeros(0).bool()], [gt.new_zeros(0).bool()]
    for first in range(0, number, AT_ONCE):
        some = slice(first, first + AT_ONCE)
        claims = rule(points, prediction, replace(target, boxes=target.boxes[some], labels=target.labels[some]))
        rank, owner = claims.rank.masked_fill(~claims.wanted, torch.inf).min(dim=1)
        better = rank < least
        least, gt = rank.where(better, least), (owner + first).where(better, gt)
        holds.append(claims.in_box.any(dim=0))
        admits.append((claims.admitted & claims.in_box).any(dim=0))
        if claims.ignored is not None:
            ignored |= claims.ignored.any(dim=1)
    labels = unit_labels(gt, torch.cat(holds), torch.cat(admits), dtype)
    return labels._replace(gt=gt.masked_fill(ignored & (gt == NEGATIVE), IGNORED))


def of_owner(values: Float[Tensor, "M 4"] | Int[Tensor, " M"], gt: Int[Tensor, " P"]) -> Tensor:
    """For each point the value of its object; arbitrary for points without one, 0 if there is no object at all."""
    filled = torch.cat([values, values.new_zeros(1, *values.shape[1:])])
    return filled[gt.clamp(min=0)]
