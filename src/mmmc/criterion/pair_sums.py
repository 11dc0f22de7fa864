"""Losses over weighed pairs, some objects at a time: sums over pairs, and the highest value by class."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from mmmc.assign.shared.claims import some_at_a_time
from mmmc.assign.shared.pairs import Objects, gather_objects
from mmmc.errors import InputError
from mmmc.structures import IGNORED, Assignment, Points, Target

Some = TypeVar("Some")
"""Some of the objects, in whatever form."""


class WeighedObjects(NamedTuple):
    """Some objects of a batch and what their pairs weigh in losses.

    Attributes:
        objects: these.
        weights: of each pair, 0 where it is none and at points that take no part.
    """

    objects: Objects
    weights: Float[Tensor, "B M P"]

    @property
    def pair(self) -> Bool[Tensor, "B M P"]:
        """Which are pairs."""
        return self.weights > 0


@dataclass(frozen=True)
class WeighedPairs:
    """The pairs of a batch, which are looked at for some objects at a time.

    Attributes:
        points: of the batch.
        targets: of the batch.
        gt: of the assignment.
        pairs: of the assignment.
        dtype: in which losses are computed.
    """

    points: Points
    targets: Sequence[Target]
    gt: Int[Tensor, "B P"]
    pairs: Float[Tensor, "B M P"]
    dtype: torch.dtype

    @classmethod
    def of(cls, points: Points, targets: Sequence[Target], assignment: Assignment, dtype: torch.dtype) -> WeighedPairs:
        """Those of an assignment.

        Raises:
            InputError: it is of a rule that does not weigh pairs.
        """
        if assignment.pairs is None:
            raise InputError("The criterion needs an assignment with pairs; this one has an object for each point.")
        return cls(points, targets, assignment.gt, assignment.pairs, dtype)

    def sums(self, terms: Callable[[WeighedObjects], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """What `terms` says of all objects, if it adds up over them (`summed`)."""
        # What is computed again must not be kept meanwhile: of a part that is its weights too.
        return summed(list(some_at_a_time(self.targets)), lambda part: terms(self._weighed(*part)))

    @torch.no_grad()
    def highest(
        self, values: Callable[[WeighedObjects], Float[Tensor, "B M P"]], classes: int
    ) -> Float[Tensor, "B P C"]:
        """For each point and class the highest of the `values` of pairs with objects of that class, at least 0."""
        highest = torch.zeros(*self.gt.shape, classes, dtype=self.dtype, device=self.gt.device)
        for which, some in some_at_a_time(self.targets):
            part = self._weighed(which, some)
            highest = raised_by_class(highest, values(part), part.objects.labels)
        return highest

    def _weighed(self, which: slice, some: Sequence[Target]) -> WeighedObjects:
        weights = self.pairs[:, which].to(self.dtype).masked_fill((self.gt == IGNORED)[:, None], 0)
        return WeighedObjects(gather_objects(self.points, some, self.dtype), weights)


def summed(parts: Sequence[Some], terms: Callable[[Some], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
    """What `terms` says of all parts of the objects, if it adds up over them.

    If there are more than one, backward computes all terms again instead of keeping what belongs to each pair.
    """
    if len(parts) == 1:
        return terms(parts[0])
    found = [checkpoint(terms, part, use_reentrant=False, preserve_rng_state=False) for part in parts]
    return tuple(torch.stack(values).sum(dim=0) for values in zip(*found, strict=True))


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


def raised_by_class(
    highest: Float[Tensor, "B P C"], values: Float[Tensor, "B M P"], labels: Int[Tensor, "B M"]
) -> Float[Tensor, "B P C"]:
    """For each point and class the highest value among the objects of that class and what was there.

    Objects are scattered into their classes, so that nothing of the size `P·M·C` exists; their order plays no role.
    """
    index = labels[:, None].expand(-1, values.shape[2], -1)
    return highest.scatter_reduce(2, index, values.mT, "amax")
