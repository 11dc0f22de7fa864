"""Sizes of pictures: what they are resized to, and whether those that are scored are those that are trained on."""

from __future__ import annotations

import json
import math
import os
from fractions import Fraction
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from mmmc.data.transforms import Augmentation, Resize, unlike_sizes
from mmmc.errors import InputError
from mmmc.recipe import load_recipe
from mmmc.recipe.reading import recipe_names


@pytest.mark.parametrize(
    ("short", "long", "given_size", "size"),
    [
        (800, 1333, (480, 640), (800, 1067)),
        (800, 1333, (640, 480), (1067, 800)),
        (800, 1333, (400, 1000), (533, 1333)),  # the longer side would be 2000
        (800, 1333, (2000, 1000), (1333, 667)),
        (192, 256, (480, 640), (192, 256)),
        (4, 10, (1, 1000), (1, 10)),  # never less than one pixel
        (50, 50, (30, 30), (50, 50)),
        (800, 1333, (596, 298), (1333, 667)),  # 666.5, which floating-point numbers take for a little less
    ],
)
def test_resize_sizes(short, long, given_size, size):
    assert Resize(short, long).size(*given_size) == size


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 900), st.integers(0, 900))
def test_resize_reaches_one_limit_and_passes_none(height, width, short, more):
    new = Resize(short, short + more).size(height, width)
    assert min(new) <= short
    assert max(new) <= short + more
    assert min(new) == short or max(new) == short + more


@given(st.integers(1, 3000), st.integers(1, 3000), st.integers(1, 900), st.integers(0, 900))
def test_resize_rounds_exactly(height, width, short, more):
    scale = min(Fraction(short, min(height, width)), Fraction(short + more, max(height, width)))
    exact = tuple(max(1, math.floor(side * scale + Fraction(1, 2))) for side in (height, width))
    assert Resize(short, short + more).size(height, width) == exact


@pytest.mark.skipif("MMMC_DATA" not in os.environ, reason="MMMC_DATA does not name the folder of real sets")
@pytest.mark.parametrize("name", ["bccd", "deeppcb", "signs"])
def test_real_pictures_keep_the_sizes_of_recorded_results(name):
    """Those were resized with a floating-point scale."""
    files = (Path(os.environ["MMMC_DATA"]) / name).rglob("instances_*.json")
    sizes = {(each["height"], each["width"]) for file in files for each in json.loads(file.read_text())["images"]}
    assert sizes
    for recipe in ("small", "fcos_r50_1x", "demo"):
        resize = load_recipe(recipe).resize
        for height, width in sizes:
            scale = min(resize.short / min(height, width), resize.long / max(height, width))
            assert resize.size(height, width) == tuple(math.floor(side * scale + 0.5) for side in (height, width))


def test_resize_returns_the_scale_of_the_rounded_size():
    image, scale = Resize(20, 100)(torch.zeros(3, 33, 47, dtype=torch.uint8))
    assert image.shape == (3, 20, 28)  # 47 · 20 / 33 = 28.48
    assert scale == (28 / 47, 20 / 33)


def test_resize_is_antialiased():
    stripes = torch.zeros(3, 64, 64, dtype=torch.uint8)
    stripes[:, :, ::4] = 255  # a quarter white; sampled without antialias all or nothing of it is seen
    image, _ = Resize(8, 8)(stripes)
    assert (image.float() - 255 / 4).abs().max() < 12


@pytest.mark.parametrize("values", [{"short": 0, "long": 5}, {"short": 9, "long": 8}])
def test_resize_refuses(values):
    with pytest.raises(InputError, match=r"Resize: (short|long) = \d cannot"):
        Resize(**values)


@pytest.mark.parametrize(("short", "alike"), [(139, False), (140, True), (330, True), (331, False)])
def test_sizes_that_are_scored_and_not_trained_on_are_told(short, alike):
    augmentation = Augmentation(short=(200, 300), long=400, scale_range=(0.7, 1.1))
    said = unlike_sizes(augmentation, Resize(short, 400))
    assert (said is None) == alike
    if said:
        assert f"shorter side of {short} px (resize.short), which none has" in said
        assert "those have 140 to 330 px" in said


@pytest.mark.parametrize("name", recipe_names())
def test_recipes_score_at_sizes_that_they_train_on(name):
    recipe = load_recipe(name)
    assert unlike_sizes(recipe.augmentation, recipe.resize) is None
