"""Tiny scenes: points, a made-up prediction and targets, all from a seed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from mmmc.points import make_points
from mmmc.structures import Points, Prediction, Target


class Scene(NamedTuple):
    """What an assigner is called with."""

    points: Points
    prediction: Prediction
    targets: list[Target]


def make_target(
    boxes: Sequence[Sequence[float]],
    size: tuple[int, int],
    *,
    labels: Sequence[int] | None = None,
    crowd: Sequence[Sequence[float]] = (),
    image_id: int = 0,
) -> Target:
    """A target in the pixels of its picture file; all labels are 0 unless given."""
    return Target(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        labels=torch.tensor([0] * len(boxes) if labels is None else labels, dtype=torch.long),
        crowd=torch.tensor(crowd, dtype=torch.float32).reshape(-1, 4),
        image_id=image_id,
        size=size,
        original_size=size,
    )


def make_prediction(points: Points, *, images: int, classes: int, seed: int) -> Prediction:
    """A random prediction: each point's box surrounds it, with sides of a few strides."""
    random = torch.Generator().manual_seed(seed)
    reach = torch.randn(images, len(points), 4, generator=random).exp() * 1.5 * points.stride[:, None]
    return Prediction(
        logits=torch.randn(images, len(points), classes, generator=random),
        boxes=torch.cat([points.xy - reach[..., :2], points.xy + reach[..., 2:]], dim=2),
        quality=torch.randn(images, len(points), generator=random),
    )


def make_scene(
    seed: int,
    *,
    images: int = 2,
    objects: int | Sequence[int] = 4,
    size: tuple[int, int] = (96, 128),
    strides: Sequence[int] = (8, 16, 32),
    classes: int = 3,
) -> Scene:
    """A batch of random pictures with random objects and predictions; the areas of the objects all differ.

    Args:
        seed: the same seed and arguments give the same scene.
        images: pictures. The first fills the batch, each further one is smaller, so that there is padding.
        objects: objects of every picture, or of each.
        size: height and width of the padded batch in pixels.
        strides: of the pyramid's levels.
        classes: number of classes.
    """
    random = torch.Generator().manual_seed(seed)
    counts = [objects] * images if isinstance(objects, int) else list(objects)
    points = make_points([(math.ceil(size[0] / s), math.ceil(size[1] / s)) for s in strides], strides)
    targets = []
    for index, count in enumerate(counts):
        height, width = max(1, size[0] - 20 * index), max(1, size[1] - 28 * index)
        boxes = _random_boxes(count, height, width, random).tolist()
        labels = torch.randint(classes, (count,), generator=random).tolist()
        targets.append(make_target(boxes, (height, width), labels=labels, image_id=index))
    return Scene(points, make_prediction(points, images=len(targets), classes=classes, seed=seed), targets)


def _random_boxes(count: int, height: int, width: int, random: torch.Generator) -> Float[Tensor, "M 4"]:
    """Boxes inside the picture, of all sizes from 6 pixels on in equal shares of the logarithm."""
    limit = torch.tensor([width, height], dtype=torch.float32)
    sides = (limit / 6).clamp(min=1) ** torch.rand(count, 2, generator=random) * limit.clamp(max=6)
    corner = torch.rand(count, 2, generator=random) * (limit - sides)
    return torch.cat([corner, corner + sides], dim=1)
