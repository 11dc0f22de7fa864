"""For methods that weigh pairs of object and point instead of choosing one object for each point."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmmc.assign.conflicts import object_states
from mmmc.assign.pairs import Objects
from mmmc.boxes import area
from mmmc.structures import NEGATIVE, Assignment


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
        weights: of each pair, 0 where it is none.
        admitted: pairs that the rule looks at; they say why an object has none.
        wrong: by the term that the rule looks at, which objects met a value that is not finite.
    """
    if weights.shape[1]:
        heaviest = weights.amax(dim=1)
        rivals = area(objects.boxes)[..., None].masked_fill(weights < heaviest[:, None], torch.inf)
        owner = rivals.argmin(dim=1)
    else:
        heaviest = weights.new_zeros(weights.shape[0], weights.shape[2])
        owner = torch.zeros_like(heaviest, dtype=torch.long)
    gt = owner.where(heaviest > 0, NEGATIVE)
    held = (weights > 0).any(dim=2)
    state = object_states(gt, torch.zeros_like(held), objects.in_box, admitted, held=held)
    return Assignment(
        gt=gt,
        score=(gt >= 0).to(weights.dtype),
        weight=heaviest.where(gt >= 0, 1.0),
        state=objects.per_picture(state),
        finite=~torch.stack(list(wrong.values())).any(dim=0).any(dim=1),
        not_finite={term: objects.per_picture(values) for term, values in wrong.items()},
        pairs=weights,
    )
