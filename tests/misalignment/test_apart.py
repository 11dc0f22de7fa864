"""The best-scored and the best-overlapping point of an object."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mmmc.misalignment.apart import OVERLAPPING, SCORED, Apart, apart, groups
from mmmc.points import make_points
from mmmc.testing import make_target

POINTS = make_points([(4, 4), (2, 2)], [8, 16])


def by_hand() -> Apart:
    """Two levels over 32 × 32 pixels; one object of class 1 over the upper half, one of class 0 without any point."""
    target = make_target([[0, 0, 32, 16], [1, 1, 3, 3]], (32, 32), labels=[1, 0])
    boxes = torch.tensor([[0.0, 0.0, 32.0, 8.0]]).repeat(20, 1)
    boxes[17] = torch.tensor([0.0, 0.0, 32.0, 16.0])  # the second point of the coarse level, at (24, 8): overlap 1
    scores = torch.zeros(20, 2)
    scores[4, 1] = 0.9  # at (4, 12) on the fine level
    scores[2, 0] = 0.95  # another class
    scores[12, 1] = 0.99  # at (4, 28), outside the object
    return apart(POINTS, scores, boxes, target)


def test_distance_by_hand() -> None:
    found = by_hand()
    assert found.xy[:, 0].tolist() == [[4, 12], [24, 8]]
    assert found.levels.tolist() == [1]
    # 20 px across and 4 down, in strides of 16.
    assert found.strides.tolist() == pytest.approx([(20**2 + 4**2) ** 0.5 / 16])
    assert found.iou[:, 0].tolist() == [0.5, 1]
    assert found.score[:, 0].tolist() == pytest.approx([0.9, 0])
    assert found.lost.tolist() == [0.5]
    assert found.without.tolist() == [1, 0]
    assert found.number.tolist() == [0]


def test_points_of_a_neighbour_are_not_an_object_s() -> None:
    # Two objects of one class share the upper half; the surest point in both boxes predicts the second object.
    target = make_target([[0, 0, 32, 16], [8, 0, 32, 16]], (32, 32), labels=[0, 0])
    boxes = torch.tensor([[0.0, 0.0, 32.0, 15.0]]).repeat(20, 1)
    boxes[1] = torch.tensor([8.0, 0.0, 32.0, 16.0])
    scores = torch.full((20, 1), 0.1)
    scores[1] = 0.9
    scores[0] = 0.5
    found = apart(POINTS, scores, boxes, target)
    assert found.score[SCORED].tolist() == pytest.approx([0.5, 0.9])
    assert found.iou[OVERLAPPING].tolist() == pytest.approx([15 / 16, 1])


def test_groups_and_the_worst() -> None:
    one = by_hand()
    target = make_target([[0, 0, 32, 32]], (32, 32), labels=[0])
    boxes = torch.tensor([[0.0, 0.0, 32.0, 32.0]]).repeat(20, 1)
    other = apart(POINTS, torch.linspace(1, 0, 20)[:, None].repeat(1, 2), boxes, target)
    found = Apart.joined([one, other, one], 2)
    table = groups(found, ["a", "b"])
    assert list(table) == ["all", "small", "medium", "class a", "class b"], "1024 square pixels are small and medium"
    assert table["class a"]["strides"]["same point"] == 1
    assert table["class b"]["strides"]["to 2"] == 1
    assert table["all"]["strides"]["same point"] == pytest.approx(1 / 3)
    assert table["all"]["levels"] == pytest.approx({"same level": 1 / 3, "1 level": 2 / 3, "2 levels": 0, "more": 0})
    assert table["all"]["lost_iou"] == pytest.approx(1 / 3)
    assert found.worst(10).tolist() == [0, 2]
    assert found.without.tolist() == [2, 0]


def test_points_of_two_levels_at_one_place_are_two_points() -> None:
    points = make_points([(1, 1), (1, 1)], [16, 16])
    target = make_target([[0, 0, 16, 16]], (16, 16), labels=[0])
    boxes = torch.tensor([[0.0, 0.0, 16.0, 12.0], [0.0, 0.0, 16.0, 16.0]])
    found = apart(points, torch.tensor([[0.9], [0.1]]), boxes, target)
    assert groups(found, ["a"])["all"]["strides"] == {
        name: float(name == "to 1") for name in ("same point", "to 1", "to 2", "to 4", "to 8", "more")
    }


def test_no_object_at_all() -> None:
    found = Apart.joined([], 3)
    assert groups(found, ["a", "b", "c"]) == {}
    assert found.worst(10).tolist() == []
    assert np.array_equal(found.without, [0, 0, 0])
