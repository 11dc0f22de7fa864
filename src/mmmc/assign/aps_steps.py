"""What each step of APS finds, as values that can be printed and drawn."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmmc.assign.pairs import Objects, PairLosses
from mmmc.structures import Assignment


@dataclass(frozen=True)
class Candidates:
    """Step 1: for each object the best points of each level (Eqs. 4 and 5), best first.

    Attributes:
        point: index of the point; arbitrary where `valid` is false.
        cls: its class loss.
        reg: its box loss.
        valid: false where the object has fewer points on the level.
    """

    point: Int[Tensor, "B M L K"]
    cls: Float[Tensor, "B M L K"]
    reg: Float[Tensor, "B M L K"]
    valid: Bool[Tensor, "B M L K"]

    def spread(self, values: Tensor, points: int) -> Tensor:
        """A value `B M L K` of each candidate as one of each pair, `B M P`; false or 0 for pairs that are none."""
        # Entries that are not valid go to a column of their own, which is cut off.
        index = self.point.where(self.valid, points).flatten(2)
        dense = torch.zeros((*index.shape[:2], points + 1), dtype=values.dtype, device=values.device)
        return dense.scatter(2, index, values.flatten(2))[..., :points]

    def of(self, levels: Int[Tensor, "B M V"]) -> Candidates:
        """Those of some levels."""
        index = levels[..., None].expand(-1, -1, -1, self.point.shape[-1])
        return Candidates(*(getattr(self, name).gather(2, index) for name in ("point", "cls", "reg", "valid")))


@dataclass(frozen=True)
class Levels:
    """Step 2: the levels that each object chooses (Eq. 6).

    Attributes:
        stat: what levels are compared by, least is best; infinite for a level without a candidate.
        order: the best levels, best first; such without a candidate come last and hold none.
        chosen: the same as a mask.
    """

    stat: Float[Tensor, "B M L"]
    order: Int[Tensor, "B M V"]
    chosen: Bool[Tensor, "B M L"]


@dataclass(frozen=True)
class Scores:
    """Step 3: how well each candidate of the chosen levels serves both tasks.

    Attributes:
        fit: fitness `S_f` (Eq. 7), with the sign that makes small losses fit.
        alignment: `S_m` (Eq. 8), 0.5 where both losses are equal and less the further they lie apart.
        cost: what the split looks at, least is best: a score where high is good has its sign turned.
    """

    fit: Float[Tensor, "B M V K"]
    alignment: Float[Tensor, "B M V K"]
    cost: Float[Tensor, "B M V K"]


@dataclass(frozen=True)
class Split:
    """Step 4: which candidates answer for their object, before conflicts (Eq. 10).

    Attributes:
        positive: they do.
        ignored: between the two components (rule `b`).
    """

    positive: Bool[Tensor, "B M V K"]
    ignored: Bool[Tensor, "B M V K"]


@dataclass(frozen=True)
class Owners:
    """Step 5: who got each point, and how each object came by its points.

    Attributes:
        gt: index of the object, or `NEGATIVE`.
        state: an `ObjectState`.
    """

    gt: Int[Tensor, "B P"]
    state: Int[Tensor, "B M"]


@dataclass(frozen=True)
class Steps:
    """Everything that APS saw and decided for a batch, step by step, to be printed and drawn."""

    objects: Objects
    losses: PairLosses
    eligible: Bool[Tensor, "B M P"]
    candidates: Candidates
    levels: Levels
    shortlist: Candidates
    scores: Scores
    split: Split
    wanted: Bool[Tensor, "B M P"]
    assignment: Assignment
