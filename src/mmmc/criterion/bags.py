"""The losses of FreeAnchor and MAL: one good point in each bag, and background elsewhere (Zhang et al. 2019)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import softplus

from mmmc.assign.free_anchor import FreeAnchor
from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.bags import log_matching, miss
from mmmc.assign.shared.claims import some_at_a_time
from mmmc.assign.shared.pairs import Objects, gather_objects
from mmmc.boxes import paired_giou, paired_iou
from mmmc.criterion.pair_sums import raised_by_class
from mmmc.criterion.protocol import Criterion
from mmmc.errors import InputError
from mmmc.losses import Losses, Term
from mmmc.parts import Part
from mmmc.structures import IGNORED, Assignment, Points, Prediction, Target

SMALLEST_SPAN = 1e-12
"""Least IoU between `threshold` and an object's best that is divided by."""


@dataclass(frozen=True)
class BagCriterion(Criterion):
    """Loss of the bags and loss of the background; there is no quality branch. For `FreeAnchor` and `MAL`.

    The bag loss of an object is `alpha` · -log of the mean of P over its bag with weights 1 / (1 - P), and the weights
    have a gradient as well. The background loss of each point and class is (1 - `alpha`) · q ** `gamma` · -log(1 - q),
    where q is the class probability times 1 - m. m says how surely the point belongs to an object of the class: it
    rises linearly with the IoU of the predicted box, without gradient, from 0 at `threshold` to 1 at the object's
    best, and of several objects the highest counts.

    Args:
        bag: points of a bag; as the assigner's. The background term is divided by the objects times this number.
        box_factor: as the assigner's.
        alpha: share of the bag loss.
        gamma: exponent of q.
        threshold: IoU up to which a point is all background.
    """

    bag: int = 50
    box_factor: float = 5.0
    alpha: float = 0.5
    gamma: float = 2.0
    threshold: float = 0.6

    def __post_init__(self) -> None:
        for name, low, high in (("bag", 1, torch.inf), ("box_factor", 0, torch.inf), ("gamma", 1, torch.inf)):
            if not low <= getattr(self, name) < high:
                raise InputError(
                    f"criterion BagCriterion: {name} is {getattr(self, name)}; "
                    f"allowed: a finite number of at least {low}."
                )
        if not 0 <= self.alpha <= 1:
            raise InputError(f"criterion BagCriterion: alpha is {self.alpha}; allowed: 0 to 1.")
        if not 0 <= self.threshold < 1:
            raise InputError(f"criterion BagCriterion: threshold is {self.threshold}; allowed: 0 to below 1.")

    def require(self, assigner: Assigner, part: Part | None) -> None:
        """Raise `InputError` unless the assigner fills bags, and with the same options."""
        if not isinstance(assigner, FreeAnchor):
            raise InputError(
                f"criterion BagCriterion: the assigner is {type(assigner).__name__}; allowed: FreeAnchor, MAL."
            )
        for name in ("bag", "box_factor"):
            own, other = getattr(self, name), getattr(assigner, name)
            if own != other:
                raise InputError(
                    f"criterion BagCriterion: {name} is {own}; allowed: {other}, as the assigner's {name}."
                )

    def __call__(
        self, points: Points, prediction: Prediction, targets: Sequence[Target], assignment: Assignment
    ) -> Losses:
        """Terms `bag`, divided by the objects, and `background`, divided by the objects times `bag`.

        Without an object the background counts as if there were one.

        Raises:
            InputError: the assignment is of a method without pairs.
        """
        if assignment.pairs is None:
            raise InputError("criterion BagCriterion: the assignment has no pairs; allowed: FreeAnchor's or MAL's.")
        with torch.autocast(points.xy.device.type, enabled=False):
            dtype = torch.promote_types(prediction.boxes.dtype, torch.float32)
            logits, boxes = prediction.logits.to(dtype), prediction.boxes.to(dtype)
            used = torch.stack([points.within(target.size) for target in targets]) & (assignment.gt != IGNORED)
            belonging = torch.zeros_like(logits)
            for _, some in some_at_a_time(targets):
                objects = gather_objects(points, some, dtype)
                belonging = raised_by_class(belonging, self.belonging(boxes, objects, used), objects.labels)
            background = self.background_losses(logits, belonging).sum(dim=2).masked_fill(assignment.gt == IGNORED, 0)
            bags = [
                self.bag_losses(logits, boxes, gather_objects(points, some, dtype), assignment.pairs[:, which])
                for which, some in some_at_a_time(targets)
            ]
            # The branch has nothing to learn, but distributed training wants a gradient for every parameter.
            unused = 0 * prediction.quality.to(dtype).sum()
            count = float(sum(len(target.labels) for target in targets))
            number = torch.full((), count, dtype=dtype, device=logits.device)
            return Losses(
                {
                    "bag": Term(self.alpha * torch.cat(bags, dim=1).sum() + unused, number),
                    "background": Term((1 - self.alpha) * background.sum(), number * self.bag, floor=float(self.bag)),
                }
            )

    def bag_losses(
        self,
        logits: Float[Tensor, "B P C"],
        boxes: Float[Tensor, "B P 4"],
        objects: Objects,
        pairs: Float[Tensor, "B M P"],
    ) -> Float[Tensor, "B M"]:
        """-log of the weighted mean of P of each bag; 0 for an object without one.

        With weights 1 / (1 - P) this mean is N / (N + n), where N is the sum of the odds P / (1 - P) of the n points.
        """
        weight, point = pairs.topk(min(self.bag, pairs.shape[2]), dim=2)
        valid = weight > 0
        index = point * logits.shape[2] + objects.labels[..., None]
        logit = logits.flatten(1).gather(1, index.flatten(1)).view(index.shape)
        predicted = boxes.gather(1, point.flatten(1)[..., None].expand(-1, -1, 4)).view(*point.shape, 4)
        # Entries that are no pair get a unit box on both sides: a number without gradient instead of a branch on data.
        unit = (torch.arange(4, device=boxes.device) >= 2).to(boxes.dtype)
        truth = torch.where(valid[..., None], objects.boxes[:, :, None], unit)
        giou = paired_giou(torch.where(valid[..., None], predicted, unit), truth)
        log_p = log_matching(logit.where(valid, 0.0), giou, self.box_factor)
        log_odds = log_p - miss(log_p).log()
        empty = ~valid.any(dim=2, keepdim=True)
        total = log_odds.masked_fill(~(valid | empty), -torch.inf).logsumexp(dim=2)
        size = valid.sum(dim=2).clamp(min=1).to(total.dtype)
        return softplus(size.log() - total).masked_fill(empty[..., 0], 0)

    @torch.no_grad()
    def belonging(
        self, boxes: Float[Tensor, "B P 4"], objects: Objects, used: Bool[Tensor, "B P"]
    ) -> Float[Tensor, "B M P"]:
        """How surely each point belongs to each object; m is the highest of a class (Zhang et al. 2019, section 3.2).

        Args:
            boxes: predicted.
            objects: of the batch.
            used: points that count: not in the padding, and not ignored. Others belong to nothing.
        """
        iou = paired_iou(*objects.with_each(boxes)).masked_fill(~used[:, None], 0)
        span = (iou.amax(dim=2, keepdim=True) - self.threshold).clamp(min=SMALLEST_SPAN)
        return ((iou - self.threshold) / span).clamp(min=0, max=1)

    def background_losses(
        self, logits: Float[Tensor, "B P C"], belonging: Float[Tensor, "B P C"]
    ) -> Float[Tensor, "B P C"]:
        """q ** gamma · -log(1 - q) with q = p · (1 - m).

        1 - q is (1 + m · e^x) / (1 + e^x) of the logit x.
        """
        q = logits.sigmoid() * (1 - belonging)
        return q**self.gamma * (softplus(logits) - softplus(logits + belonging.log()))
