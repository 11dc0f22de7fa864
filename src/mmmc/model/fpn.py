"""Feature pyramid P3–P7 (Lin et al. 2017), with P6 and P7 from P5 as FCOS has them."""

from __future__ import annotations

from collections.abc import Sequence

from jaxtyping import Float
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

PYRAMID_STRIDES = (8, 16, 32, 64, 128)


class FPN(nn.Module):
    """torchvision's pyramid as a list of maps, finest first."""

    def __init__(self, in_channels: Sequence[int], channels: int) -> None:
        super().__init__()
        self.pyramid = FeaturePyramidNetwork(list(in_channels), channels, LastLevelP6P7(channels, channels))

    def forward(self, maps: Sequence[Float[Tensor, "B _ _ _"]]) -> list[Float[Tensor, "B D _ _"]]:
        return list(self.pyramid({f"c{3 + i}": value for i, value in enumerate(maps)}).values())
