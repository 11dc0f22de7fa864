"""The best points of each level for each object, whole batches at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmmc.assign.shared.pairs import PairLosses
from mmmc.structures import Points


@dataclass(frozen=True)
class Candidates:
    """For each object the best points of each level, best first.

    Attributes:
        point: index of the point; arbitrary where `valid` is false.
        cls: its class loss.
        reg: its box loss.
        valid: false where the object has fewer points on the level.
    """

    point: Int[Tensor, "B M L K"]
    cls: Float[Tensor, "B M L K"]
    reg: Float[Tensor, "B M L K"]
    valid: Bool[Tensor, "B M L K"]

    def spread(self, values: Tensor, points: int) -> Tensor:
        """A value `B M L K` of each candidate as one of each pair, `B M P`; false or 0 for pairs that are none."""
        # Entries that are not valid go to a column of their own, which is cut off.
        index = self.point.where(self.valid, points).flatten(2)
        dense = torch.zeros((*index.shape[:2], points + 1), dtype=values.dtype, device=values.device)
        return dense.scatter(2, index, values.flatten(2))[..., :points]

    def best(self) -> Bool[Tensor, "B M L K"]:
        """Of each object that of least class and box loss, or those."""
        total = (self.cls + self.reg).masked_fill(~self.valid, torch.inf)
        return (total == total.amin(dim=(2, 3), keepdim=True)) & self.valid

    @classmethod
    def joined(cls, parts: Sequence[Candidates]) -> Candidates:
        """Those of the objects of all parts."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts], dim=1) for field in fields(cls)))

    def of(self, levels: Int[Tensor, "B M V"]) -> Candidates:
        """Those of some levels."""
        index = levels[..., None].expand(-1, -1, -1, self.point.shape[-1])
        return Candidates(*(getattr(self, field.name).gather(2, index) for field in fields(self)))


def best_candidates(points: Points, losses: PairLosses, allowed: Bool[Tensor, "B M P"], count: int) -> Candidates:
    """On each level the `min(count, n)` allowed points of least class and box loss."""
    total = losses.total.masked_fill(~allowed, torch.inf)
    index, first = [], 0
    for (height, width), part in zip(points.shapes, by_level(points, total), strict=True):
        best = part.topk(min(count, part.shape[2]), largest=False).indices + first
        # A level with fewer points than that repeats its last; the repetition is not valid.
        ranks = torch.arange(count, device=best.device).clamp(max=best.shape[2] - 1)
        index.append(best[..., ranks])
        first += height * width
    point = torch.stack(index, dim=2)
    flat = point.flatten(2)
    repeated = torch.zeros_like(point, dtype=torch.bool)
    repeated[..., 1:] = point[..., 1:] == point[..., :-1]
    return Candidates(
        point=point,
        cls=losses.cls.gather(2, flat).view_as(point),
        reg=losses.reg.gather(2, flat).view_as(point),
        valid=allowed.gather(2, flat).view_as(point) & ~repeated,
    )


def by_level(points: Points, values: Float[Tensor, "B M P"] | Bool[Tensor, "B M P"]) -> Sequence[Tensor]:
    """Values of all points, cut into one tensor per level."""
    return values.split([height * width for height, width in points.shapes], dim=2)
