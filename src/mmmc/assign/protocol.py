"""What every assigner is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from mmmc.structures import Assignment, Points, Prediction, Target


class Assigner(ABC):
    """A rule that says which point answers for which object.

    An assigner *is* its configuration: a frozen dataclass whose fields are its hyper-parameters. It keeps no state
    between calls, computes in at least float32, returns tensors without gradient, and gives every picture the
    labels that it would get alone: points in the padding (`Points.within`) are nobody's candidate.
    `mmmc.testing.check_assigner` holds it to all of that.
    """

    @abstractmethod
    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch.

        Args:
            points: where the detector looked, the same for all pictures of the batch.
            prediction: what it said there; a rule that looks at geometry alone does not read it.
            targets: the objects, one entry per picture.
        """

    def at(self, progress: float) -> Assigner:
        """The rule when this share of the training is done, from 0 to 1; nearly all rules are always the same."""
        return self
