from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text

from mmmc.draw import class_colors, positives, side_by_side
from mmmc.draw.side_by_side import MARKERS
from mmmc.draw.tally import LISTED
from mmmc.structures import IGNORED, NEGATIVE, ObjectState

from .scenes import NAMES, PICTURE, POINTS, SIZE, assignment, comparison, target

NOTES = {"FCOS": "range_strides=4 as in the run"}


@pytest.fixture(scope="module")
def figure() -> Figure:
    return side_by_side(PICTURE, comparison(), NAMES, notes=NOTES)


def sheet(figure: Figure) -> Axes:
    (axes,) = (axes for axes in figure.axes if axes.get_label() == "sheet")
    return axes


def panels(figure: Figure) -> list[Axes]:
    return [axes for axes in figure.axes if axes.get_label() != "sheet"]


def said(figure: Figure) -> list[str]:
    return [text.get_text().replace("\N{NO-BREAK SPACE}", " ") for text in sheet(figure).texts]


def places(axes: Axes, text: str) -> list[tuple[float, float]]:
    return [each.get_position() for each in axes.texts if each.get_text() == text]


def test_a_panel_per_assigner_holds_the_positive_points_of_all_levels(figure):
    truth, first, second = panels(figure)
    assert truth.get_title("left") == "3 objects"
    # The coarse level first, the fine one on top: ignored points, then crosses.
    crosses = [each.get_offsets().tolist() for each in first.collections]
    assert [sorted(each) for each in crosses] == [
        [],
        [[40, 24]],
        [[44, 4]],
        [[12, 12], [12, 20], [20, 12], [20, 20]],
    ]
    assert [len(each.get_offsets()) for each in second.collections] == [0, 1, 1, 0]


def test_levels_differ_in_shape_and_size_and_weights_in_size(figure):
    fine, coarse = (panels(figure)[1].collections[k] for k in (3, 1))
    shapes = [each.get_paths()[0].vertices for each in (fine, coarse)]
    expected = [marker.get_path().transformed(marker.get_transform()).vertices for marker in MARKERS[:2]]
    for shape, wanted in zip(shapes, expected, strict=True):
        assert np.allclose(shape, wanted)
    assert len({marker.get_path().transformed(marker.get_transform()).vertices.tobytes() for marker in MARKERS}) == 6
    sizes = fine.get_sizes()
    assert sizes[1] == pytest.approx(sizes[0] / 4)
    assert coarse.get_sizes()[0] > sizes[0]
    widths = fine.get_linewidths()
    assert widths[1] < widths[0]


def test_crosses_and_boxes_have_the_colour_of_their_object(figure):
    _, first, second = panels(figure)
    colors = np.array(class_colors(3)) / 255
    assert np.allclose(first.collections[3].get_edgecolors()[:, :3], colors[0])
    assert np.allclose(first.collections[1].get_edgecolors()[:, :3], colors[1])
    assert [patch.get_linestyle() for patch in first.patches] == ["-", "-", ":"]
    assert [patch.get_linestyle() for patch in second.patches] == [":", "-", ":"]
    for patch, color in zip(first.patches, colors, strict=True):
        assert to_rgb(patch.get_edgecolor()) == pytest.approx(color)


def test_a_dark_colour_lies_on_a_light_line():
    """The sixth colour of the palette is a blue that a dimmed picture would swallow."""
    six = replace(target(1), boxes=target(1).boxes.repeat(6, 1), labels=torch.zeros(6).long())
    gt = torch.full((1, len(POINTS)), NEGATIVE)
    gt[0, 9], gt[0, 10] = 5, 0
    one = replace(
        comparison(("FCOS",)).assignments[0], gt=gt, weight=torch.ones(gt.shape), state=[torch.zeros(6).long()]
    )
    told = replace(comparison(("FCOS",)), target=six, assignments=(one,), counts=torch.tensor([[1, 0, 0, 0, 0, 1]]))
    _, panel = panels(side_by_side(PICTURE, told, NAMES))
    ignored, casing, crosses = panel.collections[2:]
    assert len(ignored.get_offsets()) == 0
    assert casing.get_offsets().tolist() == [[12, 12]]
    assert casing.get_linewidths()[0] > crosses.get_linewidths()[0]
    assert casing.get_zorder() < crosses.get_zorder()
    solid = [patch for patch in panel.patches if patch.get_linestyle() == "-"]
    assert len(solid) == 3, "two boxes, and a light line below the dark one"


def test_titles_say_name_points_levels_and_notes(figure):
    texts = said(figure)
    first = texts.index("FCOS")
    assert texts[first : first + 3] == ["FCOS", "5 points · P3 4 · P4 1", "range_strides=4 as in the run"]
    second = texts.index("Mine(pull=2)")
    assert texts[second : second + 2] == ["Mine(pull=2)", "1 point · P4 1"]


def test_the_key_names_every_level_and_mark(figure):
    texts = " ".join(said(figure))
    for expected in ("P3 · stride 8", "P4 · stride 16", "colour of their object", "grey dots: ignored", "dotted box"):
        assert expected in texts
    # (36, 60) lies in the padding, where nothing is shown.
    gt = torch.zeros(1, len(POINTS)).long().index_fill(1, torch.tensor([60]), IGNORED)
    plain = replace(comparison().assignments[0], gt=gt, state=[torch.zeros(1).long()])
    told = replace(comparison(), target=target(1), assignments=(plain, plain), counts=torch.full((2, 1), len(POINTS)))
    texts = " ".join(said(side_by_side(PICTURE, told, NAMES)))
    assert "ignored" not in texts
    assert "dotted" not in texts


def test_the_table_has_a_row_per_object_and_a_column_per_assigner(figure):
    axes = sheet(figure)
    rows = [places(axes, name)[0][1] for name in ("cat", "$5 and $10 bills", "_hidden")]
    assert rows == sorted(rows)
    table = [
        [text.get_text() for text in sorted(axes.texts, key=lambda text: text.get_position()[0]) if at(text, row)]
        for row in rows
    ]
    assert table[0][:5] == ["0", "cat", "24×24", "4", "0 o"]
    assert table[1][:5] == ["1", "$5 and $10 bills", "28×32", "1 f", "1 f"]
    assert table[2][:5] == ["2", "_hidden", "3×3", "0 p", "0 r"]
    given, missing = (face_at(axes, *places(axes, text)[0]) for text in ("1 f", "0 o"))
    assert min(given[:2]) > 0.9, "yellow"
    assert missing[0] > 0.9 > missing[1], "red"
    texts = said(figure)
    note = " ".join(texts[texts.index("Positive points of each object") :])
    for letter in (
        "f fallback",
        "p no point lies in its box",
        "r the rule admits no point",
        "o others took its points",
    ):
        assert letter in note
    mean, none = (places(axes, name)[0][1] for name in ("points of an object, mean", "objects without a point"))
    assert [text.get_text() for text in axes.texts if at(text, mean)][1:3] == ["1.7", "0.3"]
    assert [text.get_text() for text in axes.texts if at(text, none)][1:3] == ["1", "2"]


def at(text: Text, height: float) -> bool:
    return abs(text.get_position()[1] - height) < 0.01


def test_the_matrix_holds_the_agreement_and_darkens_with_it():
    told = replace(comparison(("A", "B", "C")), agreement=torch.tensor([[1, 0.25, 0.9], [0.25, 1, 0.5], [0.9, 0.5, 1]]))
    axes = sheet(side_by_side(PICTURE, told, NAMES))
    assert [len(places(axes, text)) for text in ("0.25", "0.50", "0.90")] == [2, 2, 2]
    light, dark = (face_at(axes, *places(axes, text)[0]) for text in ("0.25", "0.90"))
    assert sum(light) > sum(dark)
    (x, y), (x2, y2) = places(axes, "0.90")
    assert x > x2
    assert y < y2


def face_at(axes: Axes, x: float, y: float) -> tuple[float, float, float]:
    (cell,) = (patch for patch in axes.patches if patch.get_bbox().contains(x, y))
    return to_rgb(cell.get_facecolor())


def test_one_assigner_has_no_matrix():
    figure = side_by_side(PICTURE, comparison(("FCOS",)), NAMES)
    assert len(panels(figure)) == 2
    assert "Agreement of each two" not in said(figure)


def test_a_row_per_assigner_and_a_panel_per_level():
    truth, *rest = panels(side_by_side(PICTURE, comparison(), NAMES, notes=NOTES, per_level=True))
    assert truth.get_title("left") == "3 objects"
    assert [axes.get_title("left") for axes in rest] == [
        "P3 · stride 8 · 4 points",
        "P4 · stride 16 · 1 point",
        "P3 · stride 8 · no points",
        "P4 · stride 16 · 1 point",
    ]
    assert [[len(each.get_offsets()) for each in axes.collections] for axes in rest] == [[1, 4], [0, 1], [1, 0], [0, 1]]
    # The same boxes are solid as in the figure of one assigner's labels.
    alone = positives(PICTURE, POINTS, assignment(), 1, target(), NAMES).axes[1:3]
    for one, other in zip(rest, alone, strict=False):
        assert [patch.get_linestyle() for patch in one.patches] == [patch.get_linestyle() for patch in other.patches]


def test_pairs_and_values_that_are_not_finite_are_told():
    one = comparison(("FCOS",)).assignments[0]
    odd = replace(one, pairs=torch.ones(1, 3, len(POINTS)), finite=torch.zeros(1, dtype=torch.bool))
    told = replace(comparison(("Mine",)), assignments=(odd,), counts=torch.full((1, 3), len(POINTS)))
    texts = " ".join(said(side_by_side(PICTURE, told, NAMES)))
    assert "1 point in 240 pairs · P4 1" in texts
    assert "met values that are not finite" in texts


def test_a_picture_without_objects_has_every_panel():
    empty = torch.full((1, len(POINTS)), NEGATIVE)
    one = replace(comparison().assignments[0], gt=empty, state=[torch.zeros(0).long()])
    told = replace(
        comparison(),
        target=target(0),
        assignments=(one, one),
        counts=torch.zeros(2, 0).long(),
        agreement=torch.ones(2, 2),
    )
    figure = side_by_side(PICTURE, told, NAMES)
    assert len(panels(figure)) == 3
    assert "no points" in said(figure)
    assert "–" in said(figure)


def test_dollar_signs_in_names_are_no_formula(figure):
    assert not any(text.get_parse_math() for text in figure.findobj(Text))


def test_the_padding_is_not_shown(figure):
    for axes in panels(figure):
        assert axes.images[0].get_array().shape == (*SIZE, 3)
        assert axes.get_xlim() == (0, 64)
        assert axes.get_ylim() == (48, 0)


MANY = tuple(f"Assigner{number}" if number % 3 else f"ATSS(topk={number}, square_strides=4.0)" for number in range(12))


@pytest.mark.parametrize("per_level", [False, True])
@pytest.mark.parametrize("names", [MANY[:1], MANY[1:3], MANY], ids=["1", "2", "12"])
@pytest.mark.parametrize("objects", [1, 100])
def test_nothing_is_clipped_or_overlaps(objects, names, per_level):
    """However many objects and assigners: every text on the page, and none over another or over a panel."""
    crowded = replace(target(1), boxes=target(1).boxes.repeat(objects, 1), labels=torch.ones(objects).long())
    states = torch.tensor(list(ObjectState)).repeat(objects)[:objects]
    one = replace(comparison().assignments[0], gt=torch.zeros(1, len(POINTS)).long(), state=[states])
    told = replace(
        comparison(names),
        target=crowded,
        assignments=(one,) * len(names),
        counts=torch.full((len(names), objects), 88),
    )
    notes = dict.fromkeys(names, "range_strides=4, square_strides=4 as in the run")
    figure = side_by_side(PICTURE, told, NAMES, notes=notes, per_level=per_level)
    page = figure.bbox
    level = [text for text in sheet(figure).texts if text.get_rotation() == 0]
    boxes = [text.get_window_extent() for text in level]
    for box in [text.get_window_extent() for text in sheet(figure).texts] + [
        axes.get_tightbbox() for axes in panels(figure)
    ]:
        assert box.x0 >= page.x0 - 1
        assert box.y0 >= page.y0 - 1
        assert box.x1 <= page.x1 + 1
        assert box.y1 <= page.y1 + 1
    corners = np.array([[box.x0 + 1, box.y0 + 1, box.x1 - 1, box.y1 - 1] for box in boxes if box.width])
    left, bottom, right, top = corners.T
    covered = (left[:, None] < right) & (right[:, None] > left) & (bottom[:, None] < top) & (top[:, None] > bottom)
    over = [(level[a].get_text(), level[b].get_text()) for a, b in np.argwhere(np.triu(covered, 1))]
    assert not over
    for axes in panels(figure):
        box = axes.get_window_extent()
        inside = (left < box.x1) & (right > box.x0) & (bottom < box.y1) & (top > box.y0)
        assert not inside.any()
    listed = sum(text.get_text() == NAMES[1] for text in level)
    assert listed == min(objects, LISTED)
    assert any("20 more objects are not listed" in text.get_text() for text in level) == (objects == 100)
