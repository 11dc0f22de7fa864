"""What a recipe's options may be."""

from __future__ import annotations

import math
import re
from dataclasses import replace
from typing import Any

import pytest

from mmmc.assign import APS, FCOS
from mmmc.errors import InputError
from mmmc.recipe import DataConfig, OptimizerConfig, Recipe, TrainConfig, WarmStart

BAD: list[tuple[type, str, Any]] = [
    *((DataConfig, "holdout", value) for value in (-0.1, 1.0, math.nan)),
    *((OptimizerConfig, "lr", value) for value in (0.0, -1.0, math.nan, math.inf)),
    (OptimizerConfig, "lr_batch", 0),
    *((OptimizerConfig, "momentum", value) for value in (-0.1, 1.0)),
    *((OptimizerConfig, name, math.inf) for name in ("weight_decay", "norm_decay", "bias_decay", "bias_lr")),
    *((OptimizerConfig, name, -0.1) for name in ("weight_decay", "norm_decay", "bias_decay", "bias_lr")),
    (OptimizerConfig, "warmup", -1),
    *((OptimizerConfig, "clip", value) for value in (0.0, -1.0, math.nan)),
    *((OptimizerConfig, "steps", value) for value in ((0.0,), (0.5, 1.0), (math.nan,))),
    *((OptimizerConfig, name, value) for name in ("gamma", "warmup_factor") for value in (0.0, 1.1)),
    *((TrainConfig, name, 0) for name in ("epochs", "iterations", "batch_size", "accumulate")),
    *((TrainConfig, name, 0) for name in ("early_stop", "log_every")),
    *((TrainConfig, name, -1) for name in ("seed", "workers", "evaluate_every")),
    *((TrainConfig, "ema", value) for value in (0.0, 1.0, math.nan)),
]


@pytest.mark.parametrize(("config", "option", "value"), BAD)
def test_a_value_out_of_its_range_is_refused(config: type, option: str, value: Any) -> None:
    section = config.__name__.removesuffix("Config").lower()
    message = rf"{section}\.{option} is {re.escape(repr(value))}; allowed: \w+"
    with pytest.raises(InputError, match=message):
        config(**{option: value})


def test_the_ends_of_the_ranges_are_allowed() -> None:
    DataConfig(holdout=0.0)
    OptimizerConfig(momentum=0.0, weight_decay=0.0, bias_lr=0.0, warmup=0, gamma=1.0, warmup_factor=1.0, steps=())
    TrainConfig(epochs=1, iterations=1, workers=0, seed=0, evaluate_every=0, early_stop=1)


def test_a_warm_start_ends_when_it_should() -> None:
    """A quarter of 40 iterations are those from 0 to 9."""
    recipe = Recipe(assigner=APS(), warm_start=WarmStart(FCOS(range_strides=4.0), share=0.25))
    assert [type(recipe.at(iteration, 40).assigner) for iteration in (0, 9, 10, 39)] == [FCOS, FCOS, APS, APS]
    counted = replace(recipe, warm_start=replace(recipe.warm_start, iterations=3))
    assert [type(counted.at(iteration, 40).assigner) for iteration in (2, 3)] == [FCOS, APS]
    assert Recipe(assigner=APS()).at(0, 40).assigner == APS()
    assert recipe.at(0, 40) == replace(recipe, assigner=FCOS(range_strides=4.0))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"share": 0.0}, "warm_start.share is 0.0"), ({"iterations": 0}, "warm_start.iterations is 0")],
)
def test_a_warm_start_that_is_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        WarmStart(FCOS(), **options)
