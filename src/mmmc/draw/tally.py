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
from mmmc.draw.sheet import Header, Sheet, text_width
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

LINE = 0.165
"""Height of a row of text in inches."""

SHARED = "pairs of point and object that both make positive, as a share of those that either does"

_TITLE = 0.26
_PLATE = 0.24
_GAP = 0.35
_CELL = 0.26
_BLOCK = 24
_COLUMN = (0.42, 0.62)
_MISSING, _GIVEN, _SELF = "#f7d4cc", "#fbeec2", "#ececec"


class Tally:
    """A table with a row per object and a column per assigner, and a matrix of the assigners' agreement beside it.

    Args:
        comparison: of the assigners.
        names: of the classes.
        colors: of the objects.
        room: width in inches that it should not pass; it does where it cannot be narrower.
    """

    def __init__(self, comparison: Comparison, names: Sequence[str], colors: Sequence[Color], room: float) -> None:
        self.comparison, self.colors = comparison, colors
        self.classes = [shorten(names[label], 18) for label in comparison.target.labels.tolist()]
        self.sizes = [f"{x2 - x1:.0f}×{y2 - y1:.0f}" for x1, y1, x2, y2 in comparison.target.boxes.tolist()]
        self.listed = min(len(self.classes), LISTED)
        self.header = Header.over(comparison.names, *_COLUMN)
        summaries = ["points of an object, mean", "objects without a point"]
        self.class_width = max(map(text_width, self.classes[: self.listed]))
        self.size_width = max(map(text_width, [*self.sizes[: self.listed], "pixels"]))
        self.label = max(_PLATE + self.class_width + 0.15 + self.size_width, *map(text_width, summaries)) + 0.1
        self.block = self.label + len(comparison.names) * self.header.column
        fits = int((room - self.matrix_width - self.header.overhang) / (self.block + _GAP))
        self.blocks = max(1, min(fits, ceil(self.listed / _BLOCK)))
        self.rows = ceil(self.listed / self.blocks)
        self.width = self.blocks * (self.block + _GAP) + self.header.overhang + self.matrix_width
        table = self.header.height + (self.rows + 3.5) * LINE
        self.height = _TITLE + max(table, self.header.height + len(comparison.names) * _CELL + 1.5 * LINE)

    @property
    def matrix_width(self) -> float:
        """Of the matrix with its names."""
        names = self.header.names
        cells = max(map(text_width, names)) + 0.1 + len(names) * self.header.column + self.header.overhang
        return max(cells, text_width(SHARED, 7.0)) if len(names) > 1 else 0.0

    def draw(self, sheet: Sheet, x: float, y: float) -> None:
        """Put it on a page, its top left corner here."""
        sheet.write(x, y + 0.08, "Positive points of each object", 8.5, weight="bold")
        for block in range(self.blocks):
            self._block(sheet, x + block * (self.block + _GAP), y + _TITLE, block)
        x += self.blocks * (self.block + _GAP) + self.header.overhang
        if len(self.comparison.names) > 1:
            sheet.write(x, y + 0.08, "Agreement of each two", 8.5, weight="bold")
            self._matrix(sheet, x, y + _TITLE)

    def _block(self, sheet: Sheet, x: float, y: float, block: int) -> None:
        sheet.header(x + self.label, y, self.header)
        y += self.header.height
        sizes = x + _PLATE + self.class_width + 0.15 + self.size_width
        sheet.write(sizes, y - 0.06, "pixels", color=FAINT, ha="right", va="baseline")
        shown = range(block * self.rows, min((block + 1) * self.rows, self.listed))
        for row, number in enumerate(shown):
            middle = y + (row + 0.5) * LINE
            color = self.colors[number]
            sheet.cell(x, y + row * LINE, _PLATE - 0.04, LINE, color)
            ink = to_hex(unit(text_color(color)))
            sheet.write(x + (_PLATE - 0.04) / 2, middle, str(number), 6.5, ink, ha="center")
            sheet.write(x + _PLATE, middle, self.classes[number])
            sheet.write(sizes, middle, self.sizes[number], color=FAINT, ha="right")
            for column in range(len(self.comparison.names)):
                self._count(sheet, x + self.label + column * self.header.column, y + row * LINE, column, number)
        if block == self.blocks - 1:
            self._summary(sheet, x, y + len(shown) * LINE + 0.04)

    def _count(self, sheet: Sheet, x: float, y: float, column: int, number: int) -> None:
        count = int(self.comparison.counts[column, number])
        state = ObjectState(int(self.comparison.assignments[column].state[0][number]))
        if state in LETTERS:
            sheet.cell(x, y, self.header.column, LINE, _GIVEN if count else _MISSING)
        text = f"{count} {LETTERS[state]}" if state in LETTERS else str(count)
        sheet.write(x + self.header.column / 2, y + LINE / 2, text, ha="center")

    def _summary(self, sheet: Sheet, x: float, y: float) -> None:
        counts = self.comparison.counts
        sheet.rule(x, y, self.block)
        rows = {
            "points of an object, mean": [f"{mean:.1f}" for mean in counts.double().mean(dim=1).tolist()],
            "objects without a point": [str(none) for none in (counts == 0).sum(dim=1).tolist()],
        }
        for name, values in rows.items():
            y += LINE
            sheet.write(x, y - LINE / 2 + 0.03, name)
            for column, value in enumerate(values):
                middle = x + self.label + (column + 0.5) * self.header.column
                sheet.write(middle, y - LINE / 2 + 0.03, value, ha="center")
        sheet.write(x, y + LINE, self.footnote(), 7.0, FAINT)

    def footnote(self) -> str:
        """What the letters of the table mean, and what it leaves out."""
        seen = {state for assignment in self.comparison.assignments for state in assignment.state[0].tolist()}
        said = [f"{letter} {REASONS[state]}" for state, letter in LETTERS.items() if state in seen]
        left_out = len(self.classes) - self.listed
        return " · ".join([*said, *([f"{left_out} more objects are not listed"] if left_out else [])])

    def _matrix(self, sheet: Sheet, x: float, y: float) -> None:
        width, heat, names = self.header.column, colormaps["Blues"], self.header.names
        left, x = x, x + max(map(text_width, names)) + 0.1
        sheet.header(x, y, self.header)
        sheet.write(left, y + self.header.height + len(names) * _CELL + LINE, SHARED, 7.0, FAINT)
        y += self.header.height
        for row, name in enumerate(names):
            sheet.write(x - 0.07, y + (row + 0.5) * _CELL, name, ha="right")
            for column, value in enumerate(self.comparison.agreement[row].tolist()):
                own = row == column
                color = _SELF if own else to_hex(heat(0.85 * value))
                ink = FAINT if own else to_hex(unit(text_color(_rgb(color))))
                sheet.cell(x + column * width, y + row * _CELL, width, _CELL, color)
                middle = (x + (column + 0.5) * width, y + (row + 0.5) * _CELL)
                sheet.write(*middle, "1" if own else f"{value:.2f}", color=ink, ha="center")


def _rgb(color: str) -> Color:
    red, green, blue = bytes.fromhex(color[1:])
    return red, green, blue
