"""PAA: a mixture of the losses of an object's candidates parts positives from negatives (Kim and Lee 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.candidates import Candidates, best_candidates
from mmmc.assign.shared.conflicts import least_rank, object_states, owners
from mmmc.assign.shared.pairs import Objects, gather_objects, join_wrong, pair_losses
from mmmc.assign.shared.rules import widened
from mmmc.assign.shared.split import parted
from mmmc.assign.shared.squares import iou_with_squares
from mmmc.errors import InputError
from mmmc.structures import IGNORED, NEGATIVE, Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class PAA(Assigner):
    """Candidates whose loss belongs to the better of two Gaussians.

    The `topk` pre-matched points of least loss on each level are an object's candidates; their losses, focal loss
    over all classes plus 1 - GIoU, are parted by a mixture of two Gaussians. A single candidate is positive, and an
    object with a candidate has a positive before conflicts.

    Args:
        rule: `c`: what is no worse than the most likely member of the better Gaussian is positive, all else negative,
            as in the published code. `a`: all its members. `b`: as `c`, and what lies between the most likely
            members of both is ignored.
        prematch: `squares`: a point belongs to the object that its square overlaps most, of those in whose box it
            lies, if by `least_iou`, or if no other point in the box overlaps the object more. The published rule
            compares all objects, since its anchors may learn boxes that they lie outside of; distances to the sides
            cannot, so the comparison is among the objects that the point can answer for. `inside`: every point in
            the box, and a point that several objects make positive goes to the one of least loss.
        least_iou: for `squares`.
        square_strides: side of the square in strides; 8 is the published one.
        topk: candidates per level.
    """

    rule: Literal["a", "b", "c"] = "c"
    prematch: Literal["squares", "inside"] = "squares"
    least_iou: float = 0.1
    square_strides: float = 8.0
    topk: int = 9

    def __post_init__(self) -> None:
        if not 0 <= self.least_iou <= 1:
            raise InputError(f"assigner PAA: least_iou is {self.least_iou}; allowed: 0 to 1.")
        if not self.square_strides > 0:
            raise InputError(f"assigner PAA: square_strides is {self.square_strides}; allowed: a number above 0.")
        if not self.topk >= 1:
            raise InputError(f"assigner PAA: topk is {self.topk}; allowed: 1 or more.")

    @torch.no_grad()
    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch; see `Assigner`."""
        with torch.autocast(points.xy.device.type, enabled=False):
            dtype = torch.promote_types(prediction.boxes.dtype, torch.float32)
            prediction = widened(prediction, dtype)
            objects = gather_objects(points, targets, dtype)
            matched, losses_of = self.matched(points, objects), pair_losses(points, prediction)
            total = torch.full(matched.shape, torch.inf, dtype=dtype, device=matched.device)
            best, wrongs = [], []
            for some, few in objects.in_turn():
                admitted = matched[:, some]
                losses = losses_of(few, admitted)
                total[:, some] = losses.total
                best.append(best_candidates(points, losses, losses.finite(admitted), self.topk))
                wrongs.append(losses.wrong(admitted))
            candidates = Candidates.joined(best)
            cost, valid = candidates.cls + candidates.reg, candidates.valid
            positive, ignored = (
                candidates.spread(part.view_as(valid), len(points))
                for part in parted(
                    cost.flatten(2).flatten(0, 1), valid.flatten(2).flatten(0, 1), self.rule, scale="raw"
                )
            )
            gt = owners(total, positive)
            state = object_states(gt, torch.zeros_like(objects.labels, dtype=torch.bool), objects.in_box, matched)
            wrong = join_wrong(wrongs)
            return Assignment(
                gt=gt.masked_fill(ignored.any(dim=1) & (gt == NEGATIVE), IGNORED),
                score=(gt >= 0).to(dtype),
                weight=torch.ones(gt.shape, dtype=dtype, device=gt.device),
                state=objects.per_picture(state),
                finite=~torch.stack(list(wrong.values())).any(dim=0).any(dim=1),
                not_finite={term: objects.per_picture(values) for term, values in wrong.items()},
            )

    def matched(self, points: Points, objects: Objects) -> Bool[Tensor, "B M P"]:
        """Pairs that geometry admits."""
        if self.prematch == "inside" or not objects.boxes.shape[1]:
            return objects.in_box
        gt = least_rank(-self._square_ious(points, few) for _, few in objects.in_turn())
        matched = []
        for some, few in objects.in_turn():
            iou = self._square_ious(points, few)
            numbers = torch.arange(some.start, some.start + iou.shape[1], device=iou.device)
            best = iou == iou.amax(dim=2, keepdim=True)
            matched.append(few.in_box & (numbers[:, None] == gt[:, None]) & ((iou >= self.least_iou) | best))
        return torch.cat(matched, dim=1)

    def _square_ious(self, points: Points, objects: Objects) -> Float[Tensor, "B M P"]:
        """IoU of each object with the square of each point in its box; minus infinity elsewhere."""
        iou = torch.stack([iou_with_squares(points, boxes, self.square_strides).T for boxes in objects.boxes])
        return iou.masked_fill(~objects.in_box, -torch.inf)
