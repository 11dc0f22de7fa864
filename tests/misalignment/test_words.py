"""The largest losses, and that what they point to is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmmc.misalignment.oracles import PLAIN, Costs
from mmmc.misalignment.tide import KINDS, Tide
from mmmc.misalignment.words import ALIGNMENT, LOOSE, REMEDIES, RESULTS, largest_losses
from mmmc.recipe import load_recipe

ROOT = Path(__file__).parents[2]
CENTERNESS = {"criterion.quality_target: centerness"}


NOTHING = Tide(0.25, dict.fromkeys(KINDS, 0.0), {})


def costs(alignment: float | None, box: float = 0.0) -> Costs:
    """Plain AP is 0.25; what both oracles add to it."""
    plain = np.full((4, 10, 1), 0.25)
    found = {PLAIN: plain, "box": plain + box} | ({} if alignment is None else {ALIGNMENT: plain + alignment})
    return Costs(("a",), found)


def test_the_three_largest_in_order() -> None:
    tide = Tide(0.5, {"class": 0.1, "box": 0.0, "both": 0.02, "duplicate": 0.0, "background": 0.3, "missed": 0.05}, {})
    found = largest_losses(costs(0.2), tide)
    assert [(loss.kind, loss.unit) for loss in found] == [("background", "AP50"), (ALIGNMENT, "AP"), ("class", "AP50")]
    assert found[1].cost == pytest.approx(0.2)
    assert [loss.kind for loss in largest_losses(costs(None), tide)] == ["background", "class", "missed"]


def test_what_costs_nothing_is_no_loss() -> None:
    assert largest_losses(costs(0.0), NOTHING) == []


def test_boxes_that_are_not_tight_cost_what_alignment_does_not() -> None:
    found = largest_losses(costs(0.1, box=0.4), NOTHING)
    assert [(loss.kind, loss.cost) for loss in found] == [(LOOSE, pytest.approx(0.3)), (ALIGNMENT, pytest.approx(0.1))]
    assert "outranked" not in found[0].meaning
    (both,) = largest_losses(costs(None, box=0.4), NOTHING)
    assert (both.kind, both.cost) == (LOOSE, pytest.approx(0.4))
    assert "outranked" in both.meaning


@pytest.mark.parametrize(
    ("name", "changes", "gone"),
    [
        ("small_mmmc", {}, {"--recipe small_mmmc", "model.box_bias: 2", "--assigner APS or SimOTA"}),
        ("small_gfl", {}, {"--recipe small_gfl", "model.box_bias: 2"}),
        ("small_simota", {}, {"model.box_bias: 2", "--assigner APS or SimOTA"}),
        ("small", {"model": {"box_bias": 0.0}}, set()),
        ("small", {"criterion": {"init_args": {"quality_target": "centerness"}}}, CENTERNESS | {"model.box_bias: 2"}),
        (
            "small_mmmc",
            {"assigner": {"init_args": {"class_loss": "bce"}}, "model": {"rfa": {"class_position": 0}}},
            {"assigner.class_loss: bce with APS", "model.box_bias: 2", "--assigner APS or SimOTA"},
        ),
    ],
)
def test_what_a_recipe_has_is_no_advice(name: str, changes: dict[str, Any], gone: set[str]) -> None:
    recipe = load_recipe(name, changes)
    every = [remedy for remedies in REMEDIES.values() for remedy in remedies]
    assert {remedy.option for remedy in every if remedy.taken and remedy.taken(recipe)} == gone
    kinds = dict.fromkeys(KINDS, 0.0) | {"duplicate": 0.2, "box": 0.1}
    advised = {
        remedy.option for loss in largest_losses(costs(0.3), Tide(0.25, kinds, {}), recipe) for remedy in loss.remedies
    }
    assert not advised & gone
    assert "postprocess.nms" in advised


def test_every_loss_has_a_remedy_and_every_place_is_a_heading() -> None:
    assert set(REMEDIES) == {*KINDS, ALIGNMENT, LOOSE}
    lines = (ROOT / RESULTS).read_text(encoding="utf-8").splitlines()
    headings = {line.lstrip("# ") for line in lines if line.startswith("#")}
    for remedies in REMEDIES.values():
        assert remedies
        for remedy in remedies:
            assert not remedy.place or remedy.place in headings, remedy
            assert bool(remedy.place) == bool(remedy.finding)
