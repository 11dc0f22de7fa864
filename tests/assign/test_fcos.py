"""FCOS's rule against numbers worked by hand, a slow reference and properties that must hold for any boxes."""

from __future__ import annotations

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmmc.assign import FCOS
from mmmc.errors import InputError
from mmmc.points import make_points
from mmmc.structures import NEGATIVE, Assignment, ObjectState, Points
from mmmc.testing import make_prediction, make_scene, make_target


def assign(assigner: FCOS, shapes: list[tuple[int, int]], strides: list[int], *boxes: list[float]) -> list[Tensor]:
    """Labels of one picture that its finest level fills, as one map per level, and the states."""
    points = make_points(shapes, strides)
    size = (shapes[0][0] * strides[0], shapes[0][1] * strides[0])
    prediction = make_prediction(points, images=1, classes=1, seed=0)
    assignment = assigner(points, prediction, [make_target(boxes, size)])
    assert torch.equal(assignment.score, (assignment.gt >= 0).float())
    assert (assignment.weight == 1).all()
    return [*points.split(assignment.gt[0]), assignment.state[0]]


def test_center_square_is_open() -> None:
    # Centre (16, 16), half side 1.5 · 8 = 12: points at 4 and 28 are exactly 12 away and stay out.
    labels, state = assign(FCOS(), [(4, 4)], [8], [0, 0, 32, 32])
    assert labels.tolist() == [[-1, -1, -1, -1], [-1, 0, 0, -1], [-1, 0, 0, -1], [-1, -1, -1, -1]]
    assert state.tolist() == [ObjectState.CHOSEN]


def test_without_center_sampling_the_whole_open_box_is_positive() -> None:
    # Sides through the points at 4 and 28: those lie on the border, not strictly inside.
    labels, _ = assign(FCOS(center_radius=None), [(4, 4)], [8], [4, 4, 28, 32])
    assert labels.tolist() == [[-1, -1, -1, -1], [-1, 0, 0, -1], [-1, 0, 0, -1], [-1, 0, 0, -1]]


@pytest.mark.parametrize(
    ("right", "taken"),
    [
        (68.0, range(8)),  # Point 4 is exactly 64 from the right side; point 68 lies on it.
        (68.5, range(1, 8)),  # Point 4 is 64.5 from the right side, point 68 is 68 from the left one.
        (76.0, range(1, 8)),  # Point 12 is exactly 64 from the right side.
        (76.5, range(2, 8)),
    ],
)
def test_ranges_include_their_upper_end(right: float, taken: range) -> None:
    """The first of two levels takes distances from 0 to 8 · 8 = 64; its points are at 4, 12, 20 …"""
    finest, _, _ = assign(FCOS(center_radius=None), [(1, 10), (1, 5)], [8, 16], [0, 0, right, 8])
    assert (finest[0] == 0).nonzero().flatten().tolist() == list(taken)


@pytest.mark.parametrize(("right", "taken"), [(72.0, True), (71.5, False)])
def test_ranges_include_their_lower_end(right: float, taken: bool) -> None:
    """The second level begins where the first ends: at a distance of 64, here of point (8, 8) to the right side."""
    _, second, _ = assign(FCOS(center_radius=None), [(2, 10), (1, 5)], [8, 16], [4, 4, right, 12])
    assert (second[0, 0] == 0) == taken


def test_a_distance_of_64_belongs_to_both_levels() -> None:
    finest, second, _ = assign(FCOS(center_radius=None), [(2, 10), (1, 5)], [8, 16], [0, 0, 72, 16])
    # Second level, point (8, 8): r = 64. Finest level, point (12, 4): r = 60 and point (4, 4): r = 68.
    assert (second[0, 0], finest[0, 1], finest[0, 0]) == (0, 0, NEGATIVE)


def test_last_range_is_open_and_first_begins_at_zero() -> None:
    labels, state = assign(FCOS(range_strides=0.5), [(4, 4)], [8], [0, 0, 32, 32], [11, 11, 13, 13])
    assert labels[1].tolist() == [NEGATIVE, 1, 0, NEGATIVE]
    assert state.tolist() == [ObjectState.CHOSEN] * 2


def test_without_ranges_every_level_takes_part() -> None:
    finest, second, _ = assign(FCOS(range_strides=None), [(4, 4), (2, 2)], [8, 16], [0, 0, 32, 32])
    assert (finest >= 0).sum() == 4
    assert (second >= 0).all()
    finest, second, _ = assign(FCOS(), [(4, 4), (2, 2)], [8, 16], [0, 0, 32, 32])
    assert (finest >= 0).sum() == 4
    assert (second < 0).all()


def test_the_smallest_object_wins_and_of_equals_the_first() -> None:
    labels, state = assign(FCOS(), [(4, 4)], [8], [0, 0, 32, 32], [8, 8, 16, 16], [8, 8, 16, 16])
    assert labels[1:3, 1:3].tolist() == [[1, 0], [0, 0]]
    assert state.tolist() == [ObjectState.CHOSEN, ObjectState.CHOSEN, ObjectState.NONE_LEFT]


def test_states_say_why_an_object_has_no_point() -> None:
    boxes = {
        ObjectState.NO_POINT: [5, 5, 11, 11],
        # Points 4, 12, 20, 28 all lie inside; with ranges of half a stride none may have it on this level.
        ObjectState.NO_CANDIDATE: [0, 0, 32, 32],
        ObjectState.CHOSEN: [19, 19, 21, 21],
        ObjectState.NONE_LEFT: [18, 18, 22.5, 22.5],
    }
    *_, state = assign(FCOS(range_strides=0.5), [(4, 4), (1, 1)], [8, 1000], *boxes.values())
    assert state.tolist() == [int(expected) for expected in boxes]


@pytest.mark.parametrize("options", [{"range_strides": 0.0}, {"center_radius": -1.5}, {"range_strides": math.nan}])
def test_options_out_of_range_are_refused(options: dict[str, float]) -> None:
    with pytest.raises(InputError, match=f"{next(iter(options))} is .*; allowed: a number above 0, or null"):
        FCOS(**options)


def test_the_configuration_is_all_there_is() -> None:
    assert FCOS() == FCOS(8.0, 1.5)
    assert hash(FCOS()) == hash(FCOS(8.0, 1.5))
    with pytest.raises(AttributeError):
        FCOS().center_radius = 2.0  # type: ignore[misc]


def slow(assigner: FCOS, points: Points, target) -> list[int]:
    """The rule point by point and object by object, from its description."""
    labels = []
    for (x, y), stride, level in zip(points.xy.tolist(), points.stride.tolist(), points.level.tolist(), strict=True):
        best, least = NEGATIVE, math.inf
        for index, (x1, y1, x2, y2) in enumerate(target.boxes.tolist()):
            ltrb = (x - x1, y - y1, x2 - x, y2 - y)
            if min(ltrb) <= 0 or x >= target.size[1] or y >= target.size[0]:
                continue
            if assigner.range_strides is not None:
                low = assigner.range_strides * points.strides[level - 1] if level else 0
                high = assigner.range_strides * stride if level < len(points.strides) - 1 else math.inf
                if not low <= max(ltrb) <= high:
                    continue
            if assigner.center_radius is not None:
                reach = max(abs(x - (x1 + x2) / 2), abs(y - (y1 + y2) / 2))
                if reach >= assigner.center_radius * stride:
                    continue
            if (x2 - x1) * (y2 - y1) < least:
                best, least = index, (x2 - x1) * (y2 - y1)
        labels.append(best)
    return labels


OPTIONS = [FCOS(*options) for options in itertools.product((8.0, 2.0, None), (1.5, 0.7, None))]


@pytest.mark.parametrize("scenes", [30, pytest.param(300, marks=pytest.mark.full)])
def test_equal_to_a_slow_reference(scenes: int) -> None:
    positives = 0
    for seed in range(scenes):
        scene = make_scene(seed, objects=(6, 3), size=(96, 96), strides=(8, 16, 32))
        assigner = OPTIONS[seed % len(OPTIONS)]
        assignment = assigner(*scene)
        for gt, target in zip(assignment.gt.tolist(), scene.targets, strict=True):
            assert gt == slow(assigner, scene.points, target), f"seed {seed}, {assigner}"
            positives += sum(index >= 0 for index in gt)
    assert positives > 20 * scenes


# Multiples of a quarter are exact in float32, so properties hold without tolerance.
quarters = st.integers(0, 4 * 96).map(lambda value: value / 4)
sides = st.integers(1, 4 * 96).map(lambda value: value / 4)
boxes = st.tuples(quarters, quarters, sides, sides).map(lambda box: [box[0], box[1], box[0] + box[2], box[1] + box[3]])
pictures = st.lists(boxes, min_size=1, max_size=5)
POINTS = make_points([(12, 12), (6, 6), (3, 3)], (8, 16, 32))
PREDICTION = make_prediction(POINTS, images=1, classes=1, seed=0)


def on_96(assigner: FCOS, drawn: list[list[float]]) -> Assignment:
    return assigner(POINTS, PREDICTION, [make_target(drawn, (96, 96))])


@settings(max_examples=40, deadline=None)
@given(pictures, st.sampled_from(OPTIONS))
def test_a_larger_object_takes_no_point_from_a_smaller_one(drawn: list[list[float]], assigner: FCOS) -> None:
    before = on_96(assigner, drawn).gt[0]
    after = on_96(assigner, [*drawn, [-200, -200, 300, 300]]).gt[0]
    assert torch.equal(after[before >= 0], before[before >= 0])
    assert set(after[before < 0].tolist()) <= {NEGATIVE, len(drawn)}


@settings(max_examples=40, deadline=None)
@given(pictures, st.sampled_from(OPTIONS))
def test_options_only_take_points_away(drawn: list[list[float]], assigner: FCOS) -> None:
    assert (on_96(assigner, drawn).positive <= on_96(FCOS(None, None), drawn).positive).all()


@settings(max_examples=40, deadline=None)
@given(pictures, st.sampled_from(OPTIONS))
def test_turning_the_picture_upside_down_turns_the_labels(drawn: list[list[float]], assigner: FCOS) -> None:
    turned = [[x1, 96 - y2, x2, 96 - y1] for x1, y1, x2, y2 in drawn]
    maps, turned_maps = (POINTS.split(on_96(assigner, each).gt[0]) for each in (drawn, turned))
    assert all(torch.equal(a.flip(0), b) for a, b in zip(maps, turned_maps, strict=True))
