"""The criterion that all assigners share: focal loss, GIoU loss and binary cross-entropy on the quality branch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.nn.utils.rnn import pad_sequence

from mmmc.boxes import centerness, distances, paired_giou, paired_iou
from mmmc.criterion.class_losses import ClassLoss, dense_class_loss
from mmmc.criterion.distribution import distribution_loss
from mmmc.criterion.protocol import Criterion
from mmmc.errors import InputError
from mmmc.losses import Losses, Term
from mmmc.structures import IGNORED, Assignment, Points, Prediction, Target

QualityTarget = Literal["centerness", "iou", "giou"]
BoxWeight = Literal["none", "centerness", "iou", "score", "class"]


@dataclass(frozen=True)
class DenseCriterion(Criterion):
    """Class, box and quality losses of a dense head.

    Everything is computed for all points and masked, so nothing waits for the device. Computed in at least float32.

    Args:
        quality_target: what the quality branch learns: FCOS's centerness, the IoU, or, as MMMC (section 4.1), the
            GIoU of the predicted box.
        quality_range: how a GIoU in -1..1 becomes a probability: `clamp` to 0..1, or `half` = (GIoU + 1) / 2.
            With a target below 0 binary cross-entropy has no lower bound.
        quality_detach: keep the quality loss from moving the boxes. Binary cross-entropy is differentiable in its
            target, with gradient minus the logit.
        class_target: what the class branch learns at a positive point: the assignment's score, which is 1 unless an
            assigner says otherwise, or the IoU of the predicted box, detached.
        class_loss: `focal` (Lin et al. 2017) is meant for targets 0 and 1. For softer ones `quality_focal` weighs
            the cross-entropy by the distance from the target (Li et al. 2020, Eq. 2), and `varifocal` a positive by
            its target and a negative as focal loss does (Zhang et al. 2021, Eq. 2).
        class_norm: the class term is divided by the number of positives, or the sum of their class targets, or of
            their weights.
        box_weight: weight of each positive in the box loss, which is divided by the sum of the weights: its
            centerness, its IoU, the class target, or the highest class probability at the point.
            What is predicted is always detached: otherwise both losses shrink by making boxes worse.
        alpha: weight of positives in the focal loss (Lin et al. 2017, Eq. 5); negatives, also those of `varifocal`,
            weigh 1 - alpha.
        gamma: exponent of the class loss.
        distribution_factor: factor on the loss of the distances' bins (Li et al. 2020, Eq. 6) of a head that has them
            (`model.box_bins`). What lies beyond the last bin is learned as the last bin; the share of such distances
            is reported as `beyond bins`.
        class_factor: factor on the class term.
        box_factor: factor on the box term.
        quality_factor: factor on the quality term.
    """

    quality_target: QualityTarget = "giou"
    quality_range: Literal["clamp", "half"] = "clamp"
    quality_detach: bool = True
    class_target: Literal["assigned", "iou"] = "assigned"
    class_loss: ClassLoss = "focal"
    class_norm: Literal["positives", "score", "weight"] = "positives"
    box_weight: BoxWeight = "centerness"
    alpha: float = 0.25
    gamma: float = 2.0
    class_factor: float = 1.0
    box_factor: float = 1.0
    quality_factor: float = 1.0
    distribution_factor: float = 0.25

    def __post_init__(self) -> None:
        for name, low, high in (("alpha", 0, 1), ("gamma", 0, torch.inf)):
            if not low <= getattr(self, name) <= high:
                raise InputError(f"criterion: {name} is {getattr(self, name)}; allowed: {low} to {high}.")
        for name in ("class_factor", "box_factor", "quality_factor", "distribution_factor"):
            if not 0 <= getattr(self, name) < torch.inf:
                raise InputError(f"criterion: {name} is {getattr(self, name)}; allowed: a finite number of at least 0.")

    def __call__(
        self, points: Points, prediction: Prediction, targets: Sequence[Target], assignment: Assignment
    ) -> Losses:
        """Terms `class`, `box` and `quality`, and `distribution` of a head with bins, each with its own norm."""
        with torch.autocast(points.xy.device.type, enabled=False):
            point_losses = self.point_losses(points, prediction, targets, assignment)
            positives = assignment.positive.sum().to(point_losses["class"].dtype)
            class_norm, box_norm = point_losses.pop("class norm").sum(), point_losses.pop("box weight").sum()
            terms = {
                "class": Term(self.class_factor * point_losses["class"].sum(), class_norm),
                # A sum of centerness may be well below 1; only a true zero must not divide.
                "box": Term(self.box_factor * point_losses["box"].sum(), box_norm, floor=1e-6),
                "quality": Term(self.quality_factor * point_losses["quality"].sum(), positives),
            }
            watched = {}
            if "distribution" in point_losses:
                distribution = self.distribution_factor * point_losses["distribution"].sum()
                terms["distribution"] = Term(distribution, box_norm, floor=1e-6)
                watched["beyond bins"] = Term(point_losses["beyond bins"].sum(), positives)
            return Losses(terms, watched)

    def point_losses(
        self, points: Points, prediction: Prediction, targets: Sequence[Target], assignment: Assignment
    ) -> dict[str, Float[Tensor, "B P"]]:
        """Undivided losses at each point (`class`, `box`, `quality`; what loss maps show), `class norm`, `box weight`.

        With bins also `distribution`, the mean over the four sides, and `beyond bins`, the share of them.
        """
        dtype = torch.promote_types(prediction.boxes.dtype, torch.float32)
        logits, quality = prediction.logits.to(dtype), prediction.quality.to(dtype)
        positive = assignment.positive
        labels, target_boxes = gather_targets(assignment.gt, targets, dtype)
        weight = assignment.weight.to(dtype).masked_fill(assignment.gt == IGNORED, 0)

        # Other points get a unit box on both sides: a loss without gradient instead of a branch on data.
        # Made on the device: copying it there from a list would wait for the device.
        unit = (torch.arange(4, device=logits.device) >= 2).to(dtype)
        boxes = torch.where(positive[..., None], prediction.boxes.to(dtype), unit)
        target_boxes = torch.where(positive[..., None], target_boxes, unit)
        score = assignment.score.to(dtype) * positive
        if self.class_target == "iou":
            score = paired_iou(boxes.detach(), target_boxes) * positive
        one_hot = torch.zeros_like(logits).scatter_(2, labels[..., None], score[..., None])
        class_loss = dense_class_loss(logits, one_hot, self.class_loss, alpha=self.alpha, gamma=self.gamma)

        giou = paired_giou(boxes, target_boxes)
        ltrb = distances(points.xy.to(dtype), target_boxes)
        center = centerness(ltrb)
        box_weight = self._box_weight(center, boxes, target_boxes, score, logits) * weight * positive

        quality_loss = binary_cross_entropy_with_logits(
            quality, self._quality_target(center, giou, boxes, target_boxes), reduction="none"
        )
        losses = {
            "class": class_loss.sum(dim=2) * weight,
            "class norm": self._class_norm(score, weight) * positive,
            "box": (1 - giou) * box_weight,
            "quality": quality_loss * weight * positive,
            "box weight": box_weight,
        }
        if "bins" in prediction.extra:
            loss, beyond = distribution_loss(prediction.extra["bins"].to(dtype), ltrb / points.stride[:, None])
            losses["distribution"] = loss.mean(dim=2) * box_weight
            losses["beyond bins"] = beyond.to(dtype).mean(dim=2) * positive
        return losses

    def _class_norm(self, score: Float[Tensor, "B P"], weight: Float[Tensor, "B P"]) -> Float[Tensor, "B P"]:
        match self.class_norm:
            case "positives":
                return torch.ones_like(score)
            case "score":
                return score
            case "weight":
                return weight

    def _box_weight(
        self,
        center: Float[Tensor, "B P"],
        boxes: Float[Tensor, "B P 4"],
        target_boxes: Float[Tensor, "B P 4"],
        score: Float[Tensor, "B P"],
        logits: Float[Tensor, "B P C"],
    ) -> Float[Tensor, "B P"]:
        match self.box_weight:
            case "centerness":
                return center
            case "iou":
                return paired_iou(boxes.detach(), target_boxes)
            case "score":
                return score
            case "class":
                return logits.detach().sigmoid().amax(dim=2)
            case "none":
                return torch.ones_like(center)

    def _quality_target(
        self,
        center: Float[Tensor, "B P"],
        giou: Float[Tensor, "B P"],
        boxes: Float[Tensor, "B P 4"],
        target_boxes: Float[Tensor, "B P 4"],
    ) -> Float[Tensor, "B P"]:
        match self.quality_target:
            case "centerness":
                return center
            case "iou":
                target = paired_iou(boxes, target_boxes)
            case "giou":
                target = giou.clamp(min=0) if self.quality_range == "clamp" else (giou + 1) / 2
        # Rounding must not carry the target of a cross-entropy beyond 1.
        target = target.clamp(max=1)
        return target.detach() if self.quality_detach else target


def gather_targets(
    gt: Int[Tensor, "B P"], targets: Sequence[Target], dtype: torch.dtype
) -> tuple[Int[Tensor, "B P"], Float[Tensor, "B P 4"]]:
    """Label and box of the object that each point answers for; 0 and an arbitrary box for other points."""
    # One more row than objects, so that pictures without objects can be gathered from as well.
    labels = pad_sequence([torch.cat([t.labels, t.labels.new_zeros(1)]) for t in targets], batch_first=True)
    boxes = pad_sequence([torch.cat([t.boxes, t.boxes.new_zeros(1, 4)]) for t in targets], batch_first=True).to(dtype)
    index = gt.clamp(min=0)
    return labels.gather(1, index), boxes.gather(1, index[..., None].expand(-1, -1, 4))
