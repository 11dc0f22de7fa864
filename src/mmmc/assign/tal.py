"""TAL: the points at which class score and box are best together (Feng et al. 2021, TOOD)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmmc.assign.pairs import of_labels
from mmmc.assign.protocol import Assigner
from mmmc.assign.rules import ImageLabels, all_finite, hard_labels, inside, iou_with_objects, least, lowest, per_image
from mmmc.errors import InputError
from mmmc.structures import Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class TAL(Assigner):
    """The `topk` points of highest alignment `p ** alpha · IoU ** beta` for each object.

    They are taken over all levels; those outside the box, or of alignment 0, drop out afterwards. A point that
    several objects want goes to the one of highest IoU. Early in training `IoU ** 6` is close to 0 everywhere, so
    the method trains its first epochs with ATSS; the recipe's `warm_start` says so.

    Args:
        topk: points that an object may want.
        alpha: exponent of the probability of the object's class.
        beta: exponent of the IoU of the predicted box.
        target: class target of a positive: `soft` is its alignment, scaled so that the object's best has the
            object's best IoU; `hard` is 1.
    """

    topk: int = 13
    alpha: float = 1.0
    beta: float = 6.0
    target: Literal["soft", "hard"] = "soft"

    def __post_init__(self) -> None:
        if not self.topk >= 1:
            raise InputError(f"assigner TAL: topk is {self.topk}; allowed: 1 or more.")
        for name in ("alpha", "beta"):
            if not getattr(self, name) >= 0:
                raise InputError(f"assigner TAL: {name} is {getattr(self, name)}; allowed: 0 or more.")

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch; see `Assigner`."""
        return per_image(self.image, points, prediction, targets)

    def image(self, points: Points, prediction: Prediction, target: Target) -> ImageLabels:
        """The rule for one picture."""
        boxes = target.boxes.to(prediction.boxes.dtype)
        within = points.within(target.size)
        in_box = inside(points.xy.to(boxes.dtype), boxes) & within[:, None]
        iou = iou_with_objects(prediction, boxes)
        probability = of_labels(prediction.logits.sigmoid(), target.labels[None])[0].mT
        alignment = probability**self.alpha * iou**self.beta
        best = least((-alignment).masked_fill(~within[:, None], torch.inf), self.topk, self.topk)
        chosen = best & in_box & (alignment > 0)
        labels = hard_labels(lowest(-iou, chosen), chosen, in_box, boxes.dtype)
        if self.target == "soft":
            labels = labels._replace(score=self.soft(labels.gt, alignment, iou))
        return labels._replace(finite=all_finite(prediction, within))

    @staticmethod
    def soft(gt: Int[Tensor, " P"], alignment: Float[Tensor, "P M"], iou: Float[Tensor, "P M"]) -> Float[Tensor, " P"]:
        """Class targets: alignment over the object's highest, times the object's highest IoU, among its positives."""
        if alignment.shape[1] == 0:
            return alignment.new_zeros(len(gt))
        owned = gt[:, None] == torch.arange(alignment.shape[1], device=gt.device)
        alignment, iou = alignment.masked_fill(~owned, 0), iou.masked_fill(~owned, 0)
        highest = alignment.amax(dim=0).clamp(min=torch.finfo(alignment.dtype).tiny)
        return (alignment / highest * iou.amax(dim=0)).sum(dim=1).clamp(max=1)
