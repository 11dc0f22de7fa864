"""Losses as sums with their norms, so that what a term is divided by is its own business and exact on many devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Term:
    """One loss: a sum over points or objects, and what it is to be divided by.

    Attributes:
        sum: weighted sum over the batch, with gradient.
        norm: what the sum counts (positives, their centerness …), without gradient.
        floor: the least that is divided by, so that a step without objects stays finite.
    """

    sum: Float[Tensor, ""]
    norm: Float[Tensor, ""]
    floor: float = 1.0

    @property
    def divisor(self) -> Float[Tensor, ""]:
        """What the sum is divided by if this batch is the whole step."""
        return self.norm.clamp(min=self.floor)


@dataclass(frozen=True)
class Losses:
    """All terms of a batch by name.

    Attributes:
        terms: what is added up and learned from.
        watched: shares that are only reported.
    """

    terms: Mapping[str, Term]
    watched: Mapping[str, Term] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Term:
        return self.terms[name]

    def divided(self, divisors: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Each term as a loss. `divisors` are those of the whole step where this batch is a part of it."""
        return {name: term.sum / (divisors[name] if divisors else term.divisor) for name, term in self.terms.items()}

    def total(self, divisors: Mapping[str, Tensor] | None = None) -> Float[Tensor, ""]:
        """Sum of the divided terms, to call `backward` on."""
        return torch.stack(list(self.divided(divisors).values())).sum()
