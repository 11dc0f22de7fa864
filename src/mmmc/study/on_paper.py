"""What a training costs on paper, where nothing was measured yet."""

from __future__ import annotations

from functools import cache

from mmmc.model import ModelConfig
from mmmc.model.cost import cost
from mmmc.recipe import Recipe

GPU, PEAK, SHARE = "H100 SXM", 989e12, 0.25
"""A GPU, its bfloat16 operations a second (data sheet), and the share that such convolutions reach (a guess)."""

BACKWARD = 2
"""Operations of a backward pass by those of the forward pass; less where layers are frozen."""

CLASSES = 80
"""COCO's."""


def gpu_hours(recipe: Recipe) -> float | None:
    """Hours of one `GPU` for a training, evaluations left out; None where the recipe does not say its iterations.

    Operations of pictures as they are scored, padded to 32, divided by what we assume a GPU does.
    """
    if recipe.train.iterations is None:
        return None
    sides = (recipe.resize.short, recipe.resize.long)
    height, width = (-(-side // 32) * 32 for side in sides)
    pictures = recipe.train.iterations * recipe.train.batch_size
    return (1 + BACKWARD) * _operations(recipe.model, (height, width)) * pictures / (SHARE * PEAK) / 3600


@cache
def _operations(model: ModelConfig, size: tuple[int, int]) -> int:
    """Of a picture's forward pass, two for each multiply-add."""
    return 2 * sum(part.macs for part in cost(model, CLASSES, size))
