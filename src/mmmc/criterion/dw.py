"""DW's losses: each point counts for and against an object, by two separate weights (Li et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mmmc.assign import Assigner
from mmmc.assign.dw import DW
from mmmc.assign.shared.confidence import pair_confidence
from mmmc.boxes import paired_iou
from mmmc.criterion.joint import joint_score, require_same, with_gradient
from mmmc.criterion.pair_sums import WeighedObjects, WeighedPairs, stretched
from mmmc.criterion.protocol import Criterion
from mmmc.errors import InputError
from mmmc.losses import Losses, Term
from mmmc.parts import Part
from mmmc.structures import IGNORED, Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class DWCriterion(Criterion):
    """Cross-entropies against 1 by the assignment's weights of pairs, and against 0 by weights from the IoU.

    - `class`: -log(class probability · quality) of each pair by its weight, over the number of objects.
    - `box`: -log of the box's confidence, which is `box_power · (1 - GIoU)`, likewise.
    - `negative`: `w · p ** gamma · -log(1 - p)` of `p = class probability · quality`, over the sum of `1 - w`. The
      weight `w` is 1 but for the object's class at points in its box. There it is 1 up to an IoU of `least_iou`, falls
      as `1 - IoU ** power` to 0 at an IoU of 1, and is then moved and scaled to 0..1 within the object; where all of
      an object's points have the same, it stays as it is. Several objects of a class: the least `w` counts.

    No weight has a gradient. The quality branch learns whether there is an object, by the product alone. Objects in
    which no point lies count nowhere. Re-created from the paper and a description of the published code, not compared
    with that code's output. The paper's curve ends at an IoU of 0.95 and is not scaled; the description's is used. Its
    factor on the negative term is not described; 0.75 is the counterpart of 0.25, as in AutoAssign.

    Args:
        box_power: as the assigner's.
        least_iou: IoU from which a point in the box is less than fully a negative.
        power: exponent of the IoU, γ1.
        gamma: exponent of the score, γ2.
        class_factor: factor on the class term.
        box_factor: factor on the box term.
        negative_factor: factor on the negative term.
    """

    box_power: float = 5.0
    least_iou: float = 0.5
    power: float = 2.0
    gamma: float = 2.0
    class_factor: float = 0.25
    box_factor: float = 0.25
    negative_factor: float = 0.75

    def __post_init__(self) -> None:
        for name in ("box_power", "class_factor", "box_factor", "negative_factor"):
            if not 0 <= getattr(self, name) < torch.inf:
                raise InputError(f"criterion: {name} is {getattr(self, name)}; allowed: a finite number of at least 0.")
        if not 0 <= self.least_iou < 1:
            raise InputError(f"criterion: least_iou is {self.least_iou}; allowed: 0 to below 1.")
        if not 0 < self.power < torch.inf:
            raise InputError(f"criterion: power is {self.power}; allowed: a finite number above 0.")
        if not 0 <= self.gamma < torch.inf:
            raise InputError(f"criterion: gamma is {self.gamma}; allowed: a finite number of at least 0.")

    def require(self, assigner: Assigner, part: Part | None) -> None:
        """See `Criterion`."""
        require_same(self, assigner, DW, "box_power")

    def __call__(
        self, points: Points, prediction: Prediction, targets: Sequence[Target], assignment: Assignment
    ) -> Losses:
        """Terms `class`, `box` and `negative`, each with its own norm.

        Raises:
            TypeError: the assignment has no pairs.
        """
        with torch.autocast(points.xy.device.type, enabled=False):
            prediction = with_gradient(prediction)
            pairs = WeighedPairs.of(points, targets, assignment, prediction.boxes.dtype)
            cls, box, number = pairs.sums(lambda some: self._positive(prediction, some))
            remission = pairs.highest(lambda some: self._remission(prediction, some), prediction.logits.shape[2])
            taking_part = (assignment.gt != IGNORED)[..., None]
            score = joint_score(prediction)
            negative = (1 - remission) * (self.gamma * score.log).exp() * -score.log_rest * taking_part
            return Losses(
                {
                    "class": Term(self.class_factor * cls, number),
                    "box": Term(self.box_factor * box, number),
                    "negative": Term(self.negative_factor * negative.sum(), remission.sum()),
                }
            )

    def _positive(
        self, prediction: Prediction, some: WeighedObjects
    ) -> tuple[Float[Tensor, ""], Float[Tensor, ""], Float[Tensor, ""]]:
        """Weighed losses of class and box, summed over pairs, and the number of objects that have a pair."""
        confidence = pair_confidence(prediction, some.objects, self.box_power)
        # Of a pair that is none, 0 times an infinite loss would be no number.
        cls, box = (-(some.weights * log.where(some.pair, 0.0)).sum() for log in (confidence.cls, confidence.box))
        return cls, box, some.pair.any(dim=2).sum().to(cls.dtype)

    def _remission(self, prediction: Prediction, some: WeighedObjects) -> Float[Tensor, "B M P"]:
        """How far each point is excused from being a negative of the object's class: `1 - w`."""
        iou = paired_iou(*some.objects.with_each(prediction.boxes))
        weight = ((1 - iou**self.power) / (1 - self.least_iou**self.power)).clamp(min=0, max=1)
        return (1 - stretched(weight, some.pair, weight)).where(some.pair, 0.0)
