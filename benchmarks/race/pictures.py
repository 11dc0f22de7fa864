"""Pictures and boxes for contestants whose loop is ours, as torchvision's transforms take them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import v2
from torchvision.tv_tensors import BoundingBoxes, BoundingBoxFormat

from mmmc.data.pictures import read_picture
from mmmc.data.sets import CocoSet

SIDE = 320
"""Longer side of the pictures of all contestants; some make a square of it."""


@dataclass(frozen=True)
class Sample:
    """A picture, 8-bit `3 H W`, its boxes `x1 y1 x2 y2` in its pixels, and their class indices."""

    image: Tensor
    boxes: Tensor
    labels: Tensor


class Pictures(Dataset[Sample]):
    """The pictures of a set, each time changed at random.

    Args:
        pictures: the set.
        augment: takes a picture and a dictionary with `boxes` and `labels`.
    """

    def __init__(self, pictures: CocoSet, augment: v2.Transform) -> None:
        self.pictures, self.augment = pictures, augment

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, index: int) -> Sample:
        image, objects = read_picture(self.pictures.file(index)), self.pictures.objects(index)
        size = (image.shape[1], image.shape[2])
        boxes = BoundingBoxes(objects.boxes, format=BoundingBoxFormat.XYXY, canvas_size=size)
        image, target = self.augment(image, {"boxes": boxes, "labels": torch.from_numpy(objects.labels)})
        return Sample(image, target["boxes"].as_subclass(Tensor), target["labels"])


def batches(pictures: CocoSet, augment: v2.Transform, batch: int, seed: int) -> Iterator[list[Sample]]:
    """Batches without end, epoch after epoch in a new order; a rest that is no whole batch is left out."""
    order = torch.Generator().manual_seed(seed)
    size = min(batch, len(pictures))
    loader = DataLoader(
        Pictures(pictures, augment), size, shuffle=True, drop_last=True, collate_fn=list, generator=order
    )
    while True:
        yield from loader
