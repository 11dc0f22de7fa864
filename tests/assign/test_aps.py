"""APS as a whole: against a slow reference, its promises and properties, options that are refused."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmmc.assign import APS
from mmmc.errors import InputError
from mmmc.points import make_points
from mmmc.structures import NEGATIVE, ObjectState, Prediction
from mmmc.testing import check_assigner, make_scene, make_target

from . import aps_reference
from .aps_scenes import (
    AUTHORS,
    row_labels,
)

# --- the slow reference

FSAF = APS(level_stat="shrunk", num_levels=1)
SEEN = APS(least_cells=2.0)
REFERENCE = pytest.mark.parametrize(
    "rule", [APS(), AUTHORS, FSAF, SEEN], ids=["defaults", "authors", "fsaf", "least_cells"]
)


def compare(rule: APS, count: int) -> None:
    for seed in range(count):
        random = np.random.default_rng(seed)
        levels = int(random.integers(3, 6))
        strides = [8, 16, 32, 64, 128][:levels]
        scene = make_scene(
            seed, images=1, objects=int(random.integers(1, 41)), size=(96, 96), strides=strides, classes=3
        )
        assert len(scene.points) <= 200
        double = Prediction(
            scene.prediction.logits.double(), scene.prediction.boxes.double(), scene.prediction.quality.double()
        )
        found = rule(scene.points, double, scene.targets)
        gt, states = aps_reference.assign(rule, scene.points, double, scene.targets)
        assert found.gt.tolist() == gt.tolist(), f"scene {seed}"
        assert [state.tolist() for state in found.state] == states, f"scene {seed}"


@REFERENCE
def test_equals_the_slow_reference(rule: APS) -> None:
    compare(rule, 30)


@pytest.mark.full
@REFERENCE
def test_equals_the_slow_reference_on_500_scenes(rule: APS) -> None:
    compare(rule, 500)


# --- promises and properties

COMBINATIONS = [
    APS(),
    AUTHORS,
    *(APS(score=score) for score in ("code", "sum", "fit_only", "align_only", "printed")),
    *(APS(rule=rule) for rule in ("b", "c", "mean", "topk")),
    *(APS(level_stat=stat) for stat in ("quantile", "fixed_fraction", "square", "shrunk")),
    FSAF,
    *(APS(scale_standard=standard) for standard in ("cls", "reg")),
    *(APS(class_loss=loss) for loss in ("focal_gt_only", "bce")),
    *(APS(spatial=False, scale_only=kind) for kind in ("center", "candidates", "inside")),
    *(APS(scale=False, spatial_levels=kind) for kind in ("ranges", "all")),
    *(APS(conflict=kind) for kind in ("area_first", "max_iou")),
    APS(scale=False, spatial=False),
    APS(num_levels=1),
    APS(num_levels=9),
    APS(tiny="nearest"),
    APS(least_cells=2.0),
    APS(target="score"),
    APS(target="score", score="code"),
    APS(center_radius=1.5),
    APS(softmax_over="level"),
    APS(score_scale="code"),
    APS(iou_smooth=1.0, lambda_reg=2.0),
    APS(candidates_per_level=1),
]


def changed(rule: APS) -> str:
    """The options that are not at their defaults."""
    return ", ".join(f"{o.name}={getattr(rule, o.name)}" for o in fields(rule) if getattr(rule, o.name) != o.default)


SHORT = (APS(), AUTHORS, FSAF, APS(scale=False), APS(spatial=False), APS(tiny="nearest"), APS(target="score"))
"""Of the combinations, those that are checked every time; `make test-full` checks all."""


@pytest.mark.parametrize(
    "rule",
    [pytest.param(rule, marks=() if rule in SHORT else pytest.mark.full, id=changed(rule)) for rule in COMBINATIONS],
)
def test_keeps_the_promises_of_every_assigner(rule: APS) -> None:
    check_assigner(rule, crowd=1000 if rule == APS() else 60)


def test_the_short_list_is_of_the_long_one() -> None:
    assert set(SHORT) <= set(COMBINATIONS)


seeds = st.integers(0, 10**6)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, objects=st.integers(1, 12))
def test_order_of_points_within_a_level_does_not_matter(seed: int, objects: int) -> None:
    scene = make_scene(seed, images=2, objects=objects)
    order, first = [], 0
    random = torch.Generator().manual_seed(seed)
    for height, width in scene.points.shapes:
        order.append(first + torch.randperm(height * width, generator=random))
        first += height * width
    shuffled = torch.cat(order)
    points = replace(scene.points, xy=scene.points.xy[shuffled])
    prediction = Prediction(
        scene.prediction.logits[:, shuffled], scene.prediction.boxes[:, shuffled], scene.prediction.quality[:, shuffled]
    )
    assert torch.equal(APS()(points, prediction, scene.targets).gt, APS()(*scene).gt[:, shuffled])


@settings(max_examples=60, deadline=None)
@given(seed=seeds, objects=st.integers(1, 60))
def test_an_object_is_without_only_if_nothing_is_left(seed: int, objects: int) -> None:
    scene = make_scene(seed, images=1, objects=objects, size=(64, 64))
    steps = APS().steps(*scene)
    gt, owned = steps.assignment.gt[0], steps.assignment.counts()[0]
    for number, in_box in enumerate(steps.objects.in_box[0]):
        if owned[number] == 0 and in_box.any():
            assert (gt[in_box] >= 0).all()
            assert (owned[gt[in_box]] == 1).all()
            assert steps.assignment.state[0][number] == ObjectState.NONE_LEFT
        assert (owned[number] == 0 and not in_box.any()) == (steps.assignment.state[0][number] == ObjectState.NO_POINT)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, objects=st.integers(0, 12))
def test_doubling_everything_changes_nothing(seed: int, objects: int) -> None:
    scene = make_scene(seed, images=2, objects=objects)
    points = scene.points
    doubled = replace(points, xy=2 * points.xy, stride=2 * points.stride, strides=tuple(2 * s for s in points.strides))
    prediction = replace(scene.prediction, boxes=2 * scene.prediction.boxes)
    targets = [
        replace(target, boxes=2 * target.boxes, size=(2 * target.size[0], 2 * target.size[1]))
        for target in scene.targets
    ]
    for rule in (APS(), APS(iou_smooth=1.0), APS(level_stat="square"), FSAF):
        assert torch.equal(rule(doubled, prediction, targets).gt, rule(*scene).gt)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, objects=st.integers(0, 12))
def test_points_outside_the_picture_change_nothing_for_the_others(seed: int, objects: int) -> None:
    """A picture of 64 px in batches of 64 and of 96: 5 more rows and columns, with any prediction at all."""
    small = make_scene(seed, images=1, objects=objects, size=(64, 64))
    large = make_scene(seed + 1, images=1, size=(96, 96))
    keep = large.points.within((64, 64))
    prediction = large.prediction
    for name in ("logits", "boxes", "quality"):
        getattr(prediction, name)[0, keep] = getattr(small.prediction, name)[0]
    prediction.logits[0, ~keep] = torch.nan
    found = APS()(large.points, prediction, small.targets)
    assert torch.equal(found.gt[:, keep], APS()(*small).gt)
    assert (found.gt[:, ~keep] == NEGATIVE).all()
    assert found.finite.all()


def test_the_smallest_first_rule_cannot_see_the_order_of_equal_areas() -> None:
    """Named in the docs: between objects of equal area `area_first` gives the point to the first, whatever it costs."""
    box, other = [0.0, 0.0, 16.0, 8.0], [0.0, 0.0, 8.0, 16.0]
    given: dict[str, Any] = {"cls": [[-6.0, 6.0]], "predicted": [[0.0, 0.0, 8.0, 8.0]]}
    assert row_labels(APS(conflict="area_first"), [box, other], **given)[0] == [0]
    assert row_labels(APS(conflict="min_cost"), [box, other], **given)[0] == [1]


def test_without_both_steps_objects_may_stay_without_although_points_are_left() -> None:
    """Named in the docs: FCOS's rule has no fallback. The middle of this box lies far from its four points."""
    points = make_points([(8, 8)], (8,))
    target = make_target([[0.0, 0.0, 64.0, 7.0]], (64, 64))
    prediction = Prediction(torch.zeros(1, 64, 1), torch.zeros(1, 64, 4), torch.zeros(1, 64))
    assert APS()(points, prediction, [target]).positive.any()
    neither = APS(scale=False, spatial=False, sampling_radius=0.1)(points, prediction, [target])
    assert not neither.positive.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates_per_level": 0}, "candidates_per_level is 0; allowed: at least 1"),
        ({"num_levels": 0}, "num_levels is 0"),
        ({"topk": 0}, "topk is 0"),
        ({"level_share": 0.0}, "level_share is 0.0; allowed: above 0 to 1"),
        ({"shrink": 0.0}, "shrink is 0.0; allowed: above 0 to 1"),
        ({"shrink": 1.5}, "shrink is 1.5"),
        ({"iou_smooth": -1.0}, "iou_smooth is -1.0"),
        ({"least_cells": float("inf")}, "least_cells is inf"),
        ({"lambda_reg": 0.0}, "lambda_reg is 0.0"),
        ({"center_radius": 0.0}, "center_radius is 0.0; allowed: above 0, or null"),
        ({"square_strides": float("inf")}, "square_strides is inf"),
    ],
)
def test_options_that_are_not_allowed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        APS(**options)


def test_without_either_step_there_is_nothing_to_look_at() -> None:
    with pytest.raises(InputError, match="to look at the steps"):
        APS(scale=False, spatial=False).steps(*make_scene(0))
