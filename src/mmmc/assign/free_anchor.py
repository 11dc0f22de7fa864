"""FreeAnchor: a bag of points for each object, weighed by how well they already match it (Zhang et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.bags import center_distances, foremost, log_matching, mean_max_weights
from mmmc.assign.shared.pairs import Objects, of_labels
from mmmc.assign.shared.weighing import Weighed, weigh
from mmmc.boxes import paired_giou, paired_iou
from mmmc.errors import InputError
from mmmc.structures import Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class FreeAnchor(Assigner):
    """The `bag` points of each object that seem best, weighed by 1 / (1 - P) over the bag.

    P is the probability of the object's class times exp(-`box_factor` · (1 - GIoU)) of the predicted box. A bag is
    taken among the points in the box, from all levels, and is all of them if they are fewer; a point may be in the
    bags of several objects. A method of weighed pairs: `mmmc.criterion.BagCriterion` belongs to it.

    The published bag holds the anchors of highest IoU with the object, whether near it or not. Here points take the
    place of anchors, and only those in the box, since distances to its sides cannot be negative. GIoU loss takes the
    place of smooth L1.

    Args:
        bag: points of an object; 50 is the published number of anchors.
        bag_by: which points seem best. `iou`: those whose predicted box has the highest IoU with the object; of equal
            ones, as where nothing overlaps yet, the nearest to its centre. `center`: the nearest to its centre in
            strides, which no prediction changes, as published bags do not change.
        box_factor: factor on the box loss in P. The published 0.75 belongs to smooth L1 on coded anchors, which is
            several times larger; 5 is AutoAssign's for GIoU in this place (Zhu et al. 2020).
    """

    bag: int = 50
    bag_by: Literal["iou", "center"] = "iou"
    box_factor: float = 5.0

    def __post_init__(self) -> None:
        name = type(self).__name__
        if not self.bag >= 1:
            raise InputError(f"assigner {name}: bag is {self.bag}; allowed: 1 or more.")
        if not 0 <= self.box_factor < torch.inf:
            raise InputError(
                f"assigner {name}: box_factor is {self.box_factor}; allowed: a finite number of at least 0."
            )

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch; see `Assigner`."""
        return weigh(self.weights, points, prediction, targets)

    def weights(self, points: Points, prediction: Prediction, objects: Objects) -> Weighed:
        """The rule for some objects of a batch."""
        predicted, truth = objects.with_each(prediction.boxes)
        logit, giou = of_labels(prediction.logits, objects.labels), paired_giou(predicted, truth)
        log_p = log_matching(logit, giou, self.box_factor)
        admitted = objects.in_box & log_p.isfinite()
        away = center_distances(points, objects)
        value = -away if self.bag_by == "center" else paired_iou(predicted, truth)
        bag = self.selected(log_p, away, foremost(value, away, admitted, self.bag))
        wrong = {
            term: (objects.in_box & ~seen.isfinite()).any(dim=2) for term, seen in (("class", logit), ("box", giou))
        }
        return Weighed(mean_max_weights(log_p, bag), admitted, wrong)

    def selected(
        self, log_p: Float[Tensor, "B M P"], away: Float[Tensor, "B M P"], bag: Bool[Tensor, "B M P"]
    ) -> Bool[Tensor, "B M P"]:
        """The pairs of each bag that are learned from: here all.

        Args:
            log_p: log P of each pair.
            away: distance from the object's centre, in strides.
            bag: which pairs are in a bag.
        """
        return bag
