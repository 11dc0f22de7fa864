"""FCOS: ranges of object sizes per level, and sampling near the centre (Tian et al. 2019, 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.claims import Claims, settled
from mmmc.assign.shared.rules import ImageLabels, inside, per_image
from mmmc.boxes import area, center_offsets
from mmmc.errors import InputError
from mmmc.structures import Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class FCOS(Assigner):
    """Points near the centre of the object, on the level whose range holds the object's size.

    A point is positive for an object if it lies strictly inside the box, within `center_radius` strides of the
    box's centre in both directions, and if the largest of its four distances to the box's sides is within the
    range of its level, both ends included. A point that qualifies for several objects goes to the smallest.
    All other points are negative; none is ignored.

    Args:
        range_strides: largest distance that a level takes, in its strides; the next level begins where it ends,
            the first begins at 0 and the last is open. 8 is FCOS's 64, 128, 256, 512 px; `null` lifts the ranges.
        center_radius: half side of the square round the centre, in strides; `null` admits the whole box.
    """

    range_strides: float | None = 8.0
    center_radius: float | None = 1.5

    def __post_init__(self) -> None:
        for name in ("range_strides", "center_radius"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise InputError(f"assigner FCOS: {name} is {value}; allowed: a number above 0, or null for none.")

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch; see `Assigner`."""
        return per_image(self.image, points, prediction, targets)

    def image(self, points: Points, prediction: Prediction, target: Target) -> ImageLabels:
        """The rule for one picture."""
        return settled(self.claims, points, prediction, target)

    def claims(self, points: Points, prediction: Prediction, target: Target) -> Claims:
        """What these objects want, the smallest first."""
        dtype = prediction.boxes.dtype
        xy, boxes = points.xy.to(dtype), target.boxes.to(dtype)
        in_box = inside(xy, boxes) & points.within(target.size)[:, None]
        candidate = in_box & self.in_range(points, xy, boxes) & self.near_center(points, xy, boxes)
        smallest_first = area(boxes).expand(len(xy), -1)
        return Claims(candidate, smallest_first, candidate, in_box)

    def in_range(self, points: Points, xy: Float[Tensor, "P 2"], boxes: Float[Tensor, "M 4"]) -> Bool[Tensor, "#P #M"]:
        """Which points are on a level whose range holds `max(l, t, r, b)`, in pixels."""
        if self.range_strides is None:
            return torch.ones((1, 1), dtype=torch.bool, device=xy.device)
        bounds = [0.0, *(self.range_strides * stride for stride in points.strides[:-1]), torch.inf]
        low = torch.cat([xy.new_full((h * w,), b) for (h, w), b in zip(points.shapes, bounds[:-1], strict=True)])
        high = torch.cat([xy.new_full((h * w,), b) for (h, w), b in zip(points.shapes, bounds[1:], strict=True)])
        x, y = xy[:, 0, None], xy[:, 1, None]
        x1, y1, x2, y2 = boxes.unbind(1)
        farthest = torch.maximum(torch.maximum(x - x1, x2 - x), torch.maximum(y - y1, y2 - y))
        return (farthest >= low[:, None]) & (farthest <= high[:, None])

    def near_center(
        self, points: Points, xy: Float[Tensor, "P 2"], boxes: Float[Tensor, "M 4"]
    ) -> Bool[Tensor, "#P #M"]:
        """Which points lie strictly inside the square of `center_radius` strides round the centre."""
        if self.center_radius is None:
            return torch.ones((1, 1), dtype=torch.bool, device=xy.device)
        right, down = center_offsets(xy[:, None], boxes)
        return right.abs().maximum(down.abs()) < self.center_radius * points.stride.to(xy.dtype)[:, None]
