"""The scenes that assigners are held to their promises on, with all the usual hard cases."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from mmmc.points import make_points
from mmmc.testing.scenes import Scene, make_prediction, make_scene, make_target


def _drawn(seed: int, *boxes: list[list[float]], strides: tuple[int, ...] = (8, 16, 32)) -> Scene:
    """A scene with these boxes; the second picture and later ones are narrower than the batch."""
    points = make_points([(ceil(96 / s), ceil(128 / s)) for s in strides], strides)
    targets = [
        make_target(drawn, (96, 128 if index == 0 else 100), labels=[i % 3 for i in range(len(drawn))], image_id=index)
        for index, drawn in enumerate(boxes)
    ]
    return Scene(points, make_prediction(points, images=len(boxes), classes=3, seed=seed), targets)


SCENES: dict[str, Callable[[int], Scene]] = {
    "two pictures": lambda seed: make_scene(seed),
    "three pictures, one of them empty": lambda seed: make_scene(seed, images=3, objects=(3, 0, 5)),
    "no object at all": lambda seed: make_scene(seed, objects=0),
    "one object": lambda seed: make_scene(seed, images=1, objects=1),
    "an object smaller than a stride": lambda seed: _drawn(seed, [[41, 41, 47, 46], [10, 10, 90, 80]]),
    "objects in which no point lies": lambda seed: _drawn(seed, [[45, 45, 51, 51], [5, 5, 7, 7]], [[97, 8, 100, 16]]),
    "twin boxes": lambda seed: _drawn(seed, [[20, 20, 70, 60], [20, 20, 70, 60], [30, 10, 60, 90]]),
    "boxes on the border, sides through points": lambda seed: _drawn(
        seed, [[0, 0, 60, 40], [84, 56, 128, 96], [0, 0, 128, 96]], [[4, 4, 36, 44], [0, 52, 100, 96]]
    ),
    "a box that reaches into the padding": lambda seed: _drawn(seed, [[20, 20, 70, 60]], [[60, 20, 120, 80]]),
    "one level": lambda seed: make_scene(seed, strides=(16,)),
}
"""Name to builder, from a seed."""


def scenes(crowd: int = 1000) -> dict[str, Callable[[int], Scene]]:
    """All scenes by name, with one of a picture that holds so many objects."""
    return {**SCENES, f"{crowd} objects": lambda seed: make_scene(seed, objects=(crowd, 7))}
