"""A scene small enough to follow on paper, for AutoAssign and DW, and random ones to compare with the slow forms."""

from __future__ import annotations

import torch
from torch import Tensor

from mmmc.points import make_points
from mmmc.structures import Prediction
from mmmc.testing import Scene, make_scene, make_target

from .slow_rules import Picture

BOXES = [[0.0, 0, 16, 6], [0.0, 0, 8, 8], [2.0, 2, 14, 11], [2.0, 2, 14, 8], [2.0, 2, 14, 12.8]]


def two_objects(extra: dict[str, Tensor] | None = None) -> Scene:
    """Points 0 to 3 at (4, 4), (12, 4), (4, 12), (12, 12) with stride 8, point 4 at (8, 8) with stride 16.

    Object 0, of class 0, `0 0 16 8`, holds points 0 and 1; (8, 8) lies on its border. Object 1, of class 1,
    `2 2 14 14`, holds all five. Class probability and quality are 1/2 everywhere, their product 1/4.

    | point | box | with object 0: IoU, 1 - GIoU | with object 1 |
    |---|---|---|---|
    | 0 | `0 0 16 6` | 0.75, 0.25 | 48 / 192 = 0.25, 0.75 + 32 / 224 = 0.892857 |
    | 1 | `0 0 8 8` | 0.5, 0.5 | 36 / 172 = 0.209302, 0.790698 + 24 / 196 = 0.913147 |
    | 2 | `2 2 14 11` | | 0.75, 0.25 |
    | 3 | `2 2 14 8` | | 0.5, 0.5 |
    | 4 | `2 2 14 12.8` | | 0.9, 0.1 |

    So P = exp(-5 · (1 - GIoU)) / 4 is 0.071626 and 0.020521 for object 0, and 0.002878, 0.002601, 0.071626, 0.020521,
    0.151633 for object 1.
    """
    points = make_points([(2, 2), (1, 1)], (8, 16))
    prediction = Prediction(
        logits=torch.zeros(1, 5, 2, dtype=torch.float64),
        boxes=torch.tensor([BOXES], dtype=torch.float64),
        quality=torch.zeros(1, 5, dtype=torch.float64),
        extra=extra or {},
    )
    return Scene(points, prediction, [make_target([[0, 0, 16, 8], [2, 2, 14, 14]], (16, 16), labels=[0, 1])])


def random_scene(seed: int, images: int = 1, extra: dict[str, Tensor] | None = None) -> Scene:
    """Up to 200 points on one to four levels, up to 13 objects of three classes a picture; in float64."""
    levels = 1 + seed % 4
    objects = [(1 + seed + 5 * index) % 14 for index in range(images)]
    scene = make_scene(seed, images=images, objects=objects, size=(88, 96), strides=(8, 16, 32, 64)[:levels])
    assert len(scene.points) <= 200
    said = (getattr(scene.prediction, name).double() for name in ("logits", "boxes", "quality"))
    return scene._replace(prediction=Prediction(*said, extra=extra or {}))


def pictures(scene: Scene) -> list[Picture]:
    """Each picture of a scene in plain numbers."""
    return [
        Picture(
            scene.points,
            Prediction(*(getattr(scene.prediction, name)[i : i + 1] for name in ("logits", "boxes", "quality"))),
            target,
        )
        for i, target in enumerate(scene.targets)
    ]


def pairs_of(weights: Tensor) -> list[dict[int, float]]:
    """Pairs of one picture, `M P`, as `{point: weight}` by object."""
    return [{p: w for p, w in enumerate(row) if w > 0} for row in weights.tolist()]


def gaussians(seed: int, images: int, classes: int = 3) -> dict[str, Tensor]:
    """What the part of AutoAssign adds to a prediction, at random; the same for every picture."""
    random = torch.Generator().manual_seed(seed)
    mean = torch.randn(1, classes, 2, generator=random, dtype=torch.float64) / 2
    sigma = torch.rand(1, classes, 2, generator=random, dtype=torch.float64) + 0.5
    return {"center mean": mean.expand(images, -1, -1), "center sigma": sigma.expand(images, -1, -1)}


def by_class(extra: dict[str, Tensor]) -> list[tuple[list[float], list[float]]]:
    """The same as plain numbers."""
    return list(zip(extra["center mean"][0].tolist(), extra["center sigma"][0].tolist(), strict=True))
