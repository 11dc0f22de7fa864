"""What happens to a picture and its boxes between the file and the batch.

`Resize` is the one way in which a picture gets its size: training, evaluation and prediction share it.
`Augmentation` draws every random number from the seed that it is given, and touches no global generator.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torchvision.ops import clip_boxes_to_image
from torchvision.transforms.v2 import functional as F

from mmmc.boxes import area
from mmmc.errors import InputError


@dataclass(frozen=True)
class Resize:
    """Scale a picture, keeping its aspect ratio, antialiased and bilinear.

    Attributes:
        short: pixels of the shorter side …
        long: … unless the longer side would then exceed this many; it becomes `long` instead.
    """

    short: int = 800
    long: int = 1333

    def __post_init__(self) -> None:
        _require(self.short >= 1, self, "short", "at least 1")
        _require(self.long >= self.short, self, "long", f"at least short = {self.short}")

    def size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width that a picture gets, each side rounded to whole pixels, a half upwards.

        Whole numbers all the way, so that an exported graph computes the same.
        """
        return self._side(height, height, width), self._side(width, height, width)

    def _side(self, side: int, height: int, width: int) -> int:
        by_short = _rounded(side * self.short, _min(height, width))
        by_long = _rounded(side * self.long, _max(height, width))
        return _max(1, _min(by_short, by_long))

    def __call__(
        self, image: UInt8[Tensor, "3 height width"]
    ) -> tuple[UInt8[Tensor, "3 height2 width2"], tuple[float, float]]:
        """The picture in its new size, and new pixels per old pixel, horizontally and vertically."""
        height, width = image.shape[1:]
        new_height, new_width = self.size(height, width)
        return F.resize(image, [new_height, new_width], antialias=True), (new_width / width, new_height / height)


@dataclass(frozen=True)
class Augmentation:
    """Random changes of a training picture, in this order: crop, resize, flip, colour.

    Attributes:
        short: shorter side as in `Resize`; of several values one is drawn for each picture (multi-scale training).
        long: limit of the longer side as in `Resize`.
        scale_range: factor on `short` and `long`, drawn uniformly (scale jitter).
        flip: probability of a horizontal flip.
        crop: probability of a crop before the resize. Height and width are cut by the same factor, so the
            aspect ratio stays and batches need no more padding.
        crop_scale: that factor, drawn uniformly from this range.
        min_visible: part of an object's area that must be left by a crop for it to stay an object, its box cut at
            the border. What is left of the others becomes a crowd region: ignored, for it is no background.
        brightness: the factor is drawn uniformly from `1 ± value`.
        contrast: likewise.
        saturation: likewise.
        hue: the shift is drawn uniformly from `± value`; 0.5 is half the colour circle.

    Raises:
        InputError: a value out of its range.
    """

    short: tuple[int, ...] = (800,)
    long: int = 1333
    scale_range: tuple[float, float] = (1.0, 1.0)
    flip: float = 0.5
    crop: float = 0.0
    crop_scale: tuple[float, float] = (0.5, 1.0)
    min_visible: float = 0.3
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0

    def __post_init__(self) -> None:
        _require(len(self.short) > 0 and min(self.short) >= 1, self, "short", "one or more values of at least 1")
        _require(self.long >= max(self.short), self, "long", f"at least the largest of short, {max(self.short)}")
        low, high = self.scale_range
        _require(0 < low <= high < math.inf, self, "scale_range", "two finite values above 0, the smaller first")
        low, high = self.crop_scale
        _require(0 < low <= high <= 1, self, "crop_scale", "two values in 0 < … ≤ 1, the smaller first")
        for name in ("flip", "crop", "brightness", "contrast", "saturation"):
            _require(0 <= getattr(self, name) <= 1, self, name, "0..1")
        _require(0 < self.min_visible <= 1, self, "min_visible", "0 < … ≤ 1")
        _require(0 <= self.hue <= 0.5, self, "hue", "0..0.5")

    def __call__(
        self,
        image: UInt8[Tensor, "3 height width"],
        boxes: Float[Tensor, "M 4"],
        labels: Int[Tensor, " M"],
        crowd: Float[Tensor, "R 4"],
        seed: int,
    ) -> tuple[
        UInt8[Tensor, "3 height2 width2"],
        Float[Tensor, "M2 4"],
        Int[Tensor, " M2"],
        Float[Tensor, "R2 4"],
        tuple[float, float],
    ]:
        """Picture, boxes, labels, crowd regions, and new pixels per old pixel, horizontally and vertically."""
        # All is drawn, used or not, so that switching one change on leaves the draws of the others as they were.
        random = np.random.default_rng(seed)
        choice, jitter, flip, crop, factor, top, left = random.random(7)
        colours, order = random.uniform(-1, 1, size=4), random.permutation(4)

        if crop < self.crop:
            height, width = image.shape[1:]
            factor = _between(self.crop_scale, factor)
            new_height, new_width = max(1, round(height * factor)), max(1, round(width * factor))
            y, x = round(top * (height - new_height)), round(left * (width - new_width))
            image = image[:, y : y + new_height, x : x + new_width]
            boxes, labels, crowd = _cut_boxes(boxes, labels, crowd, (y, x, new_height, new_width), self.min_visible)

        stretch = _between(self.scale_range, jitter)
        short = self.short[int(choice * len(self.short))]
        image, scale = Resize(max(1, round(short * stretch)), max(1, round(self.long * stretch)))(image)
        factors = boxes.new_tensor(scale * 2)
        boxes, crowd = boxes * factors, crowd * factors

        if flip < self.flip:
            image = F.horizontal_flip(image)
            boxes, crowd = _mirror(boxes, image.shape[2]), _mirror(crowd, image.shape[2])
        return self._colour(image, colours, order), boxes, labels, crowd, scale

    def _colour(self, image: Tensor, draws: np.ndarray, order: np.ndarray) -> Tensor:
        changes = [
            (F.adjust_brightness, 1.0, self.brightness),
            (_adjust_contrast, 1.0, self.contrast),
            (F.adjust_saturation, 1.0, self.saturation),
            (F.adjust_hue, 0.0, self.hue),
        ]
        for index in order:
            change, centre, reach = changes[index]
            if reach > 0:
                image = change(image, float(centre + reach * draws[index]))
        return image


def unlike_sizes(augmentation: Augmentation, resize: Resize) -> str | None:
    """A sentence if no training picture has the shorter side, in pixels, of those that are scored; else None."""
    low, high = augmentation.scale_range
    least, most = low * min(augmentation.short), high * max(augmentation.short)
    if least <= resize.short <= most:
        return None
    return (
        f"Pictures are scored with a shorter side of {resize.short} px (resize.short), which none has that is "
        f"trained on: those have {least:.0f} to {most:.0f} px (augmentation.short and scale_range)"
    )


# Python's own would decide, where a graph is made and the sides are symbols, for the picture that it is made with.
def _min(first: int, second: int) -> int:
    return cast(int, torch.sym_min(first, second))


def _max(first: int, second: int) -> int:
    return cast(int, torch.sym_max(first, second))


def _rounded(numerator: int, denominator: int) -> int:
    return (2 * numerator + denominator) // (2 * denominator)


def _require(holds: bool, owner: object, name: str, allowed: str) -> None:
    if not holds:
        value: Any = getattr(owner, name)
        raise InputError(f"{type(owner).__name__}: {name} = {value!r} cannot be used. Allowed: {allowed}.")


def _between(limits: tuple[float, float], position: float) -> float:
    return limits[0] + position * (limits[1] - limits[0])


def _mirror(boxes: Tensor, width: int) -> Tensor:
    x1, y1, x2, y2 = boxes.unbind(-1)
    return torch.stack([width - x2, y1, width - x1, y2], dim=-1)


def _cut_boxes(
    boxes: Tensor, labels: Tensor, crowd: Tensor, window: tuple[int, int, int, int], min_visible: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Boxes, labels and crowd inside the window `top left height width`; see `Augmentation.min_visible`."""
    top, left, height, width = window
    corner = boxes.new_tensor([left, top, left, top])
    moved = boxes - corner
    cut, cut_crowd = (clip_boxes_to_image(regions, (height, width)) for regions in (moved, crowd - corner))
    stays = area(cut) >= min_visible * area(moved)
    ignored = torch.cat([cut_crowd, cut[~stays]])
    return cut[stays], labels[stays], ignored[area(ignored) > 0]


def _adjust_contrast(image: Tensor, factor: float) -> Tensor:
    """As torchvision's, about a mean summed in whole numbers: a float32 sum depends on the number of threads."""
    grey = F.rgb_to_grayscale(image)
    mean = grey.sum(dtype=torch.int64).item() / grey.numel()
    return (image * factor + (1 - factor) * mean).clamp(0, 255).to(torch.uint8)
