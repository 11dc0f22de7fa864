"""RetinaNet's rule: thresholds on the IoU with an anchor, here a square round the point (Lin et al. 2017)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.claims import Claims, settled
from mmmc.assign.shared.rules import ImageLabels, inside, per_image
from mmmc.assign.shared.squares import iou_with_squares
from mmmc.errors import InputError
from mmmc.structures import Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class MaxIoU(Assigner):
    """Points whose square overlaps an object enough; what is neither enough nor little is ignored.

    A point strictly inside a box is a candidate if the IoU of its square with the box reaches `positive`, or if no
    other point in the box has a higher one. Of several objects the one of highest IoU gets it. Other points whose
    highest IoU reaches `negative` are ignored, all others negative. RetinaNet's nine anchors a cell are one square
    here, and it admits points outside the box, whose distances a head with ReLU cannot express.

    Args:
        positive: least IoU of a positive.
        negative: least IoU of an ignored point; `positive` for no ignored ones.
        square_strides: side of the virtual square in strides.
        keep_best: whether each object keeps its best point below the threshold.
    """

    positive: float = 0.5
    negative: float = 0.4
    square_strides: float = 8.0
    keep_best: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.negative <= self.positive <= 1:
            raise InputError(
                f"assigner MaxIoU: negative is {self.negative} and positive {self.positive}; "
                "allowed: 0 < negative <= positive <= 1."
            )
        if not self.square_strides > 0:
            raise InputError(f"assigner MaxIoU: square_strides is {self.square_strides}; allowed: a number above 0.")

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch; see `Assigner`."""
        return per_image(self.image, points, prediction, targets)

    def image(self, points: Points, prediction: Prediction, target: Target) -> ImageLabels:
        """The rule for one picture."""
        return settled(self.claims, points, prediction, target)

    def claims(self, points: Points, prediction: Prediction, target: Target) -> Claims:
        """What these objects want, the highest overlap first, and what they overlap too much to be background."""
        dtype = prediction.boxes.dtype
        boxes = target.boxes.to(dtype)
        within = points.within(target.size)
        in_box = inside(points.xy.to(dtype), boxes) & within[:, None]
        iou = iou_with_squares(points, boxes, self.square_strides)
        candidate = in_box & (iou >= self.positive)
        if self.keep_best:
            candidate |= in_box & (iou == iou.masked_fill(~in_box, -torch.inf).amax(dim=0))
        return Claims(candidate, -iou, candidate, in_box, ignored=(iou >= self.negative) & within[:, None])
