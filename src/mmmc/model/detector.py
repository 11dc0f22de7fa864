"""The detector: from 8-bit pictures to what is predicted at every point."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Literal

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from mmmc.errors import InputError
from mmmc.model.backbone import Backbone
from mmmc.model.fpn import FPN, PYRAMID_STRIDES
from mmmc.model.head import Head
from mmmc.model.rfa import RFAConfig
from mmmc.parts.protocol import Part
from mmmc.points import make_points
from mmmc.structures import Points, Prediction, Supervision


@dataclass(frozen=True)
class ModelConfig:
    """What the detector is made of.

    Args:
        backbone: any timm model with `features_only` and maps at strides 8, 16, 32.
        weights: where the backbone starts: `imagenet`, `none` (random), or a file in timm's names.
        download: permit the hub to be asked for ImageNet weights that are not on this machine.
        frozen_stages: stages, counted from the stem, that are not trained. FCOS's ResNets: 2.
        frozen_norm: keep the backbone's BatchNorm as it was trained on ImageNet. FCOS: true.
        channels: of the pyramid and the head's towers; `groups` times 2, 3 …
        depth: 3×3 convolutions in each tower.
        groups: of the towers' GroupNorm.
        quality_on: the tower that the quality branch reads.
        box_form: distances in strides are `ReLU(scale · x)`, or `exp(scale · x)` as in FCOS's first version.
        box_bias: what `x` begins with; with `relu` the first distances in strides. Where predictions choose the
            labels, boxes of some size let an object's first choice of levels follow its size.
        box_bins: with a number above 0, each distance is the mean of a distribution over 0, 1 … `box_bins` strides
            (Li et al. 2020, GFL; 16); no box reaches further from its point. 0 predicts the distances themselves.
        class_prior: class probability that the head begins with (Lin et al. 2017, section 4.1).
        rfa: where the towers get a receptive field of their own; nowhere by default.
        part: what a method has besides its head while it trains; see `mmmc.parts`. It is trained, averaged and
            saved with the detector, and plays no role in prediction.
    """

    backbone: str = "resnet50"
    weights: str = "imagenet"
    download: bool = False
    frozen_stages: int = 2
    frozen_norm: bool = True
    channels: int = 256
    depth: int = 4
    groups: int = 32
    quality_on: Literal["box", "class"] = "box"
    box_form: Literal["relu", "exp"] = "relu"
    box_bias: float = 0.0
    box_bins: int = 0
    class_prior: float = 0.01
    rfa: RFAConfig = field(default_factory=RFAConfig)
    part: Part | None = None

    def __post_init__(self) -> None:
        for name, least in (("frozen_stages", 0), ("channels", 1), ("depth", 0), ("groups", 1), ("box_bins", 0)):
            if getattr(self, name) < least:
                raise InputError(f"model.{name} is {getattr(self, name)}; allowed: at least {least}.")
        if not 0 <= self.box_bias < torch.inf:
            raise InputError(f"model.box_bias is {self.box_bias}; allowed: a finite number of at least 0.")
        if not 0 < self.class_prior < 1:
            raise InputError(f"model.class_prior is {self.class_prior}; allowed: a number between 0 and 1.")
        for name in ("class_position", "box_position"):
            if getattr(self.rfa, name) > self.depth:
                raise InputError(
                    f"model.rfa.{name} is {getattr(self.rfa, name)}; allowed: 0 to model.depth, which is {self.depth}."
                )
        # With one channel a group and a 1×1 map, GroupNorm would have a single value to normalise.
        if self.channels % self.groups or self.channels < 2 * self.groups:
            raise InputError(
                f"model.channels is {self.channels}; allowed: a multiple of model.groups = {self.groups}, "
                "at least twice."
            )


class Detector(nn.Module):
    """Backbone, pyramid and head; decodes its own boxes, in at least float32.

    `forward` returns the same type in training and in inference.

    Args:
        config: the parts.
        classes: number of classes.
        load_backbone: start from `config.weights`; otherwise from random ones, for a file that overwrites them.
    """

    def __init__(self, config: ModelConfig, classes: int, *, load_backbone: bool = True) -> None:
        super().__init__()
        self.backbone = Backbone(
            config.backbone,
            weights=config.weights,
            load=load_backbone,
            download=config.download,
            frozen_stages=config.frozen_stages,
            frozen_norm=config.frozen_norm,
        )
        self.fpn = FPN(self.backbone.channels, config.channels)
        self.head = Head(
            config.channels,
            classes,
            len(PYRAMID_STRIDES),
            depth=config.depth,
            groups=config.groups,
            quality_on=config.quality_on,
            box_form=config.box_form,
            box_bias=config.box_bias,
            box_bins=config.box_bins,
            prior=config.class_prior,
            rfa=config.rfa,
        )
        self.part = None if config.part is None else config.part.build(config.channels, classes)

    def forward(
        self, images: UInt8[Tensor, "B 3 H W"] | Float[Tensor, "B 3 H W"], supervision: Supervision | None = None
    ) -> tuple[Points, Prediction]:
        """Predict at every point of every level.

        Args:
            images: RGB, 8-bit or floating point in 0..255, both sides divisible by 32.
            supervision: what a part that only training has may see; without it that part is left out.
        """
        maps = self.fpn(self.backbone(images))
        part = None if supervision is None else self.part
        if part is not None and supervision is not None:
            maps = part.changed(maps, supervision)
        outputs = self.head(maps)
        shapes = [(output.quality.shape[-2], output.quality.shape[-1]) for output in outputs]
        # bfloat16 cannot tell pixel 1020 from pixel 1024: coordinates stay in at least float32.
        dtype = torch.promote_types(self.head.scales.dtype, torch.float32)
        points = make_points(shapes, PYRAMID_STRIDES, device=images.device, dtype=dtype)
        binned = [output.bins for output in outputs if output.bins is not None]
        ltrb = torch.cat([output.distances.flatten(2).mT for output in outputs], dim=1)
        prediction = Prediction(
            logits=torch.cat([output.logits.flatten(2).mT for output in outputs], dim=1),
            boxes=decode(points, ltrb.to(dtype)),
            quality=torch.cat([output.quality.flatten(1) for output in outputs], dim=1),
            extra={"bins": torch.cat([bins.flatten(3).permute(0, 3, 1, 2) for bins in binned], dim=1)}
            if binned
            else {},
        )
        if part is not None and supervision is not None:
            own = part.extra(maps, points, prediction, supervision)
            prediction = replace(prediction, extra={**prediction.extra, **own})
        return points, prediction


def decode(points: Points, distances: Float[Tensor, "B P 4"]) -> Float[Tensor, "B P 4"]:
    """Boxes in pixels from distances `left top right bottom` in strides."""
    pixels = distances * points.stride[:, None]
    return torch.cat([points.xy - pixels[..., :2], points.xy + pixels[..., 2:]], dim=-1)
