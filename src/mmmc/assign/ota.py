"""OTA: labels as an optimal transport from objects and background to points (Ge et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from mmmc.assign.fcos import FCOS
from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.claims import AT_ONCE
from mmmc.assign.shared.conflicts import owners
from mmmc.assign.shared.dynamic_k import dynamic_k
from mmmc.assign.shared.pairs import class_table, iou_losses, of_labels
from mmmc.assign.shared.rules import ImageLabels, all_finite, hard_labels, inside, iou_with_objects, per_image
from mmmc.errors import InputError
from mmmc.structures import Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class OTA(Assigner):
    """Each object supplies `k` positive labels, the background the rest; the cheapest plan says who gets them.

    A pair is possible if its point lies in the box and in the square of `radius` strides round the centre. Its cost
    is the focal loss summed over all classes plus `box_cost` times -log IoU; that of the background is the focal
    loss against no class. `k` is the sum of the `topk` best IoUs, rounded down, at least 1. The plan is Sinkhorn's,
    in logarithms; a point goes to the row that gives it most, measured by the most that the row gives to any point;
    where rows are equal, to the object of least cost.

    Args:
        radius: half side of the square, in strides.
        box_cost: factor on -log IoU.
        topk: how many IoUs make up `k`.
        epsilon: how much the plan is smoothed.
        iterations: of Sinkhorn's algorithm.
    """

    radius: float = 2.5
    box_cost: float = 1.5
    topk: int = 20
    epsilon: float = 0.1
    iterations: int = 50

    def __post_init__(self) -> None:
        for name in ("radius", "epsilon"):
            if not getattr(self, name) > 0:
                raise InputError(f"assigner OTA: {name} is {getattr(self, name)}; allowed: a number above 0.")
        if not self.box_cost >= 0:
            raise InputError(f"assigner OTA: box_cost is {self.box_cost}; allowed: 0 or more.")
        for name in ("topk", "iterations"):
            if not getattr(self, name) >= 1:
                raise InputError(f"assigner OTA: {name} is {getattr(self, name)}; allowed: 1 or more.")

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch; see `Assigner`."""
        return per_image(self.image, points, prediction, targets)

    def image(self, points: Points, prediction: Prediction, target: Target) -> ImageLabels:
        """The rule for one picture."""
        boxes = target.boxes.to(prediction.boxes.dtype)
        xy, within = points.xy.to(boxes.dtype), points.within(target.size)
        in_box = inside(xy, boxes) & within[:, None]
        background, table = background_losses(prediction.logits[0]), class_table(prediction.logits)
        known = within & background.isfinite()
        rows = torch.full((len(boxes) + 1, len(xy)), torch.inf, dtype=boxes.dtype, device=boxes.device)
        rows[-1] = background.masked_fill(~known, torch.inf)
        supplies = [boxes.new_zeros(0)]
        for first in range(0, len(boxes), AT_ONCE):
            some = slice(first, first + AT_ONCE)
            few = boxes[some]
            iou = iou_with_objects(prediction, few)
            cost = of_labels(table, target.labels[None, some])[0] + self.box_cost * iou_losses(iou).mT
            # A value that is not finite would spoil the plan of the whole picture.
            possible = in_box[:, some] & FCOS(None, self.radius).near_center(points, xy, few) & cost.mT.isfinite()
            supplies.append(dynamic_k(iou, possible, self.topk).where(possible.any(dim=0), 0).to(boxes.dtype))
            rows[:-1][some] = cost.masked_fill(~(possible.mT & known), torch.inf)
        supply = torch.cat(supplies)
        rest = (known.sum() - supply.sum()).clamp(min=0)
        plan = sinkhorn(rows, torch.cat([supply, rest[None]]), known.to(boxes.dtype), self.epsilon, self.iterations)
        # Every row by its largest entry; a row that gives nothing stays at minus infinity.
        most = plan.amax(dim=1, keepdim=True)
        share = plan.sub_(most).masked_fill_(~most.isfinite(), -torch.inf)
        # Two rows may have their largest entry at one point: the cheaper object gets it, an object before background.
        gives = (share == share.amax(dim=0)) & (share > -torch.inf)
        gt = owners(rows[None, :-1], gives[None, :-1])[0]
        labels = hard_labels(gt, rows[:-1].mT < torch.inf, in_box, boxes.dtype)
        return labels._replace(finite=all_finite(prediction, within))


def background_losses(logits: Float[Tensor, "P C"], alpha: float = 0.25, gamma: float = 2.0) -> Float[Tensor, " P"]:
    """Focal loss of each point if it answered for no object."""
    return ((1 - alpha) * logits.sigmoid() ** gamma * softplus(logits)).sum(dim=1)


def sinkhorn(
    cost: Float[Tensor, "N P"],
    supply: Float[Tensor, " N"],
    demand: Float[Tensor, " P"],
    epsilon: float,
    iterations: int,
) -> Float[Tensor, "N P"]:
    """Logarithm of the plan that moves supplies to demands at least cost, smoothed by its entropy (Cuturi 2013).

    Columns are scaled first and rows last, so rows hold exactly and columns nearly.

    Args:
        cost: of each pair; infinite where nothing may move.
        supply: of each row.
        demand: of each column.
        epsilon: factor on the entropy.
        iterations: scalings of columns and rows.
    """
    kernel = cost / -epsilon
    row = torch.zeros_like(supply)
    for _ in range(iterations):
        column = _scaling(demand, (kernel + row[:, None]).logsumexp(dim=0))
        row = _scaling(supply, (kernel + column).logsumexp(dim=1))
    return kernel + row[:, None] + column


def _scaling(wanted: Float[Tensor, " _"], moved: Float[Tensor, " _"]) -> Float[Tensor, " _"]:
    """Logarithm of the factor that brings what is moved to what is wanted; minus infinity where nothing can move."""
    return torch.where(moved.isfinite(), wanted.log() - moved, -torch.inf)
