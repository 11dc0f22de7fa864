"""What a recipe's options may be."""

from __future__ import annotations

import math
import re
from typing import Any

import pytest

from mmmc.errors import InputError
from mmmc.recipe import DataConfig, OptimizerConfig, TrainConfig

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
