"""What the levels of the pyramid are to each object: statistics of its losses there, and the middle of its box."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmmc.assign.shared.candidates import by_level
from mmmc.assign.shared.pairs import Objects
from mmmc.assign.shared.rules import inside
from mmmc.boxes import paired_iou, squared_center_distance
from mmmc.structures import Points


class Middle(NamedTuple):
    """The points in the middle of each object's box, level by level.

    Attributes:
        inside: those strictly inside the shrunk box.
        nearest: on a level where the shrunk box holds none, the one nearest to the centre; of equally near ones all.
    """

    inside: Bool[Tensor, "B M P"]
    nearest: Bool[Tensor, "B M P"]

    @classmethod
    def joined(cls, parts: Sequence[Middle]) -> Middle:
        """Those of the objects of all parts."""
        return cls(*(torch.cat(masks, dim=1) for masks in zip(*parts, strict=True)))

    @property
    def either(self) -> Bool[Tensor, "B M P"]:
        """Both: some point on each level that has any."""
        return self.inside | self.nearest


def middle(points: Points, objects: Objects, admitted: Bool[Tensor, "B M P"], shrink: float) -> Middle:
    """The points in each box when it is shrunk round its centre (FSAF's effective region), and what stands in for them.

    Args:
        points: of the batch.
        objects: of the batch.
        admitted: pairs that may be chosen.
        shrink: width and height of the shrunk box, as a share of the whole one's.
    """
    xy = points.xy.to(objects.boxes.dtype)
    parts = []
    for some, few in objects.in_turn():
        corner, opposite = few.boxes.split(2, dim=2)
        center, half = (corner + opposite) / 2, shrink * (opposite - corner) / 2
        shrunk = torch.cat([center - half, center + half], dim=2)
        in_middle = admitted[:, some] & torch.stack([inside(xy, boxes).T for boxes in shrunk])
        away = squared_center_distance(xy, few.boxes[:, :, None]).masked_fill(~admitted[:, some], torch.inf)
        least = torch.stack([part.amin(dim=2) for part in by_level(points, away)], dim=2)
        alone = ~on_levels(points, in_middle)
        nearest = admitted[:, some] & (away == least[..., points.level]) & alone[..., points.level]
        parts.append(Middle(in_middle, nearest))
    return Middle.joined(parts)


def on_levels(points: Points, chosen: Bool[Tensor, "B M P"]) -> Bool[Tensor, "B M L"]:
    """On which levels each object has one of these points."""
    return torch.stack([part.any(dim=2) for part in by_level(points, chosen)], dim=2)


def level_means(
    points: Points, values: Float[Tensor, "B M P"], chosen: Bool[Tensor, "B M P"]
) -> Float[Tensor, "B M L"]:
    """Mean of the values of these points on each level; NaN where an object has none of them."""
    sums = [part.sum(dim=2) for part in by_level(points, values.masked_fill(~chosen, 0))]
    counts = [part.sum(dim=2) for part in by_level(points, chosen)]
    return torch.stack(sums, dim=2) / torch.stack(counts, dim=2)


def level_shares(
    points: Points,
    values: Float[Tensor, "B M P"],
    chosen: Bool[Tensor, "B M P"],
    share: float,
    kind: Literal["quantile", "fixed_fraction"],
) -> Float[Tensor, "B M L"]:
    """The least `share` of the values of these points on each level: its largest, or its mean.

    Infinite or NaN where an object has none of these points.
    """
    stats = []
    for part in by_level(points, values.masked_fill(~chosen, torch.inf)):
        ascending = part.sort(dim=2).values
        # The first ⌈share · n⌉ of the n points.
        count = (share * part.isfinite().sum(dim=2, keepdim=True)).ceil().long()
        last = (count - 1).clamp(min=0)
        if kind == "quantile":
            stats.append(ascending.gather(2, last).squeeze(2))
        else:
            sums = ascending.masked_fill(ascending.isinf(), 0).cumsum(dim=2).gather(2, last)
            stats.append((sums / count).squeeze(2))
    return torch.stack(stats, dim=2)


def iou_with_level_squares(points: Points, boxes: Float[Tensor, "B M 4"], strides: float) -> Float[Tensor, "B M L"]:
    """IoU of each box with a square of so many strides of each level at its own centre."""
    center = (boxes[..., :2] + boxes[..., 2:]) / 2
    squares = []
    for stride in points.strides:
        half = strides * stride / 2
        squares.append(paired_iou(boxes, torch.cat([center - half, center + half], dim=-1)))
    return torch.stack(squares, dim=2)
