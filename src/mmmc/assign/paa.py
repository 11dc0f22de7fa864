"""PAA: a mixture of the losses of an object's candidates parts positives from negatives (Kim and Lee 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from mmmc.assign.candidates import best_candidates
from mmmc.assign.conflicts import object_states, owners
from mmmc.assign.pairs import Objects, gather_objects, pair_losses
from mmmc.assign.protocol import Assigner
from mmmc.assign.rules import widened
from mmmc.assign.split import parted
from mmmc.assign.squares import iou_with_squares
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
        prematch: `squares`: a point in the box belongs to the object that its square overlaps most, if by
            `least_iou`, or if no other point in the box overlaps the object more. `inside`: every point in the box,
            and a point that several objects make positive goes to the one of least loss.
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
            losses = pair_losses(points, prediction, objects)
            matched = self.matched(points, objects)
            candidates = best_candidates(points, losses, matched & losses.total.isfinite(), self.topk)
            cost, valid = candidates.cls + candidates.reg, candidates.valid
            positive, ignored = (
                candidates.spread(part.view_as(valid), len(points))
                for part in parted(
                    cost.flatten(2).flatten(0, 1), valid.flatten(2).flatten(0, 1), self.rule, scale="raw"
                )
            )
            gt = torch.full_like(prediction.quality, NEGATIVE, dtype=torch.long)
            if objects.boxes.shape[1]:
                gt = owners(losses.total, positive)
            state = object_states(gt, torch.zeros_like(objects.labels, dtype=torch.bool), objects.in_box, matched)
            bad = {"class": matched & ~losses.cls.isfinite(), "box": matched & ~losses.reg.isfinite()}
            seen = {term: wrong.any(dim=2) for term, wrong in bad.items()}
            return Assignment(
                gt=gt.masked_fill(ignored.any(dim=1) & (gt == NEGATIVE), IGNORED),
                score=(gt >= 0).to(dtype),
                weight=torch.ones(gt.shape, dtype=dtype, device=gt.device),
                state=objects.per_picture(state),
                finite=~torch.stack(list(seen.values())).any(dim=0).any(dim=1),
                not_finite={term: objects.per_picture(wrong) for term, wrong in seen.items()},
            )

    def matched(self, points: Points, objects: Objects) -> Bool[Tensor, "B M P"]:
        """Pairs that geometry admits."""
        if self.prematch == "inside" or not objects.boxes.shape[1]:
            return objects.in_box
        iou = torch.stack([iou_with_squares(points, boxes, self.square_strides).T for boxes in objects.boxes])
        iou = iou.masked_fill(~objects.in_box, -torch.inf)
        first = torch.arange(iou.shape[1], device=iou.device)[:, None] == iou.argmax(dim=1, keepdim=True)
        best = iou == iou.amax(dim=2, keepdim=True)
        return objects.in_box & first & ((iou >= self.least_iou) | best)
