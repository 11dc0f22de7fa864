"""From samples to a batch: padding to one size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import UInt8
from torch import Tensor

from mmmc.structures import Batch, Target


@dataclass(frozen=True)
class Sample:
    """One picture, ready to be put into a batch."""

    image: UInt8[Tensor, "3 height width"]
    target: Target


def collate(samples: Sequence[Sample], pad_value: tuple[int, int, int], divisor: int) -> Batch:
    """One batch, padded right and bottom with the colour `pad_value` (RGB) to sides divisible by `divisor`."""
    height, width = (padded(max(sample.image.shape[axis] for sample in samples), divisor) for axis in (1, 2))
    colour = torch.tensor(pad_value, dtype=torch.uint8)
    images = colour.view(1, 3, 1, 1).repeat(len(samples), 1, height, width)
    for image, sample in zip(images, samples, strict=True):
        image[:, : sample.image.shape[1], : sample.image.shape[2]] = sample.image
    return Batch(images, [sample.target for sample in samples])


def padded(side: int, divisor: int) -> int:
    """The least multiple of `divisor` that is not below `side`."""
    # Without negative numbers, which ONNX divides otherwise than Python.
    return (side + divisor - 1) // divisor * divisor
