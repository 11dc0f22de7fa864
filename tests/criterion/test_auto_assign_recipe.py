"""What AutoAssign's losses ask of a recipe, and that they run on a GPU."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from fake_cuda import CUDA, Waits, devices, fake_cuda, fake_prediction, fake_targets  # noqa: F401

from mmmc.assign import DW, FCOS, AutoAssign
from mmmc.criterion import AutoAssignCriterion
from mmmc.errors import InputError
from mmmc.parts import CenterPrior, Depression
from mmmc.recipe import load_recipe
from mmmc.testing import Scene, make_scene

from .auto_assign_losses import losses
from .terms import sums

# --- what it asks for


def test_what_a_recipe_must_give() -> None:
    AutoAssignCriterion().require(AutoAssign(), CenterPrior())
    for assigner, part, said in (
        (FCOS(), CenterPrior(), "assigner is FCOS; allowed: AutoAssign"),
        (DW(), CenterPrior(), "assigner is DW"),
        (AutoAssign(confidence=2.0), CenterPrior(), r"confidence is 3\.0; allowed: the assigner's, 2\.0"),
        (AutoAssign(box_power=1.0), CenterPrior(), r"box_power is 5\.0; allowed: the assigner's, 1\.0"),
        (AutoAssign(), None, r"model\.part is none; allowed: CenterPrior"),
        (AutoAssign(), Depression(), r"model\.part is Depression"),
    ):
        with pytest.raises(InputError, match=f"^criterion AutoAssignCriterion: {said}"):
            AutoAssignCriterion().require(assigner, part)  # type: ignore[arg-type]


def test_the_recipe() -> None:
    recipe = load_recipe("small_auto_assign")
    assert (recipe.assigner, recipe.criterion, recipe.model.part) == (
        AutoAssign(),
        AutoAssignCriterion(),
        CenterPrior(),
    )
    assert (recipe.model.box_bias, recipe.model.class_prior, recipe.postprocess.score) == (4.0, 0.02, "quality")
    small = load_recipe("small")
    assert replace(recipe, model=small.model, assigner=small.assigner, criterion=small.criterion) == small


def test_an_assignment_without_pairs_is_refused() -> None:
    scene = make_scene(0)
    with pytest.raises(InputError, match="needs an assignment with pairs"):
        AutoAssignCriterion()(*scene, FCOS()(*scene))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("confidence", -1.0),
        ("box_power", math.inf),
        ("gamma", 0.5),
        ("gamma", math.nan),
        ("gamma", math.inf),
        ("positive_factor", -1.0),
        ("negative_factor", math.nan),
        ("center_factor", math.inf),
    ],
)
def test_an_option_that_is_not_allowed(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^criterion: {name} is {value}; allowed: "):
        AutoAssignCriterion(**{name: value})


def test_factors() -> None:
    scene = make_scene(1)
    one = sums(losses(scene))
    many = sums(losses(scene, AutoAssignCriterion(positive_factor=0.5, negative_factor=0.25, center_factor=3.0)))
    for name, factor in (("positive", 2), ("negative", 1 / 3), ("center", 4)):
        assert many[name] == pytest.approx((factor * one[name][0], one[name][1]))


# --- on a GPU, without one


@pytest.mark.usefixtures("fake_cuda")
def test_on_a_fake_gpu() -> None:
    points, prediction = fake_prediction(center_mean=(2, 3, 2), center_sigma=(2, 3, 2))
    scene = Scene(points, prediction, fake_targets())
    assignment = AutoAssign()(*scene)
    values = (assignment.gt, assignment.score, assignment.weight, assignment.pairs, assignment.state)
    assert devices(*values, assignment.finite, assignment.not_finite, assignment.counts()) == {"cuda:0"}
    with Waits() as waits:
        total = losses(scene).total()
    assert waits.seen == []
    assert (str(total.device), total.dtype, total.requires_grad) == ("cuda:0", torch.float32, True)


def test_nothing_waits() -> None:
    scene = make_scene(0, objects=(5, 0))
    with Waits() as waits:
        losses(scene).total()
    assert waits.seen == []
