from __future__ import annotations

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from mmmc.draw import loss_maps

from .scenes import PICTURE, POINTS, SIZE, target


@pytest.fixture(scope="module")
def losses() -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    values = {name: torch.rand(len(POINTS), generator=generator) + 1 for name in ("classification", "box")}
    values["box"][:70] = float("nan")
    values["box"] *= 10
    values["classification"][20] = 0.5
    return values


@pytest.fixture(scope="module")
def figure(losses) -> Figure:
    return loss_maps(PICTURE, POINTS, losses, size=SIZE, boxes=target().boxes)


def grid(figure: Figure) -> list[list]:
    """Panels, row by row; the colour bars come after them."""
    return [figure.axes[:2], figure.axes[2:4]]


def test_each_map_is_a_part_of_its_loss_at_its_place(figure, losses):
    for row, values in zip(grid(figure), losses.values(), strict=True):
        for axes, cells, stride in zip(row, POINTS.split(values), POINTS.strides, strict=True):
            picture, heat = axes.images
            assert picture.get_array().shape == (*SIZE, 3)
            np.testing.assert_array_equal(heat.get_array().filled(np.nan), cells.numpy())
            height, width = cells.shape
            assert list(heat.get_extent()) == [0, width * stride, height * stride, 0]
            assert heat.get_interpolation() == "nearest"


def test_a_row_has_one_scale_from_its_least_to_its_largest_value(figure, losses):
    for row, values in zip(grid(figure), losses.values(), strict=True):
        known = values[values.isfinite()]
        for axes in row:
            assert axes.images[1].get_clim() == pytest.approx((known.min().item(), known.max().item()))


def test_large_values_are_red_and_small_ones_blue(figure):
    heat = grid(figure)[0][0].images[1]
    red, _, blue, _ = heat.cmap(1.0)
    assert red > 2 * blue
    red, _, blue, _ = heat.cmap(0.0)
    assert blue > 2 * red


def test_the_least_value_of_a_row_is_marked(figure, losses):
    for row, values in zip(grid(figure), losses.values(), strict=True):
        marks = [(level, line.get_xydata().tolist()) for level, axes in enumerate(row) for line in axes.lines]
        best = int(values.nan_to_num(nan=99).argmin())
        assert marks == [(int(POINTS.level[best]), [POINTS.xy[best].tolist()])]


def test_the_window_is_cut_to_the_picture(losses):
    figure = loss_maps(PICTURE, POINTS, losses, size=SIZE, window=(-10, 8, 70, 90))
    for axes in figure.axes[:4]:
        assert axes.get_xlim() == (0, 64)
        assert axes.get_ylim() == (48, 8)


def test_a_loss_without_values_and_one_of_a_single_value():
    nothing = torch.full((len(POINTS),), float("nan"))
    figure = loss_maps(PICTURE, POINTS, {"nothing": nothing, "flat": torch.ones(len(POINTS))})
    top, bottom = grid(figure)
    assert [[text.get_text() for text in axes.texts] for axes in top] == [["no value"], ["no value"]]
    assert all(not axes.texts for axes in bottom)
    assert not any(axes.lines for axes in top)


def test_no_loss_is_refused():
    with pytest.raises(ValueError, match="no loss"):
        loss_maps(PICTURE, POINTS, {})
