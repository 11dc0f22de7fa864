"""Predictions at positions between the points of a level, and what weight that gives each point."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmmc.parts.level_grid import LevelGrid
from mmmc.structures import Points


@dataclass(frozen=True)
class Corners:
    """The four points round each position, with their bilinear weights.

    Attributes:
        point: index of the point.
        weight: its share of what is read; the four sum to 1, or to 0 where there is nothing to read.
    """

    point: Int[Tensor, "B M S 4"]
    weight: Float[Tensor, "B M S 4"]

    @property
    def readable(self) -> Bool[Tensor, "B M S"]:
        """Positions whose level has a point on the picture."""
        return (self.weight > 0).any(dim=3)

    def read(self, values: Float[Tensor, "B P N"]) -> Float[Tensor, "B M S N"]:
        """Values of points, interpolated; differentiable."""
        index = self.point.flatten(1)[..., None].expand(-1, -1, values.shape[2])
        corners = values.gather(1, index).view(*self.point.shape, values.shape[2])
        return (corners * self.weight[..., None]).sum(dim=3)

    def spread(self, factor: Float[Tensor, "B M S"], points: int) -> Float[Tensor, "B M P"]:
        """Of each pair the weights by which positions read the point, each times the position's factor, summed.

        Adding in place has no fixed order on a GPU. So all entries of a point are given their sum, in one order,
        and it does not matter which of them is written.
        """
        weight, point = (self.weight * factor[..., None]).flatten(2), self.point.flatten(2)
        same = point[..., None] == point[..., None, :]
        total = (weight[..., None, :] * same).sum(dim=3)
        dense = torch.zeros(*point.shape[:2], points, dtype=weight.dtype, device=weight.device)
        return dense.scatter(2, point, total)

    def largest(self, counted: Bool[Tensor, "B M S"], points: int) -> Float[Tensor, "B P"]:
        """Of each point the largest weight by which one of these positions reads it; 0 if none does."""
        weight = (self.weight * counted[..., None]).flatten(1)
        dense = torch.zeros(len(weight), points, dtype=weight.dtype, device=weight.device)
        return dense.scatter_reduce(1, self.point.flatten(1), weight, "amax")


def corners(
    points: Points, grids: Sequence[LevelGrid], xy: Float[Tensor, "B M S 2"], level: Int[Tensor, "B M S"]
) -> Corners:
    """The points round positions.

    A position beyond the outermost points of its picture is read as the nearest position between them, so that
    nothing is read from the padding.

    Args:
        points: of the batch.
        grids: of its levels.
        xy: positions in pixels.
        level: the level that each is read from.
    """
    sizes = [height * width for height, width in points.shapes]
    origin = _of_level([sum(sizes[:index]) for index in range(len(sizes))], level)
    width = _of_level([width for _, width in points.shapes], level)
    stride = _of_level(points.strides, level)
    counts = torch.stack([torch.stack([g.columns.sum(dim=1), g.rows.sum(dim=1)], dim=1) for g in grids], dim=1)
    count = counts.gather(1, level.flatten(1)[..., None].expand(-1, -1, 2)).view(*level.shape, 2)
    last = (count - 1).clamp(min=0).to(xy.dtype)
    place = (xy / stride[..., None] - 0.5).clamp(min=0).minimum(last)
    low = place.floor()
    high = (low + 1).minimum(last)
    share = place - low
    exists = (count > 0).all(dim=3, keepdim=True)
    sides = torch.stack([low, high], dim=3).long()  # B M S (low, high) (x, y)
    shares = torch.stack([1 - share, share], dim=3)
    column, row = sides[..., None, :, 0], sides[..., :, None, 1]
    return Corners(
        point=(origin[..., None, None] + row * width[..., None, None] + column).flatten(3),
        weight=(shares[..., None, :, 0] * shares[..., :, None, 1]).flatten(3) * exists,
    )


def _of_level(values: Sequence[int], level: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """Each level's value; filled in on the device, since a copy of the values would wait for it."""
    found = torch.zeros_like(level)
    for index, value in enumerate(values):
        found = found.masked_fill(level == index, value)
    return found
