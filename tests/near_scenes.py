"""Random scenes for methods that look at overlaps: many predicted boxes are nearly right, as after some training."""

from __future__ import annotations

import torch

from mmmc.structures import Prediction
from mmmc.testing import Scene, make_scene


def near_scene(seed: int, *, spread: float) -> Scene:
    """One picture of at most 200 points in float64, with 1 to 13 objects on 1 to 4 levels.

    A third of the predicted boxes are an object's, each side moved by up to half of `spread` times the object's.
    """
    levels, objects = 1 + seed % 4, 1 + seed % 13
    scene = make_scene(seed, images=1, objects=objects, size=(88, 96), strides=(8, 16, 32, 64)[:levels])
    assert len(scene.points) <= 200
    random = torch.Generator().manual_seed(seed)
    truth = scene.targets[0].boxes[torch.randint(objects, (len(scene.points),), generator=random)]
    sides = (truth[:, 2:] - truth[:, :2]).repeat(1, 2)
    shift = spread * (torch.rand(len(scene.points), 4, generator=random) - 0.5) * sides
    near = torch.rand(len(scene.points), 1, generator=random) < 1 / 3
    boxes = torch.where(near, truth + shift, scene.prediction.boxes[0])[None]
    values = (scene.prediction.logits, boxes, scene.prediction.quality)
    return scene._replace(prediction=Prediction(*(value.double() for value in values)))
