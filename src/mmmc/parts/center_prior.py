"""AutoAssign's prior: where in an object of each class its points are likely (Zhu et al. 2020, section 3.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from mmmc.errors import InputError
from mmmc.parts.protocol import Part, TrainingPart
from mmmc.structures import Points, Prediction, Supervision


@dataclass(frozen=True)
class CenterPrior(Part):
    """A Gaussian for each class over the offset of a point from the centre of an object, in strides.

    Args:
        sigma: what each standard deviation begins with; each mean begins with 0.
    """

    sigma: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.sigma < torch.inf:
            raise InputError(f"part CenterPrior: sigma is {self.sigma}; allowed: a finite number above 0.")

    def build(self, channels: int, classes: int) -> LearnedPrior:
        """See `Part`."""
        return LearnedPrior(classes, self.sigma)


class LearnedPrior(TrainingPart):
    """Mean and standard deviation, horizontal and vertical, of each class; `extra` names both `center …`."""

    def __init__(self, classes: int, sigma: float) -> None:
        super().__init__()
        # Flat, and so with the decay of scales, not that of weights: a deviation is not to be drawn to 0.
        self.mean = nn.Parameter(torch.zeros(2 * classes))
        self.sigma = nn.Parameter(torch.full((2 * classes,), sigma))

    def extra(
        self,
        maps: Sequence[Float[Tensor, "B D _ _"]],
        points: Points,
        prediction: Prediction,
        supervision: Supervision,
    ) -> Mapping[str, Tensor]:
        """See `TrainingPart`; both are `B C 2`."""
        images = len(prediction.logits)
        return {
            "center mean": self.mean.view(1, -1, 2).expand(images, -1, -1),
            "center sigma": self.sigma.view(1, -1, 2).expand(images, -1, -1),
        }
