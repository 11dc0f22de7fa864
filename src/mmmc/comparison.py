"""Several assigners on the same predictions of one picture: what each gives, and how far they agree."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmmc.assign import Assigner, ignore_crowds
from mmmc.errors import InputError
from mmmc.structures import Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class Comparison:
    """Labels of one picture by several assigners, `A` in number. A value, as an assignment is.

    Attributes:
        names: of the assigners.
        points: that were assigned.
        target: the objects of the picture.
        assignments: one per assigner, each of a batch of this picture alone, with crowd regions ignored.
        counts: positive points of each object under each assigner; of one that weighs pairs, the points with a weight.
        agreement: of each two assigners, how many of their pairs of point and object they share: intersection over
            union of the two sets, over the whole picture. 1 where neither has any.
    """

    names: tuple[str, ...]
    points: Points
    target: Target
    assignments: tuple[Assignment, ...]
    counts: Int[Tensor, "A M"]
    agreement: Float[Tensor, "A A"]


def compare_assigners(
    assigners: Mapping[str, Assigner], points: Points, prediction: Prediction, target: Target
) -> Comparison:
    """What several assigners make of the same predictions of one picture.

    Args:
        assigners: by the name that each is to be called.
        points: where the detector looked.
        prediction: what it said there, for a batch of one picture.
        target: its objects.

    Raises:
        InputError: there is no assigner, the prediction is of several pictures, or an assigner reads a branch that
            the prediction does not have.

    Example:
        >>> points, prediction, (target,) = make_scene(0, images=1)
        >>> compare_assigners({"FCOS": FCOS(), "ATSS": ATSS()}, points, prediction, target).agreement
    """
    if not assigners:
        raise InputError("There is no assigner to compare; allowed: one or more.")
    if len(prediction.boxes) != 1:
        raise InputError(f"The prediction is of {len(prediction.boxes)} pictures; allowed: one.")
    assignments = tuple(
        ignore_crowds(points, _assigned(name, assigner, points, prediction, target), [target])
        for name, assigner in assigners.items()
    )
    pairs = [positive_pairs(assignment) for assignment in assignments]
    return Comparison(
        names=tuple(assigners),
        points=points,
        target=target,
        assignments=assignments,
        counts=torch.stack([chosen.sum(dim=1) for chosen in pairs]),
        agreement=torch.stack([torch.stack([overlap(one, other) for other in pairs]) for one in pairs]),
    )


def positive_pairs(assignment: Assignment, index: int = 0) -> Bool[Tensor, "M P"]:
    """Which points are positive for which objects of one picture of a batch; a method that weighs may give several."""
    objects = len(assignment.state[index])
    if assignment.pairs is not None:
        return assignment.pairs[index, :objects] > 0
    gt = assignment.gt[index]
    return gt == torch.arange(objects, device=gt.device)[:, None]


def overlap(one: Bool[Tensor, "M P"], other: Bool[Tensor, "M P"]) -> Float[Tensor, ""]:
    """Intersection over union of two sets of pairs; 1 if both are empty, since then nothing tells them apart."""
    union = (one | other).sum()
    return torch.where(union > 0, (one & other).sum() / union.clamp(min=1), 1.0)


def _assigned(name: str, assigner: Assigner, points: Points, prediction: Prediction, target: Target) -> Assignment:
    try:
        return assigner(points, prediction, [target])
    except KeyError as error:
        missing = error.args[0] if error.args else None
        if not isinstance(missing, str) or missing in prediction.extra:
            raise
        raise InputError(
            f"{name} reads {missing!r} of the prediction, which this detector does not give; "
            f"allowed: {', '.join(prediction.extra) or 'nothing besides class, box and quality'}."
        ) from error
