from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from mmmc.draw import class_colors, positives
from mmmc.structures import NEGATIVE, ObjectState

from .scenes import NAMES, PICTURE, POINTS, SIZE, assignment, target


@pytest.fixture(scope="module")
def figure() -> Figure:
    return positives(PICTURE, POINTS, assignment(), 1, target(), NAMES)


def test_a_panel_holds_exactly_the_positive_and_ignored_points_of_its_level(figure):
    _, first, second = figure.axes[:3]
    ignored, crosses = first.collections
    assert sorted(map(tuple, crosses.get_offsets().tolist())) == [(12, 12), (12, 20), (20, 12), (20, 20)]
    # The ignored point in the padding, (36, 60), is not drawn.
    assert ignored.get_offsets().tolist() == [[44, 4]]
    ignored, crosses = second.collections
    assert crosses.get_offsets().tolist() == [[40, 24]]
    assert len(ignored.get_offsets()) == 0


def test_a_cross_has_the_colour_of_its_object_and_grows_with_weight_and_stride(figure):
    first, second = (axes.collections[1] for axes in figure.axes[1:3])
    colors = np.array(class_colors(3)) / 255
    assert np.allclose(first.get_edgecolors()[:, :3], colors[0])
    assert np.allclose(second.get_edgecolors()[:, :3], colors[1])
    sizes = first.get_sizes()
    # Weight 0.25 halves the width of the cross: a quarter of its area.
    assert sizes[1] == pytest.approx(sizes[0] / 4)
    assert second.get_sizes()[0] > sizes[0]


def test_boxes_are_solid_where_their_object_has_points_and_dotted_elsewhere(figure):
    styles = [[patch.get_linestyle() for patch in axes.patches] for axes in figure.axes[:3]]
    assert styles == [["-", "-", "-"], ["-", ":", ":"], [":", "-", ":"]]
    for axes in figure.axes[:3]:
        for patch, box, color in zip(axes.patches, target().boxes.tolist(), class_colors(3), strict=True):
            assert [*patch.get_xy(), patch.get_x() + patch.get_width(), patch.get_y() + patch.get_height()] == box
            assert to_rgb(patch.get_edgecolor()) == pytest.approx(np.array(color) / 255)


def test_titles_and_legend_say_counts_and_reasons(figure):
    assert [axes.get_title("left") for axes in figure.axes[:3]] == [
        "3 objects",
        "P3 · stride 8 · 4 positives",
        "P4 · stride 16 · 1 positive",
    ]
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == [
        "0 cat · 4",
        "1 $5 and $10 bills · 1 (fallback)",
        "2 _hidden · 0 (no point lies in its box)",
    ]


def test_dollar_signs_in_names_are_no_formula(figure):
    assert not any(text.get_parse_math() for text in figure.findobj(Text))


def test_every_state_of_an_object_is_put_in_words():
    states = torch.tensor(list(ObjectState))
    five = replace(target(1), boxes=target(1).boxes.repeat(5, 1), labels=torch.zeros(5).long())
    unassigned = torch.full((2, len(POINTS)), NEGATIVE)
    told = replace(assignment(), gt=unassigned, state=[torch.zeros(0).long(), states])
    words = [text.get_text() for text in positives(PICTURE, POINTS, told, 1, five, NAMES).legends[0].get_texts()]
    assert len({word.split(" · ")[1] for word in words}) == len(ObjectState)


def test_the_padding_is_not_shown(figure):
    for axes in figure.axes[:3]:
        assert axes.images[0].get_array().shape == (*SIZE, 3)
        assert axes.get_xlim() == (0, 64)
        assert axes.get_ylim() == (48, 0)


def test_a_picture_without_objects_has_every_panel_and_no_legend():
    empty = replace(
        assignment(), gt=torch.full((2, len(POINTS)), NEGATIVE), state=[torch.zeros(0).long(), torch.zeros(0).long()]
    )
    figure = positives(PICTURE, POINTS, empty, 1, target(0), NAMES)
    assert figure.legends == []
    assert [axes.get_title("left") for axes in figure.axes[:3]] == [
        "0 objects",
        "P3 · stride 8 · no positives",
        "P4 · stride 16 · no positives",
    ]


@pytest.mark.parametrize("objects", [1, 45])
def test_nothing_is_clipped_or_overlaps(objects):
    """However many objects: the legend lies below the panels, all of it on the page."""
    one = target(1)
    crowded = replace(one, boxes=one.boxes.repeat(objects, 1), labels=torch.ones(objects).long())
    told = replace(
        assignment(),
        gt=torch.full((2, len(POINTS)), NEGATIVE),
        state=[torch.zeros(0).long(), torch.full((objects,), ObjectState.NO_CANDIDATE)],
    )
    figure = positives(PICTURE, POINTS, told, 1, crowded, NAMES)
    page = figure.bbox
    legend = figure.legends[0].get_window_extent()
    panels = [axes.get_tightbbox() for axes in figure.axes]
    assert min(box.y0 for box in panels if box) >= legend.y1
    for box in [legend, *panels]:
        if box:
            assert box.x0 >= page.x0 - 1
            assert box.y0 >= page.y0 - 1
            assert box.x1 <= page.x1 + 1
            assert box.y1 <= page.y1 + 1
