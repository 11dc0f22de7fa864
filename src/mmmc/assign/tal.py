"""TAL: the points at which class score and box are best together (Feng et al. 2021, TOOD)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.claims import Claims, of_owner, settled
from mmmc.assign.shared.pairs import of_labels
from mmmc.assign.shared.rules import ImageLabels, all_finite, inside, iou_with_objects, least, per_image
from mmmc.boxes import paired_iou
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
        probability = prediction.logits.sigmoid()
        labels = settled(partial(self.claims, probability=probability), points, prediction, target)
        if self.target == "soft":
            labels = labels._replace(score=self.soft(labels.gt, probability[0], prediction.boxes[0], target))
        return labels._replace(finite=all_finite(prediction, points.within(target.size)))

    def claims(
        self, points: Points, prediction: Prediction, target: Target, *, probability: Float[Tensor, "1 P C"]
    ) -> Claims:
        """What these objects want, the highest overlap first; `probability` is of each class."""
        boxes = target.boxes.to(prediction.boxes.dtype)
        within = points.within(target.size)
        in_box = inside(points.xy.to(boxes.dtype), boxes) & within[:, None]
        iou = iou_with_objects(prediction, boxes)
        alignment = of_labels(probability, target.labels[None])[0].mT ** self.alpha * iou**self.beta
        best = least((-alignment).masked_fill(~within[:, None], torch.inf), self.topk, self.topk)
        chosen = best & in_box & (alignment > 0)
        return Claims(chosen, -iou, chosen, in_box)

    def soft(
        self, gt: Int[Tensor, " P"], probability: Float[Tensor, "P C"], boxes: Float[Tensor, "P 4"], target: Target
    ) -> Float[Tensor, " P"]:
        """Class targets: alignment over the object's highest, times the object's highest IoU, among its positives.

        Args:
            gt: object of each point.
            probability: of each class.
            boxes: predicted.
            target: the objects.
        """
        positive, number = gt >= 0, len(target.labels)
        truth = of_owner(target.boxes.to(boxes.dtype), gt)
        iou = paired_iou(boxes, truth).where(positive, 0)
        own = probability.gather(1, of_owner(target.labels, gt)[:, None])[:, 0]
        alignment = (own**self.alpha * iou**self.beta).where(positive, 0)
        index = gt.where(positive, number)
        best, highest = (
            boxes.new_zeros(number + 1).scatter_reduce(0, index, values, "amax")[index] for values in (iou, alignment)
        )
        return (alignment / highest.clamp(min=torch.finfo(boxes.dtype).tiny) * best).clamp(max=1)
