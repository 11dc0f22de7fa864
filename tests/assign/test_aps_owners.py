"""Who gets a point in the end (APS's step 5), the rows of Table 6, and losses that are not finite."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from mmmc.assign import APS, FCOS
from mmmc.points import make_points
from mmmc.structures import IGNORED, NEGATIVE, ObjectState, Prediction
from mmmc.testing import make_scene, make_target

from .aps_scenes import (
    BOX,
    CLS,
    EIGHT,
    GROUPS,
    LEVELS,
    REG,
    kept,
    losses_prediction,
    positions,
    row_labels,
    row_points,
    steps,
)

# --- step 5: conflicts and fallback


def test_a_point_that_two_objects_want() -> None:
    """One point, in both boxes: a 16 × 16 of class 0 and an 8 × 8 of class 1. The predicted box is the large one.

    Box losses are 0 and 1 − 64/256 = .75. At logits −6 and 6 the focal loss of class 0 is .25 · .995 · 6.0025 = 1.493,
    that of class 1 about 0: sums of 1.493 and .75.
    """
    large, small = [0.0, 0.0, 16.0, 16.0], [0.0, 0.0, 8.0, 8.0]
    given: dict[str, Any] = {"boxes": [large, small], "cls": [[-6.0, 6.0]], "predicted": [large]}
    assert row_labels(APS(conflict="min_cost"), **given) == ([1], [ObjectState.NONE_LEFT, ObjectState.CHOSEN])
    assert row_labels(APS(conflict="max_iou"), **given) == ([0], [ObjectState.CHOSEN, ObjectState.NONE_LEFT])
    given["cls"] = [[6.0, -6.0]]
    assert row_labels(APS(conflict="min_cost"), **given)[0] == [0]
    assert row_labels(APS(conflict="area_first"), **given)[0] == [1]


def test_an_object_that_lost_its_points_gets_its_best_free_candidate() -> None:
    """Twins over two points: both want point 0 only (the better by far). The one that loses it gets point 1."""
    box, off = [0.0, 0.0, 16.0, 16.0], [0.0, 0.0, 4.0, 16.0]
    gt, state = row_labels(APS(), [box, box], [[2.0, 1.0], [1.0, 1.0]], [box, off])
    assert gt == [0, 1]
    assert state == [ObjectState.CHOSEN, ObjectState.FALLBACK]


def test_else_the_best_free_point_in_its_box() -> None:
    """With one candidate a level both twins look at point 0 alone; point 2 is the better of the two that are free."""
    box = [0.0, 0.0, 24.0, 16.0]
    predicted = [box, [0.0, 0.0, 4.0, 16.0], [0.0, 0.0, 12.0, 16.0]]
    gt, state = row_labels(APS(candidates_per_level=1), [box, box], [[2.0, 1.0]] * 3, predicted)
    assert gt == [0, NEGATIVE, 1]
    assert state == [ObjectState.CHOSEN, ObjectState.FALLBACK]


def test_else_the_best_point_of_an_object_that_keeps_another() -> None:
    """A large object takes both points; the small one holds only point 1 and gets it, since the large keeps point 0."""
    large, small = [0.0, 0.0, 16.0, 16.0], [9.0, 0.0, 16.0, 16.0]
    gt, state = row_labels(APS(), [large, small], [[4.0, 0.0], [4.0, 0.0]], [large, large])
    assert gt == [0, 1]
    assert state == [ObjectState.CHOSEN, ObjectState.FALLBACK]


def test_an_object_that_gave_a_point_away_keeps_its_last() -> None:
    """The large object takes both points and gives one to the first of two small ones, which hold one point each."""
    boxes = [[0.0, 0.0, 16.0, 16.0], [9.0, 0.0, 16.0, 16.0], [0.0, 0.0, 7.0, 16.0]]
    gt, state = row_labels(APS(), boxes, [[4.0, 0.0, 0.0]] * 2, [boxes[0]] * 2)
    assert gt == [0, 1]
    assert state == [ObjectState.CHOSEN, ObjectState.FALLBACK, ObjectState.NONE_LEFT]


def test_an_object_stays_without_where_each_point_is_anothers_only_one() -> None:
    """Two twins in a box of one point."""
    box = [0.0, 0.0, 8.0, 8.0]
    gt, state = row_labels(APS(), [box, box], [[2.0, 1.0]], [box])
    assert gt == [0]
    assert state == [ObjectState.CHOSEN, ObjectState.NONE_LEFT]


def test_those_with_less_to_lose_are_provided_first() -> None:
    """Three objects over two points; 0 takes point 0. Of the others, 2 has the lower cost at point 1 and gets it."""
    box = [0.0, 0.0, 16.0, 16.0]
    prediction = Prediction(
        torch.tensor([[[3.0, -1.0, 0.0], [-2.0, -2.0, -1.0]]]), torch.tensor([[box, box]]), torch.zeros(1, 2)
    )
    rule = APS(class_loss="focal_gt_only", candidates_per_level=1)
    target = make_target([box] * 3, (16, 16), labels=[0, 1, 2])
    found = rule(make_points([(1, 2)], (8,)), prediction, [target])
    assert found.gt[0].tolist() == [0, 2]
    assert found.state[0].tolist() == [ObjectState.CHOSEN, ObjectState.NONE_LEFT, ObjectState.FALLBACK]


def test_tiny_objects_get_the_nearest_point_of_the_finest_level_if_asked_for() -> None:
    """The box of 5 px from (9, 9) holds none of the points at 4, 12 … 60 and, on stride 16, at 8, 24 …"""
    scene_points = make_points([(8, 8), (4, 4)], (8, 16))
    prediction = make_scene(0, strides=(8, 16), size=(64, 64), images=1).prediction
    target = make_target([[5.0, 5.0, 7.5, 7.5]], (64, 64))
    none = APS()(scene_points, prediction, [target])
    assert not none.positive.any()
    assert none.state[0].tolist() == [ObjectState.NO_POINT]
    nearest = APS(tiny="nearest")(scene_points, prediction, [target])
    assert nearest.positive[0].nonzero().flatten().tolist() == [0]  # (4, 4), 3.2 px from the centre; (12, 4) is 6.2
    assert nearest.state[0].tolist() == [ObjectState.FALLBACK]


def test_levels_of_cells_much_larger_than_the_object_are_left_out_if_asked_for() -> None:
    """The box of 5 px round (8, 8) holds that point of stride 16 and none of the points 4, 12 … of stride 8."""
    scene_points = make_points([(8, 8), (4, 4)], (8, 16))
    prediction = make_scene(0, strides=(8, 16), size=(64, 64), images=1).prediction
    target = make_target([[5.5, 6.0, 10.5, 10.0]], (64, 64))
    found = APS()(scene_points, prediction, [target])
    assert found.positive[0].nonzero().flatten().tolist() == [64]
    # 5 px are 0.3125 cells of 16.
    assert APS(least_cells=0.3125)(scene_points, prediction, [target]).positive[0, 64]
    left_out = APS(least_cells=0.313)(scene_points, prediction, [target])
    assert not left_out.positive.any()
    assert left_out.state[0].tolist() == [ObjectState.NO_CANDIDATE]
    nearest = APS(least_cells=1, tiny="nearest")(scene_points, prediction, [target])
    assert nearest.positive[0].nonzero().flatten().tolist() == [0]
    assert nearest.state[0].tolist() == [ObjectState.FALLBACK]
    # On the finest level an object may be as small as it likes.
    small = make_target([[11.0, 11.0, 13.0, 13.0]], (64, 64))
    assert APS(least_cells=9)(scene_points, prediction, [small]).positive[0].nonzero().flatten().tolist() == [9]


def test_class_targets_relative_to_the_best() -> None:
    """Scores .78456 and .45475 as worked above, both positive with rule topk: targets 1 and .57963."""
    found = steps(APS(rule="topk", target="score"), row_points(32), [0.2, 1.2], [0.2, 0.2], BOX).assignment
    assert found.score[0].tolist() == pytest.approx([1, 0.57963], abs=1e-5)
    found = steps(APS(rule="topk", score="sum", target="score"), row_points(32), [0.2, 1.2], [0.2, 0.2], BOX).assignment
    assert found.score[0].tolist() == pytest.approx([1, 0.4 / 1.4])
    found = steps(APS(rule="topk"), row_points(32), [0.2, 1.2], [0.2, 0.2], BOX).assignment
    assert found.score[0].tolist() == [1, 1]


def test_ignored_points_reach_the_assignment() -> None:
    cost = [c - 0.05 for c in GROUPS]
    found = steps(APS(rule="b", score="sum"), EIGHT, cost, [0.05] * 8, BOX).assignment
    assert found.gt[0].tolist() == [0, 0, 0, IGNORED, IGNORED, IGNORED, NEGATIVE, NEGATIVE]


# --- the four rows of Table 6


def scene_labels(rule: APS) -> Tensor:
    return rule(*make_scene(3, images=2, objects=5, size=(128, 160))).gt


def test_neither_scale_nor_spatial_is_fcos() -> None:
    scene = make_scene(3, images=2, objects=5, size=(128, 160))
    ours, theirs = APS(scale=False, spatial=False, range_strides=4.0)(*scene), FCOS(range_strides=4.0)(*scene)
    assert torch.equal(ours.gt, theirs.gt)
    assert [a.tolist() for a in ours.state] == [b.tolist() for b in theirs.state]


def test_scale_alone_samples_near_the_center_on_the_chosen_levels() -> None:
    # Least mean is on stride 8; within 1.5 strides of the centre (32, 8) lie points 3 and 4.
    found = steps(APS(spatial=False, num_levels=1), LEVELS, CLS, REG, BOX)
    assert positions(found.wanted) == [3, 4]
    found = steps(APS(spatial=False, num_levels=1, scale_only="inside"), LEVELS, CLS, REG, BOX)
    assert positions(found.wanted) == list(range(8))
    found = steps(
        APS(spatial=False, num_levels=1, scale_only="candidates", candidates_per_level=4), LEVELS, CLS, REG, BOX
    )
    assert positions(found.wanted) == [0, 1, 2, 3]
    # Nothing within half a stride of the centre: the candidate of least loss.
    low = [0.5] * 5 + [0.1] + [0.5] * 2 + [9.0] * 6
    found = steps(APS(spatial=False, num_levels=1, sampling_radius=0.5), LEVELS, low, [0.5] * 14, BOX)
    assert positions(found.wanted) == [5]


def test_spatial_alone_takes_levels_from_ranges_or_all() -> None:
    """Ranges of 4 strides: 0–32, 32–64, 64 and more. The point at 4 reaches 60 to the right side: P4's range.

    On stride 8 all points reach at least 36, so none is in range; on stride 16 they reach 56, 40, 40, 56: all are; on
    stride 32 they reach 48: none is.
    """
    found = steps(APS(scale=False, range_strides=4.0), LEVELS, CLS, REG, BOX)
    assert [sorted(points) for points in kept(found.candidates)] == [[], [8, 9, 10, 11], []]
    assert found.levels.chosen[0, 0].tolist() == [False, True, False]
    found = steps(APS(scale=False, spatial_levels="all"), LEVELS, CLS, REG, BOX)
    assert found.levels.chosen[0, 0].tolist() == [True, True, True]
    assert found.shortlist.valid.sum() == 14


# --- not finite


def test_a_loss_that_is_not_finite_takes_no_part_and_is_named() -> None:
    points, cls = EIGHT, [0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9]
    prediction = losses_prediction(points, BOX, cls, [0.1] * 8)
    prediction.logits[0, 1] = torch.nan
    prediction.boxes[0, 2] = torch.inf
    far = [200.0, 200.0, 264.0, 216.0]
    target = replace(make_target([far, BOX], (64, 64)), image_id=17)
    found = APS(class_loss="bce")(points, prediction, [target])
    assert found.gt[0].tolist() == [1, NEGATIVE, NEGATIVE, 1, NEGATIVE, NEGATIVE, NEGATIVE, NEGATIVE]
    assert found.finite.tolist() == [False]
    with pytest.raises(FloatingPointError, match=r"picture 17: object 1 \(class loss\), object 1 \(box loss\)\.$"):
        found.check([target])
