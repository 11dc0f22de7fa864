"""What a method has besides the detector while it trains."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence

from jaxtyping import Float
from torch import Tensor, nn

from mmmc.structures import Points, Prediction, Supervision


class TrainingPart(nn.Module):
    """Layers or numbers that only training needs: not called where no objects are known.

    A subclass overrides one of the two methods, or both. As a submodule of the detector it is optimised, averaged,
    saved and resumed with it.
    """

    def changed(
        self, maps: Sequence[Float[Tensor, "B D _ _"]], supervision: Supervision
    ) -> Sequence[Float[Tensor, "B D _ _"]]:
        """The pyramid's maps as the head gets to see them."""
        return maps

    def extra(
        self,
        maps: Sequence[Float[Tensor, "B D _ _"]],
        points: Points,
        prediction: Prediction,
        supervision: Supervision,
    ) -> Mapping[str, Tensor]:
        """What `Prediction.extra` gets besides, for the method's assigner or criterion; first axis `B`."""
        return {}


class Part(ABC):
    """The configuration of a `TrainingPart`: a frozen dataclass, named by a recipe as `model.part`."""

    @abstractmethod
    def build(self, channels: int, classes: int) -> TrainingPart:
        """The part for a pyramid of so many channels and so many classes."""
