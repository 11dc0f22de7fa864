"""Rules that several assigners share: lifting to a batch, membership, conflicts, crowds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmmc.boxes import paired_iou
from mmmc.structures import IGNORED, NEGATIVE, Assignment, ObjectState, Points, Prediction, Target


class ImageLabels(NamedTuple):
    """An assignment of one picture; the fields are those of `Assignment` without the batch axis."""

    gt: Int[Tensor, " P"]
    score: Float[Tensor, " P"]
    weight: Float[Tensor, " P"]
    state: Int[Tensor, " M"]
    finite: Bool[Tensor, ""]


ImageRule = Callable[[Points, Prediction, Target], ImageLabels]
"""A rule for one picture. Its `Prediction` keeps a batch axis of one."""


def per_image(rule: ImageRule, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
    """Lift a rule written for one picture to the batch: without gradient, in at least float32."""
    with torch.no_grad(), torch.autocast(points.xy.device.type, enabled=False):
        # Values below float32 are widened, never narrowed: float64 stays what it is.
        dtype = torch.promote_types(prediction.boxes.dtype, torch.float32)
        labels = [
            rule(points, image_prediction(prediction, index, dtype), target) for index, target in enumerate(targets)
        ]
    return Assignment(
        gt=torch.stack([label.gt for label in labels]),
        score=torch.stack([label.score for label in labels]),
        weight=torch.stack([label.weight for label in labels]),
        state=[label.state for label in labels],
        finite=torch.stack([label.finite for label in labels]),
    )


def widened(prediction: Prediction, dtype: torch.dtype) -> Prediction:
    """The prediction without gradient and in this type."""
    return Prediction(
        logits=prediction.logits.detach().to(dtype),
        boxes=prediction.boxes.detach().to(dtype),
        quality=prediction.quality.detach().to(dtype),
        extra={name: value.detach().to(dtype) for name, value in prediction.extra.items()},
    )


def image_prediction(prediction: Prediction, index: int, dtype: torch.dtype) -> Prediction:
    """The prediction of one picture of the batch, without gradient and in this type, with a batch axis of one."""
    part = slice(index, index + 1)
    one = Prediction(
        logits=prediction.logits[part],
        boxes=prediction.boxes[part],
        quality=prediction.quality[part],
        extra={name: value[part] for name, value in prediction.extra.items()},
    )
    return widened(one, dtype)


def at_hand(values: Tensor) -> bool:
    """Whether the host can look at values without waiting for a device, so that work nobody needs may be left out."""
    return values.device.type == "cpu"


def inside(xy: Float[Tensor, "P 2"], boxes: Float[Tensor, "M 4"]) -> Bool[Tensor, "P M"]:
    """Which points lie strictly inside which boxes."""
    x, y = xy[:, 0, None], xy[:, 1, None]
    x1, y1, x2, y2 = boxes.unbind(1)
    return (x > x1) & (x < x2) & (y > y1) & (y < y2)


def lowest(cost: Float[Tensor, "P M"], candidate: Bool[Tensor, "P M"]) -> Int[Tensor, " P"]:
    """Conflicts: each point goes to the candidate object of lowest cost (of equals the first), else to none.

    For assigners of one's own (docs/your-own-assigner.md); those of this folder settle conflicts by `claims`.
    """
    if cost.shape[1] == 0:
        return cost.new_full((cost.shape[0],), NEGATIVE, dtype=torch.long)
    least, owner = cost.masked_fill(~candidate, torch.inf).min(dim=1)
    return owner.where(least.isfinite(), NEGATIVE)


def least(values: Float[Tensor, "P M"], count: int | Int[Tensor, " M"], most: int) -> Bool[Tensor, "P M"]:
    """The `count` least finite entries of each column; of equal ones the first.

    Args:
        values: what is compared; entries that are not finite are never taken.
        count: how many of each column; all that there are, if there are fewer.
        most: the largest count, known without asking the device.
    """
    most = min(most, len(values))
    if isinstance(count, int):
        # Filled on the device: a copy from the host would wait for it.
        count = torch.full((values.shape[1],), count, device=values.device)
    count = count.clamp(max=most)
    finite = values.isfinite()
    values = values.where(finite, torch.inf)
    ascending = values.topk(most, dim=0, largest=False).values
    last = ascending.gather(0, (count - 1).clamp(min=0)[None])
    below, equal = values < last, values == last
    room = count - below.sum(dim=0)
    return (below | (equal & (equal.cumsum(dim=0, dtype=torch.int32) <= room))) & finite & (count > 0)


def iou_with_objects(prediction: Prediction, boxes: Float[Tensor, "M 4"]) -> Float[Tensor, "P M"]:
    """IoU of the box predicted at each point of one picture with each of its objects."""
    predicted = prediction.boxes[0]
    shape = (len(predicted), len(boxes), 4)
    return paired_iou(predicted[:, None].expand(shape), boxes.expand(shape))


def all_finite(prediction: Prediction, within: Bool[Tensor, " P"]) -> Bool[Tensor, ""]:
    """Whether one picture's prediction is finite at all points that lie on it."""
    finite = prediction.logits[0].isfinite().all(dim=1) & prediction.boxes[0].isfinite().all(dim=1)
    return (finite & prediction.quality[0].isfinite() | ~within).all()


def hard_labels(
    gt: Int[Tensor, " P"], candidate: Bool[Tensor, "P M"], in_box: Bool[Tensor, "P M"], dtype: torch.dtype
) -> ImageLabels:
    """Labels of one picture with target 1 and weight 1, and for each object why it has no point, if it has none.

    Args:
        gt: object of each point after conflicts.
        candidate: pairs that the rule admits before conflicts.
        in_box: pairs whose point lies in the object's box.
        dtype: of score and weight.
    """
    return unit_labels(gt, in_box.any(dim=0), (candidate & in_box).any(dim=0), dtype)


def unit_labels(
    gt: Int[Tensor, " P"], holds: Bool[Tensor, " M"], admits: Bool[Tensor, " M"], dtype: torch.dtype
) -> ImageLabels:
    """As `hard_labels`, from what is known of each object.

    Args:
        gt: object of each point after conflicts.
        holds: whether a point lies in the object's box.
        admits: whether the rule admits one of these before conflicts.
        dtype: of score and weight.
    """
    # One more than objects, where points without one are counted and nobody looks.
    owned = gt.new_zeros(len(holds) + 1).index_add_(0, gt.where(gt >= 0, len(holds)), torch.ones_like(gt))[:-1]
    state = torch.full_like(owned, ObjectState.NO_POINT)
    state = state.masked_fill(holds, ObjectState.NO_CANDIDATE)
    state = state.masked_fill(admits, ObjectState.NONE_LEFT)
    state = state.masked_fill(owned > 0, ObjectState.CHOSEN)
    return ImageLabels(
        gt=gt,
        score=(gt >= 0).to(dtype),
        weight=torch.ones(len(gt), dtype=dtype, device=gt.device),
        state=state,
        finite=torch.ones((), dtype=torch.bool, device=gt.device),
    )


def ignore_crowds(points: Points, assignment: Assignment, targets: Sequence[Target]) -> Assignment:
    """Take negative points inside crowd regions out of the losses, as COCO's evaluation takes detections there out.

    A step of its own after any assigner, so that no rule has to know of crowds.
    """
    gt = torch.stack(
        [
            labels.masked_fill((labels == NEGATIVE) & inside(points.xy, target.crowd).any(dim=1), IGNORED)
            for labels, target in zip(assignment.gt, targets, strict=True)
        ]
    )
    return replace(assignment, gt=gt)
