"""What every criterion is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from mmmc.assign.protocol import Assigner
from mmmc.losses import Losses
from mmmc.parts import Part
from mmmc.structures import Assignment, Points, Prediction, Target


class Criterion(ABC):
    """Losses of a prediction against an assignment. Like an assigner, a frozen dataclass that is its configuration."""

    def require(self, assigner: Assigner, part: Part | None) -> None:
        """Raise `InputError` if this assigner or part does not give what the losses are computed from."""
        return  # most losses can be computed from any

    @abstractmethod
    def __call__(
        self, points: Points, prediction: Prediction, targets: Sequence[Target], assignment: Assignment
    ) -> Losses:
        """The terms of a batch, each a sum with the norm that it is to be divided by."""
