"""torchvision's FCOS and RetinaNet (ResNet-50) and SSDlite320 (MobileNetV3), by its reference scripts.

Rates, decay, warm-up, steps and augmentation are those of torchvision's `references/detection`. FCOS and RetinaNet:
SGD, rate 0.01 for 16 pictures, a tenth of it after 16 and again after 22 of 26 epochs, flips. SSDlite: SGD, 0.15 for
192 pictures, cosine, random crops by IoU, flips. A rate is scaled with the batch. From random weights it trains all
layers and all BatchNorms there, and here too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models import detection
from torchvision.transforms import v2

from benchmarks.race import loop
from benchmarks.race.pictures import SIDE, Sample
from benchmarks.race.task import Task, Trained
from mmmc.recipe import OptimizerConfig

SCORE = 0.05
"""Least score that FCOS and RetinaNet return, as ours do; SSDlite's own is lower."""

RESNET = OptimizerConfig(
    lr=0.01,
    lr_batch=16,
    weight_decay=1e-4,
    norm_decay=1e-4,
    bias_decay=1e-4,
    bias_lr=1.0,
    steps=(16 / 26, 22 / 26),
    warmup=1000,
    warmup_factor=1e-3,
    warmup_kind="linear",
)
SSDLITE = OptimizerConfig(
    lr=0.15,
    lr_batch=192,
    weight_decay=4e-5,
    norm_decay=4e-5,
    bias_decay=4e-5,
    bias_lr=1.0,
    schedule="cosine",
    warmup=1000,
    warmup_factor=1e-3,
    warmup_kind="linear",
)
SOURCE = "torchvision, references/detection"
RESNETS = {"fcos": detection.fcos_resnet50_fpn, "retinanet": detection.retinanet_resnet50_fpn}


def train(variant: str, task: Task) -> Trained:
    """Train one of the three."""
    return loop.train(method(variant), task)


def settings(variant: str) -> Mapping[str, Any]:
    """What decides the training of one of the three."""
    return loop.settings(method(variant))


def method(variant: str) -> loop.Method:
    """The method of a name: `fcos`, `retinanet` or `ssdlite`."""
    flip, clean = v2.RandomHorizontalFlip(), v2.SanitizeBoundingBoxes(min_size=1)
    if variant == "ssdlite":
        return loop.Method(
            build=ssdlite,
            loss=partial(loss, background=1),
            detect=partial(detect, background=1),
            augment=v2.Compose([v2.RandomIoUCrop(), clean, flip]),
            batch=24,
            optimizer=SSDLITE,
            size=f"{SIDE} × {SIDE}",
            source=SOURCE,
        )
    return loop.Method(
        build=partial(resnet, RESNETS[variant]),
        loss=partial(loss, background=0),
        detect=partial(detect, background=0),
        augment=v2.Compose([flip, clean]),
        batch=8,
        optimizer=RESNET,
        size=f"longer side {SIDE}",
        source=SOURCE,
    )


def resnet(make: Callable[..., nn.Module], classes: int) -> nn.Module:
    """FCOS or RetinaNet. Their classes count from 0, and there is none besides."""
    options = {"min_size": SIDE, "max_size": SIDE, "score_thresh": SCORE}
    return make(weights=None, weights_backbone=None, num_classes=classes, **options)


def ssdlite(classes: int) -> nn.Module:
    """SSDlite, whose class 0 is the background."""
    return detection.ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None, num_classes=classes + 1)


def loss(model: nn.Module, batch: list[Sample], *, background: int) -> Tensor:
    """The sum of its losses; `background` is the number of classes before ours."""
    targets = [{"boxes": one.boxes, "labels": one.labels + background} for one in batch]
    losses = model([one.image / 255 for one in batch], targets)
    return torch.stack(list(losses.values())).sum()


def detect(model: nn.Module, picture: Tensor, *, background: int) -> loop.Found:
    """What it finds in a picture."""
    found = model([picture / 255])[0]
    return found["boxes"], found["scores"], found["labels"] - background
