"""What a detector costs: parameters and multiply-adds, by part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from mmmc.model.detector import Detector, ModelConfig
from mmmc.model.fpn import PYRAMID_STRIDES
from mmmc.model.rfa import DeformableConv

RULE = (
    "Multiply-adds of convolutions and matrix products, one for each pair of a weight and an input (2 FLOPs); "
    "normalisation, activations and the bilinear sampling of deformable convolutions are not counted. All parameters "
    "count, trained or frozen, scales and shifts of BatchNorm included."
)


@dataclass(frozen=True)
class Part:
    """One part of a detector.

    Attributes:
        name: `trunk`, `FPN`, `towers`, `RFA`, or `outputs` for the three small convolutions at the towers' ends.
        parameters: number of weights.
        macs: multiply-adds for one picture.
    """

    name: str
    parameters: int
    macs: int


def cost(config: ModelConfig, classes: int, size: tuple[int, int]) -> list[Part]:
    """Parameters and multiply-adds of a detector's parts for one picture. Nothing is computed: tensors hold no values.

    `RFA` is what the deformable convolutions have more than those that they replace: the layers that predict offsets.

    Args:
        config: of the detector.
        classes: number of classes.
        size: height and width of the picture, both divisible by 32.
    """
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.torchvision.deform_conv2d: _deformable_flops})
    with FakeTensorMode(), torch.no_grad():
        # A frozen BatchNorm keeps its scales and shifts as buffers; here they count.
        detector = Detector(replace(config, frozen_norm=False), classes, load_backbone=False)
        for module in detector.modules():
            if isinstance(module, DeformableConv):
                module.backend = "torchvision"
        with counter:
            detector(torch.zeros(1, 3, *size, dtype=torch.uint8))
    flops = {name: sum(counts.values()) for name, counts in counter.get_flop_counts().items()}
    towers = {f"head.{task}_tower": getattr(detector.head, f"{task}_tower") for task in ("class", "box")}
    offsets = {
        f"{tower}.{name}.offset": module.offset
        for tower, layers in towers.items()
        for name, module in layers.named_children()
        if isinstance(module, DeformableConv)
    }

    def part(name: str, modules: Mapping[str, nn.Module]) -> tuple[str, int, int]:
        parameters = sum(parameter.numel() for module in modules.values() for parameter in module.parameters())
        return name, parameters, sum(flops.get(f"Detector.{path}", 0) for path in modules) // 2

    trunk = Part(*part("trunk", {"backbone": detector.backbone}))
    fpn = Part(*part("FPN", {"fpn": detector.fpn}))
    head = Part(*part("head", {"head": detector.head}))
    both = Part(*part("towers", towers))
    rfa = Part(*part("RFA", offsets))
    return [
        trunk,
        fpn,
        Part("towers", both.parameters - rfa.parameters, both.macs - rfa.macs),
        rfa,
        Part("outputs", head.parameters - both.parameters, head.macs - both.macs),
    ]


def point_count(size: tuple[int, int]) -> int:
    """Points of a picture of this height and width on all levels."""
    return sum(prod(-(-side // stride) for side in size) for stride in PYRAMID_STRIDES)


def _deformable_flops(_: Any, weight_shape: Any, *__: Any, out_shape: Any = None, **___: Any) -> int:
    """A deformable convolution's product, as that of an ordinary one with the same output."""
    return int(2 * prod(out_shape) * prod(weight_shape[1:]))
