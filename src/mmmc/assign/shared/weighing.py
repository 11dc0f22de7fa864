"""For methods that weigh pairs of object and point instead of choosing one object for each point."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from mmmc.assign.shared.claims import some_at_a_time
from mmmc.assign.shared.conflicts import object_states
from mmmc.assign.shared.pairs import Objects, gather_objects
from mmmc.assign.shared.rules import widened
from mmmc.boxes import area
from mmmc.structures import NEGATIVE, Assignment, Points, Prediction, Target


class Weighed(NamedTuple):
    """What a rule says of some objects of a batch.

    Attributes:
        weights: of each pair, 0 where it is none.
        admitted: pairs that the rule looks at; they say why an object has none.
        wrong: by the term that the rule looks at, which objects met a value that is not finite.
    """

    weights: Float[Tensor, "B M P"]
    admitted: Bool[Tensor, "B M P"]
    wrong: Mapping[str, Bool[Tensor, "B M"]]


WeighingRule = Callable[[Points, Prediction, Objects], Weighed]
"""It is called with some of each picture's objects and may not compare them."""


def weigh(rule: WeighingRule, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
    """Lift a rule for some objects of a batch to all: without gradient, in at least float32.

    Of all pairs at once nothing but the weights exists, which are the result.
    """
    with torch.no_grad(), torch.autocast(points.xy.device.type, enabled=False):
        dtype = torch.promote_types(prediction.boxes.dtype, torch.float32)
        prediction = widened(prediction, dtype)
        number = max(len(target.labels) for target in targets)
        pairs = prediction.boxes.new_empty(len(targets), number, len(points))
        parts = []
        for which, some in some_at_a_time(targets):
            objects = gather_objects(points, some, dtype)
            found = rule(points, prediction, objects)
            part = weighed(objects, *found)
            gt = part.gt.where(part.gt < 0, part.gt + which.start)
            parts.append(replace(part, gt=gt, pairs=pairs[:, which].copy_(found.weights)))
        return parts[0] if len(parts) == 1 else _joined(parts, pairs, targets)


def weighed(
    objects: Objects,
    weights: Float[Tensor, "B M P"],
    admitted: Bool[Tensor, "B M P"],
    wrong: Mapping[str, Bool[Tensor, "B M"]],
) -> Assignment:
    """The assignment that these weights of pairs describe.

    Each point's `gt` is the object of its heaviest pair (of equal ones the smallest object, as where each is the only
    one of its object) and its `weight` that pair's; other points weigh 1.

    Args:
        objects: of the batch.
        weights: as `Weighed`.
        admitted: as `Weighed`.
        wrong: as `Weighed`.
    """
    if weights.shape[1]:
        most, owner = _heaviest(weights, area(objects.boxes)[..., None])
    else:
        most = weights.new_zeros(weights.shape[0], weights.shape[2])
        owner = torch.zeros_like(most, dtype=torch.long)
    gt = owner.where(most > 0, NEGATIVE)
    held = (weights > 0).any(dim=2)
    state = object_states(gt, torch.zeros_like(held), objects.in_box, admitted, held=held)
    return Assignment(
        gt=gt,
        score=(gt >= 0).to(weights.dtype),
        weight=most.where(gt >= 0, 1.0),
        state=objects.per_picture(state),
        finite=~torch.stack(list(wrong.values())).any(dim=0).any(dim=1),
        not_finite={term: objects.per_picture(values) for term, values in wrong.items()},
        pairs=weights,
    )


def _heaviest(
    weights: Float[Tensor, "B M P"], sizes: Float[Tensor, "B M #P"]
) -> tuple[Float[Tensor, "B P"], Int[Tensor, "B P"]]:
    """The highest weight at each point and whose it is; of equal ones that of the least size, of these the first."""
    most = weights.amax(dim=1)
    return most, sizes.masked_fill(weights < most[:, None], torch.inf).argmin(dim=1)


def _joined(parts: Sequence[Assignment], pairs: Float[Tensor, "B M P"], targets: Sequence[Target]) -> Assignment:
    """The assignment of all objects from those of some each; the parts count objects as the whole does."""
    gt = torch.stack([part.gt for part in parts], dim=1)
    weights = torch.stack([part.weight for part in parts], dim=1).masked_fill(gt < 0, 0)
    sizes = area(pad_sequence([target.boxes for target in targets], batch_first=True).to(weights.dtype))
    most, owner = _heaviest(weights, sizes.gather(1, gt.clamp(min=0).flatten(1)).view_as(weights))
    gt = gt.gather(1, owner[:, None]).squeeze(1)
    return Assignment(
        gt=gt,
        score=(gt >= 0).to(weights.dtype),
        weight=most.where(gt >= 0, 1.0),
        state=[torch.cat(states) for states in zip(*(part.state for part in parts), strict=True)],
        finite=torch.stack([part.finite for part in parts]).all(dim=0),
        not_finite={
            term: [torch.cat(values) for values in zip(*(part.not_finite[term] for part in parts), strict=True)]
            for term in parts[0].not_finite
        },
        pairs=pairs,
    )
