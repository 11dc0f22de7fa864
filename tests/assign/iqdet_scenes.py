"""Scenes with mixtures and positions made up, and the two levels that are followed on paper."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from mmmc.points import make_points
from mmmc.structures import Prediction
from mmmc.testing import Scene, make_scene

POINTS = make_points([(4, 4), (2, 2)], (8, 16))
"""Points 0 … 15 at 4, 12, 20, 28 in both directions, row by row; 16 … 19 at 8 and 24."""

NEVER = -200.0
"""Logit of a component without a share."""


def mixture(*levels: tuple[float, float]) -> Tensor:
    """One Gaussian in the middle for each level, by its logit and its deviation in both directions."""
    return torch.tensor([[[logit, 0, 0, deviation, deviation], [NEVER, 0, 0, 1, 1]] for logit, deviation in levels])


def with_extra(prediction: Prediction, mixtures: list[Tensor], samples: list[list[list[float]]]) -> Prediction:
    """The prediction of one picture with the mixtures and positions of its objects."""
    dtype = prediction.boxes.dtype
    extra = {
        "quality mixture": torch.stack(mixtures)[None].to(dtype),
        "samples": torch.tensor([samples], dtype=dtype),
    }
    return replace(prediction, extra=extra)


def random_scene(seed: int, images: int = 1) -> Scene:
    """A scene in float64 with at most 200 points, whose positions lie anywhere in the boxes on any level."""
    levels = 1 + seed % 4
    points, said, targets = make_scene(
        seed, images=images, objects=1 + seed % 7, size=(88, 96), strides=(8, 16, 32, 64)[:levels]
    )
    random = torch.Generator().manual_seed(seed)
    most = max(len(target.labels) for target in targets)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(*shape, generator=random, dtype=torch.float64)

    shape = (images, most, levels, 2)
    mixtures = torch.cat([uniform(-3, 3, *shape, 1), uniform(-1, 1, *shape, 2), uniform(0.1, 2, *shape, 2)], dim=-1)
    boxes = torch.stack([target.boxes.double() for target in targets])
    at = uniform(0, 1, images, most, 5, 2)
    at[:, :, 0] = 1  # the corner of the box
    xy = boxes[:, :, None, :2] + at * (boxes[..., 2:] - boxes[..., :2])[:, :, None]
    level = torch.randint(levels, (images, most, 5, 1), generator=random).double()
    double = Prediction(
        logits=said.logits.double(),
        boxes=said.boxes.double(),
        quality=said.quality.double(),
        extra={"quality mixture": mixtures, "samples": torch.cat([xy, level], dim=-1)},
    )
    return Scene(points, double, targets)
