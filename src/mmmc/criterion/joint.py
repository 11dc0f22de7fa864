"""Losses of a score that is class probability times quality, learned as one (AutoAssign, DW)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from mmmc.structures import IGNORED, Assignment, Prediction


class JointScore(NamedTuple):
    """Logarithms of the score and of what it leaves to 1."""

    log: Float[Tensor, "B P C"]
    log_rest: Float[Tensor, "B P C"]


def with_gradient(prediction: Prediction) -> Prediction:
    """The prediction in at least float32; unlike `assign.rules.widened` it keeps its gradient."""
    dtype = torch.promote_types(prediction.boxes.dtype, torch.float32)
    return Prediction(
        logits=prediction.logits.to(dtype),
        boxes=prediction.boxes.to(dtype),
        quality=prediction.quality.to(dtype),
        extra={name: value.to(dtype) for name, value in prediction.extra.items()},
    )


def joint_score(prediction: Prediction) -> JointScore:
    """Of every point and class, from the logits: neither logarithm cancels."""
    logits, quality = prediction.logits, prediction.quality[..., None]
    log_class = logsigmoid(logits)
    # 1 - c · q = (1 - c) + c · (1 - q)
    log_rest = torch.logaddexp(logsigmoid(-logits), log_class + logsigmoid(-quality))
    return JointScore(log_class + logsigmoid(quality), log_rest)


def weights_in_losses(assignment: Assignment, dtype: torch.dtype) -> Float[Tensor, "B M P"]:
    """Weights of the assignment's pairs in this type, 0 at points that take no part.

    Raises:
        TypeError: the assignment is of a rule that does not weigh pairs.
    """
    if assignment.pairs is None:
        raise TypeError("This criterion needs an assignment with pairs; this one has an object for each point.")
    return assignment.pairs.to(dtype).masked_fill((assignment.gt == IGNORED)[:, None], 0)


def stretched(
    values: Float[Tensor, "B M P"], pair: Bool[Tensor, "B M P"], alone: Float[Tensor, "B M P"]
) -> Float[Tensor, "B M P"]:
    """Values of pairs moved and scaled so that each object's least is 0 and its highest 1; 0 for other points.

    Args:
        values: finite for pairs.
        pair: which are pairs.
        alone: what takes the place where all of an object's values are equal.
    """
    least = values.masked_fill(~pair, torch.inf).amin(dim=2, keepdim=True)
    span = values.masked_fill(~pair, -torch.inf).amax(dim=2, keepdim=True) - least
    return ((values - least) / span).where(span > 0, alone).where(pair, 0.0)


def highest_by_class(
    values: Float[Tensor, "B M P"], labels: Int[Tensor, "B M"], classes: int
) -> Float[Tensor, "B P C"]:
    """For each point and class the highest value among the objects of that class, at least 0.

    Objects are scattered into their classes, so that nothing of the size `P·M·C` exists; their order plays no role.
    """
    index = labels[:, None].expand(-1, values.shape[2], -1)
    empty = values.new_zeros(values.shape[0], values.shape[2], classes)
    return empty.scatter_reduce(2, index, values.mT, "amax")
