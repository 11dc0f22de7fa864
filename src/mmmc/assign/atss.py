"""ATSS: a threshold for each object from the statistics of its candidates (Zhang et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.claims import Claims, settled
from mmmc.assign.shared.rules import ImageLabels, inside, least, per_image
from mmmc.assign.shared.squares import iou_with_squares
from mmmc.boxes import squared_center_distance
from mmmc.errors import InputError
from mmmc.structures import Assignment, Points, Prediction, Target

ROUNDING = 1e-6
"""Candidates that lie alike round the centre have the same IoU, but not to the last bit."""


@dataclass(frozen=True)
class ATSS(Assigner):
    """Points near the centre whose square overlaps the object more than most of the nearest ones.

    On each level the `topk` points nearest to the object's centre are its candidates. The mean plus the standard
    deviation (unbiased, 0 for one candidate) of the IoUs of their virtual squares is the object's threshold; a
    candidate that reaches it and lies strictly inside the box is positive. A point that qualifies for several
    objects goes to the one of highest IoU. All other points are negative; none is ignored.

    Args:
        topk: candidates per level; a level with fewer points gives all.
        square_strides: side of the virtual square in strides. 8 is the published one and belongs to pictures of
            800 pixels and to FCOS's ranges of 8 strides; with objects half that large 4 takes its place.
    """

    topk: int = 9
    square_strides: float = 8.0

    def __post_init__(self) -> None:
        if not self.topk >= 1:
            raise InputError(f"assigner ATSS: topk is {self.topk}; allowed: 1 or more.")
        if not self.square_strides > 0:
            raise InputError(f"assigner ATSS: square_strides is {self.square_strides}; allowed: a number above 0.")

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch; see `Assigner`."""
        return per_image(self.image, points, prediction, targets)

    def image(self, points: Points, prediction: Prediction, target: Target) -> ImageLabels:
        """The rule for one picture."""
        return settled(self.claims, points, prediction, target)

    def claims(self, points: Points, prediction: Prediction, target: Target) -> Claims:
        """What these objects want, the highest overlap first."""
        dtype = prediction.boxes.dtype
        xy, boxes = points.xy.to(dtype), target.boxes.to(dtype)
        within = points.within(target.size)[:, None]
        in_box = inside(xy, boxes) & within
        iou = iou_with_squares(points, boxes, self.square_strides)
        near = self.nearest(points, xy, boxes, within)
        chosen = near & in_box & (iou >= self.threshold(iou, near) - ROUNDING)
        return Claims(chosen, -iou, chosen, in_box)

    def nearest(
        self, points: Points, xy: Float[Tensor, "P 2"], boxes: Float[Tensor, "M 4"], within: Bool[Tensor, "P 1"]
    ) -> Bool[Tensor, "P M"]:
        """The `topk` points of each level nearest to the centre of each object; of equally near ones the first."""
        away = squared_center_distance(xy[:, None], boxes).masked_fill(~within, torch.inf)
        sizes = [height * width for height, width in points.shapes]
        return torch.cat([least(part, self.topk, self.topk) for part in away.split(sizes)])

    @staticmethod
    def threshold(iou: Float[Tensor, "P M"], candidate: Bool[Tensor, "P M"]) -> Float[Tensor, " M"]:
        """Mean plus unbiased standard deviation of the candidates' IoUs."""
        count = candidate.sum(dim=0)
        mean = iou.masked_fill(~candidate, 0).sum(dim=0) / count.clamp(min=1)
        squares = (iou - mean).masked_fill(~candidate, 0).square().sum(dim=0)
        return mean + (squares / (count - 1).clamp(min=1)).sqrt()
