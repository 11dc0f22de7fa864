"""What each step of APS finds, as values that can be printed and drawn."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmmc.assign.shared.candidates import Candidates
from mmmc.assign.shared.pairs import Objects
from mmmc.structures import Assignment


@dataclass(frozen=True)
class Looked:
    """Step 1, and all that later steps need to know of the pairs that are no candidates.

    Attributes:
        cost: `Lc + Lr` of each pair; infinite where the point may not answer for the object.
        candidates: on each level the best points of each object (Eqs. 4 and 5).
        stat: what the levels are judged by; NaN or infinite where a level has nothing to judge.
        wrong: by the name of a loss, which objects met one that is not finite.
    """

    cost: Float[Tensor, "B M P"]
    candidates: Candidates
    stat: Float[Tensor, "B M L"]
    wrong: Mapping[str, Bool[Tensor, "B M"]]

    @property
    def eligible(self) -> Bool[Tensor, "B M P"]:
        """Pairs whose point may answer for the object."""
        return self.cost < math.inf


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
    looked: Looked
    levels: Levels
    shortlist: Candidates
    scores: Scores
    split: Split
    wanted: Bool[Tensor, "B M P"]
    assignment: Assignment

    @property
    def candidates(self) -> Candidates:
        """Step 1: the points that each object compares."""
        return self.looked.candidates
