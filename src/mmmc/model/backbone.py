"""Backbones through timm: ask a trunk for its channels and strides instead of writing them down."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import timm
import torch
from jaxtyping import Float, UInt8
from timm.layers import freeze_batch_norm_2d
from torch import Tensor, nn

from mmmc.errors import InputError, did_you_mean
from mmmc.model.folding import fold_frozen_norms
from mmmc.model.weights import PACKAGED, Normalization, packaged_weights, pretrained_state

STRIDES = (8, 16, 32)
"""Strides of the maps C3, C4, C5 that the pyramid is built on."""


class Backbone(nn.Module):
    """Maps at strides 8, 16 and 32 of 8-bit pictures.

    Args:
        name: any model of timm that offers `features_only` with these strides.
        weights: `imagenet`, `none` for random ones, or a file in timm's names.
        load: read the weights now; without, what belongs to them (normalisation, eps) is made all the same.
        download: permit the hub to be asked for ImageNet weights that are not on this machine.
        frozen_stages: stages, counted from the stem, whose parameters stay as they are. FCOS trains ResNets with 2
            (the stem and the first stage of blocks).
        frozen_norm: keep every BatchNorm's statistics, scale and shift as buffers, as FCOS does.

    Attributes:
        channels: channels of the three maps.

    Raises:
        InputError: unknown name, a trunk without these strides or for pictures of one size alone, stages that cannot be
            frozen, weights that are not on this machine.
    """

    def __init__(
        self,
        name: str,
        *,
        weights: str,
        load: bool = True,
        download: bool = False,
        frozen_stages: int = 0,
        frozen_norm: bool = True,
    ) -> None:
        super().__init__()
        if not timm.is_model(name):
            raise InputError(f"model.backbone is {name!r}, which timm does not know.{did_you_mean(name, near(name))}")
        packaged = PACKAGED.get(name) if weights == "imagenet" else None
        options = packaged.options if packaged else {}
        trunk: Any = timm.create_model(name, features_only=True, pretrained=False, **options)
        reductions = trunk.feature_info.reduction()
        # Counted among all maps that the model has; those that it offers by itself may begin later.
        offered = zip(trunk.feature_info.out_indices, reductions, strict=True)
        indices = tuple(index for index, reduction in offered if reduction in STRIDES)
        if tuple(reduction for reduction in reductions if reduction in STRIDES) != STRIDES:
            raise InputError(f"model.backbone {name!r} has maps at strides {reductions}; needed: {list(STRIDES)}.")
        stages = trunk.feature_info.module_name()
        trunk = timm.create_model(name, features_only=True, out_indices=indices, pretrained=False, **options)
        if load and packaged:
            trunk.load_state_dict(packaged_weights(packaged, trunk))
        elif load and weights != "none":
            trunk.load_state_dict(pretrained_state(name, indices, weights, download))
        if not 0 <= frozen_stages <= len(stages):
            raise InputError(
                f"model.frozen_stages is {frozen_stages}; allowed for {name}: 0 to {len(stages)} ({', '.join(stages)})."
            )
        self.normalize = Normalize(
            packaged.normalization if packaged else Normalization.of_timm(timm.get_pretrained_cfg(name))
        )
        if frozen_norm:
            trunk = freeze_batch_norm_2d(trunk)
        freeze_until(trunk, stages[frozen_stages - 1] if frozen_stages else None)
        fold_frozen_norms(trunk)
        self.trunk = trunk
        self.channels: tuple[int, ...] = tuple(trunk.feature_info.channels())

    def forward(self, images: UInt8[Tensor, "B 3 H W"] | Float[Tensor, "B 3 H W"]) -> list[Float[Tensor, "B _ _ _"]]:
        return self.trunk(self.normalize(images))


class Normalize(nn.Module):
    """RGB in 0..255 to what the weights were trained on: `(x - mean) / std`."""

    mean: Tensor
    std: Tensor

    def __init__(self, normalization: Normalization) -> None:
        super().__init__()
        # Not part of the checkpoint: they follow from the recipe.
        self.register_buffer("mean", torch.tensor(normalization.mean).view(3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(normalization.std).view(3, 1, 1), persistent=False)

    def forward(self, images: UInt8[Tensor, "B 3 H W"] | Float[Tensor, "B 3 H W"]) -> Float[Tensor, "B 3 H W"]:
        return (images.to(self.mean.dtype) - self.mean) / self.std

    @property
    def padding(self) -> tuple[int, int, int]:
        """The 8-bit colour that becomes (nearly) zero, for padding."""
        red, green, blue = (round(value) for value in self.mean.flatten().tolist())
        return red, green, blue


def freeze_until(trunk: nn.Module, last: str | None) -> None:
    """Freeze the parameters of every module that runs up to and including `last`.

    Raises:
        InputError: timm has no module of that name, so nobody knows what lies before it.
    """
    if last is None:
        return
    names = [name for name, _ in trunk.named_modules()]
    prefix = next((name for name in (last, last.replace(".", "_")) if name in names), None)
    if prefix is None:
        raise InputError(
            f"model.frozen_stages: stage {last} of this backbone is no module that can be frozen; allowed: 0."
        )
    inside = [i for i, name in enumerate(names) if name == prefix or name.startswith(prefix + ".")]
    frozen = set(names[: inside[-1] + 1])
    for name, module in trunk.named_modules():
        if name in frozen:
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad_(False)


def near(name: str) -> Sequence[str]:
    """Names that timm finds similar, or a few common ones."""
    similar = timm.list_models(f"*{name.split('_')[0]}*")[:12]
    return similar or ["resnet18", "resnet50", "resnet101", "efficientnet_lite0"]
