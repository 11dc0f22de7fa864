"""AutoAssign's losses: labels that are learned with the detector (Zhu et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mmmc.assign import Assigner
from mmmc.assign.auto_assign import AutoAssign, log_center_prior
from mmmc.assign.shared.confidence import pair_confidence
from mmmc.boxes import paired_iou
from mmmc.criterion.joint import joint_score, require_same, with_gradient
from mmmc.criterion.pair_sums import WeighedObjects, WeighedPairs, stretched
from mmmc.criterion.protocol import Criterion
from mmmc.errors import InputError
from mmmc.losses import Losses, Term
from mmmc.parts import CenterPrior, Part
from mmmc.structures import IGNORED, Assignment, Points, Prediction, Target

LEAST_REST = 1e-6
"""Least 1 - IoU that is divided by."""

LEAST_PRIOR = 1e-6
"""Least sum of a picture's `G` that is divided by."""


@dataclass(frozen=True)
class AutoAssignCriterion(Criterion):
    """One loss for each object over all its points, one for each point and class over all it is not.

    - `positive`: -log of the mean of `P+` over the points in the object's box, by the weights of the assigner
      `AutoAssign`, over the number of objects. The gradient also flows through the weights, to the prediction and to
      the learned Gaussians `G`: that is how labels are learned.
    - `negative`: `q ** gamma · -log(1 - q)` of `q = class probability · quality · (1 - m)`, over the sum of `G` of all
      pairs. `m` is 0 but for the object's class at points in its box: there it is `1 / (1 - IoU)`, moved and scaled to
      0..1 within the object. Several objects of a class: the highest `m` counts. A single point, or several of equal
      IoU, have `m` = 1. `m` has no gradient: boxes are not to become worse, or better, for the sake of the class.
    - `center`: the number of objects over the sum of `G` of their pairs, for each picture; then the mean over pictures.
      The weights are scaled to a sum of 1, so only this term keeps `G` from vanishing altogether.

    The quality branch learns whether there is an object, by the product alone; no loss is on it directly. Objects in
    which no point lies count nowhere. Re-created from the paper and a description of the published code, not compared
    with that code's output; the centre term and the reading of `m` are from the description.

    Args:
        confidence: as the assigner's.
        box_power: as the assigner's.
        gamma: exponent of the negative term.
        positive_factor: factor on the positive term.
        negative_factor: factor on the negative term.
        center_factor: factor on the centre term.
    """

    confidence: float = 3.0
    box_power: float = 5.0
    gamma: float = 2.0
    positive_factor: float = 0.25
    negative_factor: float = 0.75
    center_factor: float = 0.75

    def __post_init__(self) -> None:
        for name in ("confidence", "box_power", "positive_factor", "negative_factor", "center_factor"):
            if not 0 <= getattr(self, name) < torch.inf:
                raise InputError(f"criterion: {name} is {getattr(self, name)}; allowed: a finite number of at least 0.")
        if not 1 <= self.gamma < torch.inf:
            raise InputError(f"criterion: gamma is {self.gamma}; allowed: a finite number of at least 1.")

    def require(self, assigner: Assigner, part: Part | None) -> None:
        """See `Criterion`."""
        require_same(self, assigner, AutoAssign, "confidence", "box_power")
        if not isinstance(part, CenterPrior):
            found = "none" if part is None else type(part).__name__
            raise InputError(f"criterion AutoAssignCriterion: model.part is {found}; allowed: CenterPrior.")

    def __call__(
        self, points: Points, prediction: Prediction, targets: Sequence[Target], assignment: Assignment
    ) -> Losses:
        """Terms `positive`, `negative` and `center`, each with its own norm.

        Raises:
            TypeError: the assignment has no pairs.
        """
        with torch.autocast(points.xy.device.type, enabled=False):
            prediction = with_gradient(prediction)
            pairs = WeighedPairs.of(points, targets, assignment, prediction.boxes.dtype)
            positive, prior, number = pairs.sums(lambda some: self._positive(points, prediction, some))
            belonging = pairs.highest(lambda some: self._belonging(prediction, some), prediction.logits.shape[2])
            negative = self._negative(prediction, belonging) * (assignment.gt != IGNORED)[..., None]
            center = number / prior.clamp(min=LEAST_PRIOR)
            pictures = (number > 0).sum().to(prior.dtype)
            return Losses(
                {
                    "positive": Term(self.positive_factor * positive, number.sum()),
                    "negative": Term(self.negative_factor * negative.sum(), prior.detach().sum()),
                    "center": Term(self.center_factor * center.sum(), pictures),
                }
            )

    def _positive(
        self, points: Points, prediction: Prediction, some: WeighedObjects
    ) -> tuple[Float[Tensor, ""], Float[Tensor, " B"], Float[Tensor, " B"]]:
        """-log of the weighted mean of `P+`, summed over objects; of each picture the sum of `G` and the objects."""
        log_prior = log_center_prior(points, prediction, some.objects)
        log_p = pair_confidence(prediction, some.objects, self.box_power).both
        log_weight = self.confidence * log_p.exp() + log_prior
        # Filling also keeps gradients out, so that those of an object without a point are 0 and not no number.
        total, weighted = (
            values.masked_fill(~some.pair, -torch.inf).logsumexp(dim=2) for values in (log_weight, log_weight + log_p)
        )
        held = some.pair.any(dim=2)
        prior = log_prior.exp().where(some.pair, 0.0).sum(dim=(1, 2))
        return (total - weighted).where(held, 0.0).sum(), prior, held.sum(dim=1).to(prior.dtype)

    @staticmethod
    def _belonging(prediction: Prediction, some: WeighedObjects) -> Float[Tensor, "B M P"]:
        """`m` of every pair, 0 for other points."""
        iou = paired_iou(*some.objects.with_each(prediction.boxes))
        closeness = 1 / (1 - iou).clamp(min=LEAST_REST)
        return stretched(closeness, some.pair, torch.ones_like(closeness))

    def _negative(self, prediction: Prediction, m: Float[Tensor, "B P C"]) -> Float[Tensor, "B P C"]:
        """`q ** gamma · -log(1 - q)` of every point and class."""
        score = joint_score(prediction)
        # 1 - p · (1 - m) = (1 - p) + p · m
        log_rest = torch.logaddexp(score.log_rest, score.log + m.log())
        return (score.log.exp() * (1 - m)) ** self.gamma * -log_rest
