"""IQDet's losses: of predictions read between the points, and of the distribution that says where (Ma et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

from mmmc.assign.iqdet import IQDet, given, positions
from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.pairs import Objects, gather_objects
from mmmc.boxes import paired_giou, paired_iou
from mmmc.criterion.class_losses import ClassLoss, dense_class_loss
from mmmc.criterion.pair_sums import summed
from mmmc.criterion.protocol import Criterion
from mmmc.errors import InputError
from mmmc.losses import Losses, Term
from mmmc.parts import Part
from mmmc.parts.box_mixture import normalised, quality_logs
from mmmc.parts.level_grid import LevelGrid, level_grids
from mmmc.parts.quality_distribution import QualityDistribution
from mmmc.structures import IGNORED, NEGATIVE, Assignment, Points, Prediction, Target

Negatives = Literal["unread", "rest", "outside"]


@dataclass(frozen=True)
class IQDetCriterion(Criterion):
    """Losses of IQDet; its terms are `class`, `box`, `quality` and `distribution`.

    At the positions of each object, logits, boxes and quality are read from the points round them. The class target
    is the distribution's value there, for the object's class; the box loss, 1 - GIoU, weighs as much; the quality
    branch learns the IoU of the box that was read. Which points are negative for all classes is an option. The
    distribution learns, at all points in the box, the IoU of the box predicted there; each object and level weighs
    alike. Value, IoU and positions are targets and weights without gradient.

    Re-created from a description, since the published method has no public code; not verified against it.

    Args:
        class_loss: as `DenseCriterion.class_loss`. The targets are soft, and the least loss must lie at the target:
            `focal` has it elsewhere.
        alpha: weight of positives in the focal loss; negatives, also those of `varifocal`, weigh 1 - alpha.
        gamma: exponent of the class loss.
        negatives: `unread`, the points that no position is read from; `rest`, every point, by what the largest of its
            bilinear shares in a position leaves, so that a far corner of what is read is nearly a negative; `outside`,
            the same of points outside all boxes, since in a box the chance alone decides which points are read.
        class_factor: factor on the class term, which is divided by the number of positions.
        box_factor: factor on the box term, which is divided by the sum of the values.
        quality_factor: factor on the quality term, which is divided by the number of positions.
        distribution_factor: factor on the distribution's term, which is divided by the number of objects times their
            levels that have a point in the box; 1 is the published one.
    """

    class_loss: ClassLoss = "quality_focal"
    alpha: float = 0.25
    gamma: float = 2.0
    negatives: Negatives = "unread"
    class_factor: float = 1.0
    box_factor: float = 1.0
    quality_factor: float = 1.0
    distribution_factor: float = 1.0

    def __post_init__(self) -> None:
        for name, low, high in (("alpha", 0, 1), ("gamma", 0, torch.inf)):
            if not low <= getattr(self, name) <= high:
                raise InputError(
                    f"criterion IQDetCriterion: {name} is {getattr(self, name)}; allowed: {low} to {high}."
                )
        for name in ("class_factor", "box_factor", "quality_factor", "distribution_factor"):
            if not 0 <= getattr(self, name) < torch.inf:
                raise InputError(
                    f"criterion IQDetCriterion: {name} is {getattr(self, name)}; "
                    "allowed: a finite number of at least 0."
                )

    def require(self, assigner: Assigner, part: Part | None) -> None:
        """See `Criterion`."""
        if not isinstance(assigner, IQDet):
            raise InputError(f"criterion IQDetCriterion: assigner is {type(assigner).__name__}; allowed: IQDet.")
        if not isinstance(part, QualityDistribution):
            raise InputError(
                "criterion IQDetCriterion: model.part is "
                f"{'null' if part is None else type(part).__name__}; allowed: QualityDistribution."
            )
        for name in ("samples", "deviation"):
            own, drawn = getattr(assigner, name), getattr(part, name)
            if own != drawn:
                raise InputError(
                    f"assigner IQDet: {name} is {own}, but model.part says {drawn}, which is what counts; "
                    "allowed: the same in both."
                )

    def __call__(
        self, points: Points, prediction: Prediction, targets: Sequence[Target], assignment: Assignment
    ) -> Losses:
        """See `Criterion`.

        Raises:
            InputError: if the prediction or the assignment is not one of the method.
        """
        if "samples" not in prediction.extra or assignment.pairs is None:
            raise InputError(
                "criterion IQDetCriterion: needs predictions with the part QualityDistribution and labels of IQDet."
            )
        with torch.autocast(points.xy.device.type, enabled=False):
            dtype = torch.promote_types(prediction.boxes.dtype, torch.float32)
            logits, boxes = prediction.logits.to(dtype), prediction.boxes.to(dtype)
            objects, grids = gather_objects(points, targets, dtype), level_grids(points, targets)
            mixture, samples = (extra.to(dtype) for extra in given(prediction, objects))
            with torch.no_grad():
                found = positions(points, grids, objects, mixture, samples)
                paired = assignment.pairs.gather(2, found.corners.point.flatten(2)) > 0
                counted = found.counted & paired.view_as(found.corners.point).any(dim=3)
                value = found.value * counted
                unread, known = (assignment.gt == NEGATIVE).to(dtype), assignment.gt != IGNORED
                rest = known * (1 - found.corners.largest(counted, len(points)))
                outside = rest.masked_fill(objects.in_box.any(dim=1), 0)
                alone = {"unread": unread, "rest": rest, "outside": outside}[self.negatives]
            number = counted.sum().to(dtype)

            read = found.corners.read(logits)
            labels = objects.labels[..., None, None].expand(*counted.shape, 1)
            target = torch.zeros_like(read).scatter(3, labels, value[..., None])
            positive = self._class_loss(read, target).sum(dim=3) * counted
            negative = self._class_loss(logits, torch.zeros_like(logits)).sum(dim=2) * alone

            # Others get a unit box on both sides: a loss without gradient instead of a branch on data.
            unit = (torch.arange(4, device=boxes.device) >= 2).to(dtype)
            predicted = found.corners.read(boxes).where(counted[..., None], unit)
            truth = objects.boxes[:, :, None].expand_as(predicted).where(counted[..., None], unit)
            box = (1 - paired_giou(predicted, truth)) * value

            quality = found.corners.read(prediction.quality.to(dtype)[..., None])[..., 0]
            iou = paired_iou(predicted.detach(), truth).clamp(max=1)
            quality_loss = binary_cross_entropy_with_logits(quality, iou, reduction="none") * counted

            allowed = objects.in_box & (assignment.gt != IGNORED)[:, None]
            distribution = distribution_term(points, grids, objects, mixture, boxes.detach(), allowed)
            return Losses(
                {
                    "class": Term(self.class_factor * (positive.sum() + negative.sum()), number),
                    # A sum of values may be well below 1; only a true zero must not divide.
                    "box": Term(self.box_factor * box.sum(), value.sum(), floor=1e-6),
                    "quality": Term(self.quality_factor * quality_loss.sum(), number),
                    "distribution": Term(self.distribution_factor * distribution.sum, distribution.norm),
                }
            )

    def _class_loss(self, logits: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
        return dense_class_loss(logits, target, self.class_loss, alpha=self.alpha, gamma=self.gamma)


def distribution_term(
    points: Points,
    grids: Sequence[LevelGrid],
    objects: Objects,
    mixture: Float[Tensor, "B M L K 5"],
    boxes: Float[Tensor, "B P 4"],
    allowed: Bool[Tensor, "B M P"],
) -> Term:
    """Cross-entropy of the distribution's value with the IoU of the predicted box.

    The mean over the points of each object and level, summed; the norm counts the objects and levels that have any.
    Otherwise a large object's finest level, which alone has thousands of points, would be nearly all of the loss.

    Args:
        points: of the batch.
        grids: of its levels.
        objects: of the batch.
        mixture: of each object and level.
        boxes: predicted, without gradient.
        allowed: pairs that are learned.
    """
    sizes = [height * width for height, width in points.shapes]

    def sums(part: tuple[slice, Objects]) -> tuple[Tensor, ...]:
        which, some = part
        iou = paired_iou(*some.with_each(boxes)).clamp(max=1)
        # What is not finite elsewhere must not reach a gradient, not even times 0.
        iou = iou.where(allowed[:, which], 0)
        x1, y1, x2, y2 = some.boxes[..., None].unbind(2)
        total, norm = [], []
        parts = zip(
            grids,
            iou.split(sizes, dim=2),
            allowed[:, which].split(sizes, dim=2),
            mixture[:, which].unbind(2),
            strict=True,
        )
        for grid, target, mask, level_mixture in parts:
            # Columns and rows apart: a Gaussian is the product of two, so no tensor has all pairs and components.
            at_x, at_y = normalised(grid.x, x1, x2), normalised(grid.y, y1, y2)
            log_value, log_rest = quality_logs(level_mixture, at_x, at_y)
            loss = -(target * log_value.flatten(2) + (1 - target) * log_rest.flatten(2))
            count = mask.sum(dim=2)
            total.append((loss.masked_fill(~mask, 0).sum(dim=2) / count.clamp(min=1)).sum())
            norm.append((count > 0).sum())
        return torch.stack(total).sum(), torch.stack(norm).sum()

    total, norm = summed(list(objects.in_turn()), sums)
    return Term(total, norm.to(boxes.dtype))
