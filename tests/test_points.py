"""Points at the centres of the cells."""

from __future__ import annotations

import pytest
import torch

from mmmc.points import make_points


def test_points_by_hand() -> None:
    points = make_points([(2, 3), (1, 2)], [8, 16])
    assert points.xy.tolist() == [[4, 4], [12, 4], [20, 4], [4, 12], [12, 12], [20, 12], [8, 8], [24, 8]]
    assert points.stride.tolist() == [8] * 6 + [16] * 2
    assert points.level.tolist() == [0] * 6 + [1] * 2
    assert (points.shapes, points.strides, len(points)) == (((2, 3), (1, 2)), (8, 16), 8)


def test_split_gives_one_map_per_level_row_by_row() -> None:
    points = make_points([(2, 3), (1, 2)], [8, 16])
    fine, coarse = points.split(torch.arange(8))
    assert fine.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert coarse.tolist() == [[6, 7]]
    x, _ = points.split(points.xy[:, 0])
    assert (x[0] == x[1]).all()
    assert x[0].tolist() == [4, 12, 20]


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        ((16, 25), [True] * 8),
        ((16, 24), [True] * 7 + [False]),  # Point 24 lies on the border, not within.
        ((16, 20), [True, True, False, True, True, False, True, False]),
        ((9, 21), [True, True, True, False, False, False, True, False]),
        ((1, 1), [False] * 8),
    ],
)
def test_within(size: tuple[int, int], expected: list[bool]) -> None:
    assert make_points([(2, 3), (1, 2)], [8, 16]).within(size).tolist() == expected


def test_type_and_device_are_as_asked() -> None:
    points = make_points([(1, 1)], [8], dtype=torch.float64, device="meta")
    assert {points.xy.dtype, points.stride.dtype} == {torch.float64}
    assert {tensor.device.type for tensor in (points.xy, points.stride, points.level)} == {"meta"}


def test_as_many_strides_as_levels() -> None:
    with pytest.raises(ValueError, match="zip"):
        make_points([(1, 1)], [8, 16])
