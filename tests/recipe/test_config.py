"""What a recipe's options may be."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Any

import pytest

from mmmc.assign import APS, Assigner
from mmmc.assign.fcos import FCOS
from mmmc.criterion.common import DenseCriterion
from mmmc.errors import InputError
from mmmc.model import ModelConfig
from mmmc.parts import CenterPrior, Part
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


def test_a_warm_start_may_bring_its_own_losses() -> None:
    first, then = DenseCriterion(box_factor=2.0), DenseCriterion(class_loss="quality_focal")
    recipe = Recipe(criterion=then, warm_start=WarmStart(FCOS(), first, share=0.5))
    assert [recipe.at(iteration, 4).criterion for iteration in range(4)] == [first, first, then, then]
    assert replace(recipe, warm_start=WarmStart(FCOS(), share=0.5)).at(0, 4).criterion == then


@dataclass(frozen=True)
class Ageing(FCOS):
    """A rule that changes as the training goes on."""

    age: float = 0.0

    def at(self, progress: float) -> Ageing:
        return replace(self, age=progress)


def test_a_rule_is_told_how_far_the_training_has_come() -> None:
    recipe = Recipe(assigner=Ageing(), warm_start=WarmStart(Ageing(), iterations=1))
    assert [recipe.at(iteration, 4).assigner.age for iteration in range(4)] == [0, 0.25, 0.5, 0.75]
    assert Recipe().at(3, 4) == Recipe()


class Demanding(DenseCriterion):
    """Losses that can be computed from FCOS's labels alone, and only with a part."""

    def require(self, assigner: Assigner, part: Part | None) -> None:
        if not isinstance(assigner, FCOS) or part is None:
            raise InputError(f"criterion Demanding: the assigner is {assigner} and model.part {part}; allowed: FCOS.")


def test_losses_that_ask_for_more_than_the_recipe_has() -> None:
    model = ModelConfig(part=CenterPrior())
    Recipe(criterion=Demanding(), model=model)
    with pytest.raises(InputError, match=r"model\.part None"):
        Recipe(criterion=Demanding())
    with pytest.raises(InputError, match=r"the assigner is APS"):
        Recipe(criterion=Demanding(), model=model, assigner=APS())
    # Both stages are looked at.
    with pytest.raises(InputError, match=r"the assigner is APS"):
        Recipe(criterion=Demanding(), model=model, warm_start=WarmStart(APS()))
    with pytest.raises(InputError, match=r"the assigner is APS"):
        Recipe(model=model, warm_start=WarmStart(APS(), Demanding()))
    Recipe(criterion=Demanding(), model=model, warm_start=WarmStart(APS(), DenseCriterion()))


@pytest.mark.parametrize(
    ("options", "message"),
    [({"share": 0.0}, "warm_start.share is 0.0"), ({"iterations": 0}, "warm_start.iterations is 0")],
)
def test_a_warm_start_that_is_none(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        WarmStart(FCOS(), **options)
