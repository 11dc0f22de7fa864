"""Several assigners' labels of one picture beside one another, how many points each object gets, and who agrees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil
from types import MappingProxyType
from typing import NamedTuple

import torch
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.markers import MarkerStyle
from torch import Tensor

from mmmc.comparison import Comparison
from mmmc.draw.colors import class_colors
from mmmc.draw.marks import POINT, corners, cross_width, crosses, numbered_objects, outlined_objects, stroke_width
from mmmc.draw.panels import FAINT, INK, canvas, cropped, dimmed, level_name, panel_size, show
from mmmc.draw.sheet import Sheet, text_width, wrapped
from mmmc.draw.tally import Tally
from mmmc.structures import IGNORED

MARKERS = tuple(MarkerStyle(shape) for shape in ("x", "+", (6, 2, 0), (8, 2, 0), (3, 2, 0), (5, 2, 0)))
"""Crosses of the levels, finest first."""

_WIDTH = 13.4
_MARGIN, _GAP, _LABEL, _TITLE = 0.12, 0.12, 1.6, 0.2
_LEADING, _KEY_LINE = 0.14, 0.2
_AREA, _SMALL_AREA, _LEVEL_AREA = 8.0, 5.6, 4.6


def side_by_side(
    image: UInt8[Tensor, "3 H W"],
    comparison: Comparison,
    names: Sequence[str],
    *,
    notes: Mapping[str, str] = MappingProxyType({}),
    per_level: bool = False,
) -> Figure:
    """Where assigners put their labels, on the same predictions of one picture.

    The picture with its numbered objects, then a panel per assigner with the positive points of all levels: a cross
    has the colour of its object, a shape and a size by its level, and is smaller where the point weighs less. With
    `per_level` a row per assigner and a panel per level. Below, the positive points of each object under each
    assigner, and how much of their labels each two assigners share.

    Args:
        image: the picture as it is in the batch, padding included.
        comparison: of the assigners.
        names: of the classes.
        notes: what is to be said of an assigner besides its name.
        per_level: a panel for each level of each assigner.
    """
    scene = _Scene(image, comparison, names, notes)
    return _levels(scene) if per_level else _overlays(scene)


class _Line(NamedTuple):
    """Of a title."""

    text: str
    size: float
    color: str
    weight: str = "normal"


class _Scene:
    """What all parts of the figure draw on."""

    def __init__(
        self, image: UInt8[Tensor, "3 H W"], comparison: Comparison, names: Sequence[str], notes: Mapping[str, str]
    ) -> None:
        self.comparison, self.names, self.notes = comparison, names, notes
        self.target, self.points = comparison.target, comparison.points
        self.pixels = cropped(image, self.target.size)
        self.dark = dimmed(self.pixels)
        self.boxes = corners(self.target)
        self.colors = class_colors(len(self.boxes))

    def truth(self, axes: Axes, width: float) -> None:
        numbered_objects(axes, self.pixels, self.target, self.boxes, self.colors, self.scale(width))

    def labels(self, axes: Axes, number: int, levels: Sequence[int], width: float) -> None:
        """Labels of an assigner on these levels, in a panel of this width."""
        assignment = self.comparison.assignments[number]
        owners = assignment.gt[0][torch.isin(self.points.level, torch.tensor(levels))].tolist()
        show(axes, self.dark)
        outlined_objects(axes, self.boxes, self.colors, owners, self.scale(width))
        for level in reversed(levels):  # the finest on top, as its crosses are the smallest
            marker = MARKERS[level % len(MARKERS)]
            crosses(axes, self.points, assignment, 0, level, self.target, self.colors, self.scale(width), marker)

    @property
    def ignores(self) -> bool:
        """Whether any assigner ignores points of the picture, not of its padding."""
        within = self.points.within(self.target.size)
        return any(bool((each.gt[0][within] == IGNORED).any()) for each in self.comparison.assignments)

    def scale(self, width: float) -> float:
        """Points of the page per pixel."""
        return POINT * width / self.target.size[1]

    def counts(self, number: int) -> list[int]:
        """Positive points of an assigner on each level."""
        gt = self.comparison.assignments[number].gt[0]
        return [int((gt[self.points.level == level] >= 0).sum()) for level in range(len(self.points.strides))]

    def told(self, number: int) -> list[str]:
        """How many positive points an assigner has, then on which levels."""
        counts = self.counts(number)
        pairs = int(self.comparison.counts[number].sum())
        shared = f" in {pairs} pairs" if pairs != sum(counts) else ""
        shorts = [level_name(stride).split(" ")[0] for stride in self.points.strides]
        # A blank that does not break keeps the number at its level.
        levels = [f"{short}\N{NO-BREAK SPACE}{count}" for short, count in zip(shorts, counts, strict=True) if count]
        return [f"{_counted(sum(counts))}{shared}", *levels]

    def title(self, number: int, width: float, *, brief: bool = False) -> list[_Line]:
        """What stands at the panels of an assigner, in lines of this width; brief: without the levels."""
        said = self.told(number)
        said = said[: 1 if brief else None]
        return [
            *(_Line(text, 8.5, INK, "bold") for text in wrapped(self.comparison.names[number], width, 8.5, bold=True)),
            *(_Line(text, 7.5, INK) for text in wrapped(" · ".join(said), width)),
            *(_Line(text, 7.0, FAINT) for text in wrapped(self.noted(number), width, 7.0)),
        ]

    def noted(self, number: int) -> str:
        """What else is to be said of an assigner."""
        name = self.comparison.names[number]
        finite = bool(self.comparison.assignments[number].finite.all())
        said = [self.notes.get(name, ""), "" if finite else "met values that are not finite"]
        return "; ".join(text for text in said if text)


def _overlays(scene: _Scene) -> Figure:
    assigners = len(scene.comparison.names)
    panels = assigners + 1
    tally = Tally(scene.comparison, scene.names, scene.colors, _WIDTH - 2 * _MARGIN)
    room = max(_WIDTH - 2 * _MARGIN, tally.width)
    width, height = panel_size(scene.target.size, _AREA if panels <= 8 else _SMALL_AREA)
    columns = min(max(round((room + _GAP) / (width + _GAP)), 1), panels)
    columns = ceil(panels / ceil(panels / columns))
    shrunk = min(1.0, ((room + _GAP) / columns - _GAP) / width)
    width, height = width * shrunk, height * shrunk
    titles = [[], *(scene.title(number, width) for number in range(assigners))]
    rows = [list(range(start, min(start + columns, panels))) for start in range(0, panels, columns)]
    # Panels of a row stand side by side under its longest title.
    tops = [max(len(titles[panel]) for panel in row) * _LEADING + 0.05 for row in rows]
    across = max(columns * (width + _GAP) - _GAP, tally.width) + 2 * _MARGIN
    key = _MARGIN + sum(tops) + len(rows) * (height + _GAP) + 0.1
    marks = _Key(scene, width, across)
    down = key + marks.height + 0.2 + tally.height + _MARGIN

    with canvas(across, down, None) as figure:
        sheet = Sheet(figure, across, down)
        y = _MARGIN
        for row, top in zip(rows, tops, strict=True):
            y += top
            for column, panel in enumerate(row):
                x = _MARGIN + column * (width + _GAP)
                axes = sheet.panel(x, y, width, height)
                if panel == 0:
                    scene.truth(axes, width)
                    continue
                scene.labels(axes, panel - 1, list(range(len(scene.points.strides))), width)
                _write_lines(sheet, x, y - 0.05 - len(titles[panel]) * _LEADING, titles[panel])
            y += height + _GAP
        marks.draw(sheet, key)
        tally.draw(sheet, _MARGIN, key + marks.height + 0.2)
    return figure


def _levels(scene: _Scene) -> Figure:
    names, strides = scene.comparison.names, scene.points.strides
    width, height = panel_size(scene.target.size, _LEVEL_AREA)
    shrunk = min(1.0, ((_WIDTH - 2 * _MARGIN - _LABEL) / len(strides) - _GAP) / width)
    width, height = width * shrunk, height * shrunk
    first_width, first_height = panel_size(scene.target.size, _SMALL_AREA)
    beside = _MARGIN + first_width + 0.3
    tally = Tally(scene.comparison, scene.names, scene.colors, _WIDTH - _MARGIN - beside)
    across = max(beside + tally.width, _LABEL + len(strides) * (width + _GAP)) + _MARGIN
    key = _MARGIN + max(first_height + _TITLE, tally.height) + 0.2
    marks = _Key(scene, width, across)
    first = key + marks.height + 0.1
    down = first + len(names) * (_TITLE + height + _GAP) + _MARGIN

    with canvas(across, down, None) as figure:
        sheet = Sheet(figure, across, down)
        scene.truth(sheet.panel(_MARGIN, _MARGIN + _TITLE, first_width, first_height), first_width)
        tally.draw(sheet, beside, _MARGIN)
        marks.draw(sheet, key)
        for number in range(len(names)):
            y = first + number * (_TITLE + height + _GAP) + _TITLE
            _write_lines(sheet, _MARGIN, y, scene.title(number, _LABEL - 0.2, brief=True))
            for level, count in enumerate(scene.counts(number)):
                axes = sheet.panel(_LABEL + level * (width + _GAP), y, width, height)
                scene.labels(axes, number, [level], width)
                title = f"{level_name(strides[level])} · {_counted(count)}"
                axes.set_title(title, color=INK if count else FAINT, fontsize=7.5, pad=3)
    return figure


def _write_lines(sheet: Sheet, x: float, y: float, lines: Sequence[_Line]) -> None:
    for number, line in enumerate(lines):
        sheet.write(x, y + (number + 0.5) * _LEADING, line.text, line.size, line.color, weight=line.weight)


class _Key:
    """What the marks in panels of this width mean, in as many lines as a page of `across` inches needs."""

    def __init__(self, scene: _Scene, width: float, across: float) -> None:
        room = across - 2 * _MARGIN
        strides = scene.points.strides
        self.marks: list[tuple[float, int, float, int]] = []
        x, line = 0.0, 0
        for level, stride in enumerate(strides):
            size = cross_width(stride * scene.scale(width))
            taken = size / POINT + 0.06 + text_width(level_name(stride))
            if x > 0 and x + taken > room:
                x, line = 0.0, line + 1
            self.marks.append((x, line, size, level))
            x += taken + 0.2
        said = "positive points in the colour of their object, smaller where they weigh less"
        said += " · grey dots: ignored" if scene.ignores else ""
        said += " · dotted box: no point" if bool((scene.comparison.counts == 0).any()) else ""
        if x + text_width(said) > room:
            x, line = 0.0, line + 1
        self.strides, self.start, self.said = strides, (x, line), wrapped(said, room)
        self.height = (line + len(self.said)) * _KEY_LINE

    def draw(self, sheet: Sheet, y: float) -> None:
        """Write it, from this height on."""
        y += _KEY_LINE / 2
        for x, line, size, level in self.marks:
            middle, level_y = _MARGIN + x + size / 2 / POINT, y + line * _KEY_LINE
            marker = MARKERS[level % len(MARKERS)]
            sheet.axes.scatter([middle], [level_y], s=size**2, marker=marker, color=INK, linewidths=stroke_width(size))
            sheet.write(middle + size / 2 / POINT + 0.06, level_y, level_name(self.strides[level]))
        x, line = self.start
        for number, text in enumerate(self.said):
            sheet.write(_MARGIN + x, y + (line + number) * _KEY_LINE, text, color=FAINT)


def _counted(count: int) -> str:
    return f"{count or 'no'} {'point' if count == 1 else 'points'}"
