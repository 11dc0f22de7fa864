"""The head that all levels share: a tower for each task and three small convolutions at their ends."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.functional import relu

from mmmc.model.rfa import DeformableConv, Offsets, RFAConfig


class LevelOutput(NamedTuple):
    """Raw output of one level; distances `left top right bottom` in strides, and their bins' logits, if it has bins."""

    logits: Float[Tensor, "B C h w"]
    distances: Float[Tensor, "B 4 h w"]
    quality: Float[Tensor, "B h w"]
    bins: Float[Tensor, "B 4 K h w"] | None


def tower(channels: int, depth: int, groups: int, rfa: RFAConfig, position: int) -> nn.Sequential:
    """`depth` times 3×3 convolution, GroupNorm, ReLU; with `rfa` in place of the convolution at `position`."""
    convolutions: list[nn.Module] = []
    for number in range(1, depth + 1):
        if number == position and rfa.kind == "deformable":
            convolutions.append(DeformableConv(channels, rfa))
        elif number == position and rfa.kind == "dilated":
            convolutions.append(nn.Conv2d(channels, channels, 3, padding=rfa.dilation, dilation=rfa.dilation))
        else:
            convolutions.append(nn.Conv2d(channels, channels, 3, padding=1))
        if number == position and rfa.kind == "extra":
            convolutions.append(nn.Conv2d(channels, channels, 3, padding=1))
    layers: list[nn.Module] = []
    for convolution in convolutions:
        layers += [convolution, nn.GroupNorm(groups, channels), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers)


class Head(nn.Module):
    """FCOS's head with its improvements (Tian et al. 2022).

    Args:
        channels: of the pyramid and of both towers.
        classes: number of classes.
        levels: number of pyramid levels; each has its own learned scale of the distances.
        depth: convolutions of each tower.
        groups: of GroupNorm.
        quality_on: the tower that the quality branch reads.
        prior: class probability that the head begins with (Lin et al. 2017, section 4.1).
        box_bias: that the layer of the distances begins with.
        box_form: distances in strides are `ReLU(scale · x)`, or `exp(scale · x)` as in FCOS's first version.
        box_bins: largest distance in strides of a head that predicts a distribution over 0, 1 … `box_bins` for each
            side (Li et al. 2020, GFL) and takes its mean; 0 for none. `box_bias` and `box_form` then mean nothing.
        rfa: where the towers get a receptive field of their own; nowhere if None.
    """

    def __init__(
        self,
        channels: int,
        classes: int,
        levels: int,
        *,
        depth: int = 4,
        groups: int = 32,
        quality_on: Literal["box", "class"] = "box",
        prior: float = 0.01,
        box_bias: float = 0.0,
        box_form: Literal["relu", "exp"] = "relu",
        box_bins: int = 0,
        rfa: RFAConfig | None = None,
    ) -> None:
        super().__init__()
        self.quality_on = quality_on
        self.box_form = box_form
        self.box_bins = box_bins
        rfa = rfa or RFAConfig()
        self.class_tower = tower(channels, depth, groups, rfa, rfa.class_position)
        self.box_tower = tower(channels, depth, groups, rfa, rfa.box_position)
        self.class_logits = nn.Conv2d(channels, classes, 3, padding=1)
        self.box_distances = nn.Conv2d(channels, 4 * (box_bins + 1) if box_bins else 4, 3, padding=1)
        self.box_quality = nn.Conv2d(channels, 1, 3, padding=1)
        self.scales = nn.Parameter(torch.ones(levels))
        for module in self.modules():
            if isinstance(module, nn.Conv2d) and not isinstance(module, Offsets):
                nn.init.normal_(module.weight, std=0.01)
                nn.init.zeros_(module.bias)  # type: ignore[arg-type]
        nn.init.constant_(self.class_logits.bias, -math.log((1 - prior) / prior))  # type: ignore[arg-type]
        nn.init.constant_(self.box_distances.bias, 0.0 if box_bins else box_bias)  # type: ignore[arg-type]
        for module in self.modules():
            if isinstance(module, DeformableConv):
                module.reset_offsets()

    def forward(self, maps: Sequence[Float[Tensor, "B D _ _"]]) -> list[LevelOutput]:
        outputs = []
        for scale, features in zip(self.scales, maps, strict=True):
            class_features, box_features = self.class_tower(features), self.box_tower(features)
            quality_features = box_features if self.quality_on == "box" else class_features
            with torch.autocast(features.device.type, enabled=False):
                # Eight bits of a distance of 40 strides are a pixel or more; this layer is small.
                raw = scale * self.box_distances(box_features.to(scale.dtype))
            bins = raw.unflatten(1, (4, -1)) if self.box_bins else None
            outputs.append(
                LevelOutput(
                    logits=self.class_logits(class_features),
                    distances=self._positive(raw) if bins is None else mean_distance(bins),
                    quality=self.box_quality(quality_features).squeeze(1),
                    bins=bins,
                )
            )
        return outputs

    def _positive(self, values: Float[Tensor, "B 4 h w"]) -> Float[Tensor, "B 4 h w"]:
        # e^8, some three thousand strides, is beyond any picture and far below infinity.
        return relu(values) if self.box_form == "relu" else values.clamp(max=8).exp()


def mean_distance(bins: Float[Tensor, "B 4 K h w"]) -> Float[Tensor, "B 4 h w"]:
    """Mean of the distribution over the distances 0, 1 … K - 1 that these logits describe."""
    values = torch.arange(bins.shape[2], device=bins.device, dtype=bins.dtype)
    return (bins.softmax(dim=2) * values[:, None, None]).sum(dim=2)
