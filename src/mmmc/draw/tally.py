"""How many points each object gets from each assigner, and how far assigners agree, as numbers in cells."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from matplotlib import colormaps
from matplotlib.colors import to_hex

from mmmc.comparison import Comparison
from mmmc.draw.colors import Color, text_color
from mmmc.draw.lettering import shorten
from mmmc.draw.marks import REASONS
from mmmc.draw.panels import FAINT, unit
from mmmc.draw.sheet import Header, Sheet, text_width, wrapped
from mmmc.structures import ObjectState

LISTED = 80
"""Objects that are listed at most."""

LETTERS = {
    ObjectState.FALLBACK: "f",
    ObjectState.NO_POINT: "p",
    ObjectState.NO_CANDIDATE: "r",
    ObjectState.NONE_LEFT: "o",
}
"""What stands beside the count of an object that its rule did not simply choose points for."""

SHARED = "pairs of point and object that both make positive, as a share of those that either does"
SUMMARIES = ("points of an object, mean", "objects without a point")

_TITLE, _LINE, _GAP = 0.26, 0.165, 0.35
_PLATE, _SPACE = 0.24, 0.15
_COLUMN = (0.42, 0.62)
_CELL = 0.26
_BLOCK = 16
_NARROWEST = 2.8
_SMALL = 7.0
_MISSING, _GIVEN, _SELF = "#f7d4cc", "#fbeec2", "#ececec"


class Tally:
    """A table with a row per object and a column per assigner; beside or below it how far each two agree.

    Args:
        comparison: of the assigners.
        names: of the classes.
        colors: of the objects.
        room: width in inches that it should not pass; it does where it cannot be narrower.
    """

    def __init__(self, comparison: Comparison, names: Sequence[str], colors: Sequence[Color], room: float) -> None:
        header = Header.over(comparison.names, *_COLUMN)
        self.table = _Table(comparison, names, colors, header)
        self.matrix = _Matrix(comparison, header) if len(comparison.names) > 1 else None
        beside = self.table.fitting(room - _GAP - self.matrix.width if self.matrix else room)
        alone = self.table.fitting(room)
        # A long table is broken into blocks, for which there is more room without the matrix at its side.
        below = self.table.listed > 2 * _BLOCK and alone > beside
        self.table.break_into(min(alone if below else beside, ceil(self.table.listed / _BLOCK)))
        self.width, self.height = self.table.width, self.table.height
        if self.matrix:
            self.place = (0.0, self.height + _GAP) if below else (self.width + _GAP, 0.0)
            self.width = max(self.width, self.place[0] + self.matrix.width)
            self.height = max(self.height, self.place[1] + self.matrix.height)

    def draw(self, sheet: Sheet, x: float, y: float) -> None:
        """Put it on a page, its top left corner here."""
        self.table.draw(sheet, x, y)
        if self.matrix:
            self.matrix.draw(sheet, x + self.place[0], y + self.place[1])


class _Table:
    """Positive points of each object, in blocks of rows side by side."""

    def __init__(self, comparison: Comparison, names: Sequence[str], colors: Sequence[Color], header: Header) -> None:
        self.comparison, self.colors, self.header = comparison, colors, header
        self.listed = min(len(comparison.target.labels), LISTED)
        labels, boxes = comparison.target.labels.tolist(), comparison.target.boxes.tolist()
        self.classes = [shorten(names[label], 18) for label in labels[: self.listed]]
        self.sizes = [f"{x2 - x1:.0f}×{y2 - y1:.0f}" for x1, y1, x2, y2 in boxes[: self.listed]]
        classes, sizes = (max(map(text_width, texts)) for texts in ([*self.classes, ""], [*self.sizes, "pixels"]))
        self.sizes_end = _PLATE + classes + _SPACE + sizes
        self.label = max(self.sizes_end, *map(text_width, SUMMARIES)) + 0.1
        self.block = self.label + len(comparison.names) * header.column
        self.break_into(1)

    def fitting(self, room: float) -> int:
        """How many blocks have room, at least one."""
        return max(int((room - self.header.overhang + _GAP) / (self.block + _GAP)), 1)

    def break_into(self, blocks: int) -> None:
        """Lay it out in this number of blocks, at least one."""
        self.blocks = max(blocks, 1)
        self.rows = ceil(self.listed / self.blocks)
        width = self.blocks * (self.block + _GAP) - _GAP + self.header.overhang
        self.footnote = wrapped(self._legend(), max(width, _NARROWEST), _SMALL)
        self.width = max(width, _NARROWEST if self.footnote else 0.0)
        self.height = _TITLE + self.header.height + (self.rows + 2.5 + len(self.footnote)) * _LINE

    def draw(self, sheet: Sheet, x: float, y: float) -> None:
        sheet.write(x, y + 0.08, "Positive points of each object", 8.5, weight="bold")
        for block in range(self.blocks):
            shown = range(block * self.rows, min((block + 1) * self.rows, self.listed))
            self._rows(sheet, x + block * (self.block + _GAP), y + _TITLE, shown)
        foot = y + _TITLE + self.header.height + (self.rows + 3) * _LINE
        for line, text in enumerate(self.footnote):
            sheet.write(x, foot + line * _LINE, text, _SMALL, FAINT)

    def _rows(self, sheet: Sheet, x: float, y: float, shown: range) -> None:
        sheet.header(x + self.label, y, self.header)
        y += self.header.height
        sheet.write(x + self.sizes_end, y - 0.06, "pixels", color=FAINT, ha="right", va="baseline")
        for number in shown:
            color, middle = self.colors[number], y + _LINE / 2
            sheet.cell(x, y, _PLATE - 0.04, _LINE, color)
            ink = to_hex(unit(text_color(color)))
            sheet.write(x + (_PLATE - 0.04) / 2, middle, str(number), 6.5, ink, ha="center")
            sheet.write(x + _PLATE, middle, self.classes[number])
            sheet.write(x + self.sizes_end, middle, self.sizes[number], color=FAINT, ha="right")
            for column in range(len(self.comparison.names)):
                self._count(sheet, x + self.label + column * self.header.column, y, column, number)
            y += _LINE
        if shown.stop == self.listed:
            self._summary(sheet, x, y + 0.04)

    def _count(self, sheet: Sheet, x: float, y: float, column: int, number: int) -> None:
        count = int(self.comparison.counts[column, number])
        state = ObjectState(int(self.comparison.assignments[column].state[0][number]))
        if state in LETTERS:
            sheet.cell(x, y, self.header.column, _LINE, _GIVEN if count else _MISSING)
        text = f"{count} {LETTERS[state]}" if state in LETTERS else str(count)
        sheet.write(x + self.header.column / 2, y + _LINE / 2, text, ha="center")

    def _summary(self, sheet: Sheet, x: float, y: float) -> None:
        counts = self.comparison.counts
        sheet.rule(x, y, self.block)
        means = [f"{mean:.1f}" if counts.shape[1] else "–" for mean in counts.double().mean(dim=1).tolist()]
        without = [str(none) for none in (counts == 0).sum(dim=1).tolist()]
        for row, (name, values) in enumerate(zip(SUMMARIES, (means, without), strict=True)):
            middle = y + (row + 0.5) * _LINE + 0.03
            sheet.write(x, middle, name)
            for column, value in enumerate(values):
                sheet.write(x + self.label + (column + 0.5) * self.header.column, middle, value, ha="center")

    def _legend(self) -> str:
        """What the letters of the table mean, and what it leaves out."""
        seen = {state for assignment in self.comparison.assignments for state in assignment.state[0].tolist()}
        said = [f"{letter} {REASONS[state]}" for state, letter in LETTERS.items() if state in seen]
        left_out = len(self.comparison.target.labels) - self.listed
        return " · ".join([*said, *([f"{left_out} more objects are not listed"] if left_out else [])])


class _Matrix:
    """Agreement of each two assigners, darker for more."""

    def __init__(self, comparison: Comparison, header: Header) -> None:
        self.agreement, self.header = comparison.agreement.tolist(), header
        self.label = max(map(text_width, header.names)) + 0.1
        cells = self.label + len(header.names) * header.column + header.overhang
        self.footnote = wrapped(SHARED, max(cells, _NARROWEST), _SMALL)
        self.width = max(cells, *(text_width(line, _SMALL) for line in self.footnote))
        self.height = _TITLE + header.height + len(header.names) * _CELL + (0.5 + len(self.footnote)) * _LINE

    def draw(self, sheet: Sheet, x: float, y: float) -> None:
        sheet.write(x, y + 0.08, "Agreement of each two", 8.5, weight="bold")
        sheet.header(x + self.label, y + _TITLE, self.header)
        y += _TITLE + self.header.height
        width, heat = self.header.column, colormaps["Blues"]
        for row, (name, values) in enumerate(zip(self.header.names, self.agreement, strict=True)):
            middle = y + (row + 0.5) * _CELL
            sheet.write(x + self.label - 0.07, middle, name, ha="right")
            for column, value in enumerate(values):
                own, left = row == column, x + self.label + column * width
                color = _SELF if own else to_hex(heat(0.85 * value))
                ink = FAINT if own else to_hex(unit(text_color(_rgb(color))))
                sheet.cell(left, y + row * _CELL, width, _CELL, color)
                sheet.write(left + width / 2, middle, "1" if own else f"{value:.2f}", color=ink, ha="center")
        foot = y + len(self.header.names) * _CELL + _LINE
        for line, text in enumerate(self.footnote):
            sheet.write(x, foot + line * _LINE, text, _SMALL, FAINT)


def _rgb(color: str) -> Color:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue
