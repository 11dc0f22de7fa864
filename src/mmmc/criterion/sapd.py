"""SAPD's criterion: the common losses by weight, and what the selection net is to learn (Zhu et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from torch.nn.functional import log_softmax

from mmmc.assign.protocol import Assigner
from mmmc.assign.sapd import SAPD, level_losses
from mmmc.assign.shared.pairs import gather_objects
from mmmc.assign.shared.rules import widened
from mmmc.criterion.common import BoxWeight, DenseCriterion
from mmmc.errors import InputError
from mmmc.losses import Losses, Term
from mmmc.parts.protocol import Part
from mmmc.parts.selection_net import LEVEL_LOGITS, SelectionNet
from mmmc.structures import Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class SAPDCriterion(DenseCriterion):
    """`DenseCriterion` whose class and box terms are both weighted sums over the sum of the positives' weights.

    With a selection net there is a term `levels`: the cross-entropy of the net's softmax against the level of lowest
    loss in the middle of each object's box, divided by the number of objects with a point. `levels agree`, which is
    only reported, is the share of these objects for which the net names that level.

    Re-created from descriptions of the method; not compared with the authors' code.

    Args:
        class_norm: as `DenseCriterion`; SAPD's is the sum of the weights.
        box_weight: as `DenseCriterion`; SAPD's is the assignment's weight alone.
        quality_factor: as `DenseCriterion`; SAPD has no quality branch, which leaves it untrained.
        levels_factor: factor on the term `levels`.
        shrink: of the middle, as that of the assigner.
    """

    class_norm: Literal["positives", "score", "weight"] = "weight"
    box_weight: BoxWeight = "none"
    quality_factor: float = 0.0
    levels_factor: float = 0.1
    shrink: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.levels_factor < torch.inf:
            raise InputError(
                f"criterion: levels_factor is {self.levels_factor}; allowed: a finite number of at least 0."
            )
        if not 0 < self.shrink <= 1:
            raise InputError(f"criterion: shrink is {self.shrink}; allowed: above 0 to 1.")

    def require(self, assigner: Assigner, part: Part | None) -> None:
        """See `Criterion`."""
        if not isinstance(assigner, SAPD):
            return  # with weights of 1 any assigner can be learned from, such as one for a warm start
        if assigner.shrink != self.shrink:
            raise InputError(
                f"criterion.shrink is {self.shrink}; allowed: assigner.shrink, which is {assigner.shrink}."
            )
        if assigner.levels == "net" and not isinstance(part, SelectionNet):
            raise InputError("assigner.levels is net; allowed with model.part: SelectionNet, else loss.")

    def __call__(
        self, points: Points, prediction: Prediction, targets: Sequence[Target], assignment: Assignment
    ) -> Losses:
        """The terms of `DenseCriterion`, and `levels` where there is a net."""
        losses = super().__call__(points, prediction, targets, assignment)
        if LEVEL_LOGITS not in prediction.extra:
            return losses
        with torch.autocast(points.xy.device.type, enabled=False):
            term, agree = self._levels(points, prediction, targets)
        return replace(
            losses, terms={**losses.terms, "levels": term}, watched={**losses.watched, "levels agree": agree}
        )

    def _levels(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> tuple[Term, Term]:
        """The net's loss, and how often it is right."""
        dtype = torch.promote_types(prediction.boxes.dtype, torch.float32)
        with torch.no_grad():
            objects = gather_objects(points, targets, dtype)
            mean = level_losses(points, widened(prediction, dtype), objects, self.shrink).mean
            known = mean.isfinite().any(dim=2)
            best = mean.nan_to_num(torch.inf).argmin(dim=2)
        logits = prediction.extra[LEVEL_LOGITS].to(dtype)
        cross_entropy = -log_softmax(logits, dim=2).gather(2, best[..., None]).squeeze(2)
        number = known.sum().to(dtype)
        right = (logits.detach().argmax(dim=2) == best) & known
        return (
            Term(self.levels_factor * cross_entropy.where(known, 0).sum(), number),
            Term(right.sum().to(dtype), number),
        )
