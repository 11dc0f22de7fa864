"""Detectors with random weights and pictures of noise: what is measured of them depends on sizes and counts only."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import torch

from mmmc.data.batching import Sample, collate
from mmmc.model import Detector
from mmmc.postprocess import Postprocess
from mmmc.predictor import DIVISOR, detect
from mmmc.recipe import Recipe, load_recipe
from mmmc.structures import Batch, Detections
from mmmc.testing import make_scene

PRECISIONS = ("fp32", "bf16")

PICTURE = (800, 1333)
"""Height and width of COCO's pictures as FCOS sees them."""

STRIDES = (8, 16, 32, 64, 128)

RECIPES = {"small": ("small", "small_mmmc"), "r50": ("fcos_r50_1x", "mmmc_r50_1x")}
"""FCOS and MMMC of one kind."""


def autocast(precision: str, device: torch.device) -> Any:
    """The context of a precision of `PRECISIONS`."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def methods(kind: str, *, tiny: bool = False) -> dict[str, Recipe]:
    """FCOS, MMMC and what lies between, of a kind of `RECIPES`, with random weights."""
    fcos, mmmc = (without_weights(load_recipe(name), tiny) for name in RECIPES[kind])
    # Offsets that are all zero would sample whole cells in order, which no trained detector does.
    rfa = replace(mmmc.model.rfa, offset_init="normal")
    return {
        "FCOS": fcos,
        "FCOS + RFA": replace(fcos, model=replace(fcos.model, rfa=rfa)),
        "FCOS + APS": replace(mmmc, model=replace(mmmc.model, rfa=fcos.model.rfa)),
        "MMMC": replace(mmmc, model=replace(mmmc.model, rfa=rfa)),
    }


def without_weights(recipe: Recipe, tiny: bool) -> Recipe:
    """The recipe with random weights; if `tiny`, of a small trunk and a narrow head."""
    model = replace(recipe.model, weights="none")
    if tiny:
        model = replace(model, backbone="resnet18", channels=32, groups=8, depth=1)
    return replace(recipe, model=model)


def built(recipe: Recipe, classes: int, device: torch.device) -> Detector:
    """The recipe's detector as training and prediction lay it out, always with the same random weights."""
    torch.manual_seed(0)
    return Detector(recipe.model, classes).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def noise_samples(pictures: int, objects: int, size: tuple[int, int], classes: int) -> list[Sample]:
    """Pictures of noise of this size with random objects of all sizes."""
    random = torch.Generator().manual_seed(0)
    samples = []
    for number in range(pictures):
        # A scene for each: within one, every further picture is smaller.
        scene = make_scene(number, images=1, objects=objects, size=size, strides=STRIDES, classes=classes)
        image = torch.randint(256, (3, *size), dtype=torch.uint8, generator=random)
        samples.append(Sample(image, replace(scene.targets[0], image_id=number)))
    return samples


def noise(pictures: int, objects: int, size: tuple[int, int], classes: int) -> Batch:
    """The same as a padded batch."""
    return collate(noise_samples(pictures, objects, size, classes), (124, 116, 104), DIVISOR)


class Inference:
    """From pictures in memory to detections on the CPU: padding, detector, post-processing.

    Args:
        detector: is put into evaluation mode.
        samples: the pictures, which go through the detector at once.
        precision: of `PRECISIONS`.
        device: where the detector is.
        postprocess: FCOS's unless another is given.
    """

    def __init__(
        self,
        detector: Detector,
        samples: list[Sample],
        precision: str,
        device: torch.device,
        postprocess: Postprocess = Postprocess(),  # noqa: B008
    ) -> None:
        self.detector, self.samples, self.precision = detector.eval(), samples, precision
        self.device, self.postprocess = device, postprocess

    def __call__(self) -> list[Detections]:
        """Detections of each picture."""
        batch = collate(self.samples, self.detector.backbone.normalize.padding, DIVISOR)
        context = autocast(self.precision, self.device)
        return detect(self.detector, batch, self.postprocess, self.device, context)
