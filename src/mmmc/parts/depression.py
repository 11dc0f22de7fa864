"""MAL's depression: the features that fire most are hidden, so that others must learn too (Ke et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mmmc.errors import InputError
from mmmc.parts.protocol import Part, TrainingPart
from mmmc.structures import Supervision


@dataclass(frozen=True)
class Depression(Part):
    """Hide the positions of highest activation on each level, more and more up to the middle of the training.

    Re-created from a description of the published training: the activation of a position is the mean of its
    channels; a share of the positions is set to 0; the head then sees `(3 · what is left + the whole) / 4`. The share
    climbs from 0 to `most` in `steps` steps and falls back in as many; each share holds for as long as the others,
    `most` in the middle of the training. Not verified against the published training.

    Args:
        most: largest share of hidden positions.
        steps: up, and down again.
    """

    most: float = 0.5
    steps: int = 6

    def __post_init__(self) -> None:
        if not 0 <= self.most < 1:
            raise InputError(f"part Depression: most is {self.most}; allowed: 0 to below 1.")
        if not self.steps >= 1:
            raise InputError(f"part Depression: steps is {self.steps}; allowed: 1 or more.")

    def build(self, channels: int, classes: int) -> HiddenPeaks:
        """See `Part`."""
        return HiddenPeaks(self)

    def share(self, progress: float) -> float:
        """Hidden share of the positions when this much of the training is done: 0, then up, then down to 0."""
        climb = 1 - abs(2 * progress - 1)
        # One stage more than steps, so that the highest lasts as long as the others.
        return self.most * min(int(climb * (self.steps + 1) + 1e-9), self.steps) / self.steps


class HiddenPeaks(TrainingPart):
    """Hides positions of the maps while the detector trains; it has nothing to learn."""

    def __init__(self, config: Depression) -> None:
        super().__init__()
        self.config = config

    def changed(
        self, maps: Sequence[Float[Tensor, "B D _ _"]], supervision: Supervision
    ) -> Sequence[Float[Tensor, "B D _ _"]]:
        """See `TrainingPart`."""
        share = self.config.share(supervision.progress) if self.training else 0.0
        # The small number is for products like 0.1 · 30, which rounding may put below 3.
        return [self._depressed(features, int(share * features[0, 0].numel() + 1e-9)) for features in maps]

    @staticmethod
    def _depressed(features: Float[Tensor, "B D h w"], hidden: int) -> Float[Tensor, "B D h w"]:
        if hidden == 0:
            return features
        activation = features.detach().mean(dim=1).flatten(1)
        peaks = activation.topk(hidden, dim=1).indices
        kept = torch.ones_like(activation).scatter_(1, peaks, 0).view(len(features), 1, *features.shape[2:])
        return features * (3 * kept + 1) / 4
