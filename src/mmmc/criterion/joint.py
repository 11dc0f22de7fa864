"""Losses of a score that is class probability times quality, learned as one (AutoAssign, DW)."""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from mmmc.assign.protocol import Assigner
from mmmc.criterion.protocol import Criterion
from mmmc.errors import InputError
from mmmc.structures import Prediction


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


def require_same(criterion: Criterion, assigner: Assigner, kind: type[Assigner], *options: str) -> None:
    """Raise `InputError` unless the assigner is of this kind and has the same values of these options."""
    name = type(criterion).__name__
    if not isinstance(assigner, kind):
        raise InputError(f"criterion {name}: assigner is {type(assigner).__name__}; allowed: {kind.__name__}.")
    for option in options:
        own, other = getattr(criterion, option), getattr(assigner, option)
        if own != other:
            raise InputError(f"criterion {name}: {option} is {own}; allowed: the assigner's, {other}.")
