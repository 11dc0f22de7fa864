"""A page laid out in inches, with panels, lines and cells where the caller puts them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from mmmc.draw.colors import Color
from mmmc.draw.lettering import fit, font
from mmmc.draw.panels import FAINT, INK, unit

PAPER = "white"
_SIZE = 7.5


def text_width(text: str, size: float = _SIZE, *, bold: bool = False) -> float:
    """Width of a line in inches, its letters `size` points high."""
    # At sizes of a few pixels letters are rounded to whole ones, and may come out wider than they are designed.
    return font(40).getlength(text) * size / 40 / 72 * (1.18 if bold else 1.05)


def fitted(text: str, width: float, size: float = _SIZE, *, bold: bool = False) -> str:
    """The line cut, with an ellipsis, to this width in inches."""
    whole = text_width(text, size, bold=bold)
    return text if whole <= width else fit(text, 40, font(40).getlength(text) * width / whole)


def wrapped(text: str, width: float, size: float = _SIZE, *, bold: bool = False) -> list[str]:
    """The text in lines of this width in inches, broken at blanks."""
    lines: list[str] = []
    if not text:
        return lines
    for word in text.split(" "):
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and text_width(longer, size, bold=bold) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return [fitted(line, width, size, bold=bold) for line in lines]


@dataclass(frozen=True)
class Header:
    """Names above columns: level if they fit, else slanted.

    Attributes:
        names: of the columns.
        column: width of each, in inches.
        slanted: whether the names are.
    """

    names: tuple[str, ...]
    column: float
    slanted: bool

    @classmethod
    def over(cls, names: Sequence[str], narrow: float, wide: float, longest: float = 1.5) -> Header:
        """A header whose columns are `wide` inches at most, `narrow` if names are slanted, and cut to `longest`."""
        cut = tuple(fitted(name, longest) for name in names)
        needed = max(map(text_width, cut)) + 0.06
        return cls(cut, narrow, True) if needed > wide else cls(cut, max(narrow, needed), False)

    @property
    def height(self) -> float:
        """What it takes, in inches."""
        return (max(map(text_width, self.names)) / sqrt(2) + 0.1) if self.slanted else 0.18

    @property
    def overhang(self) -> float:
        """How far it reaches beyond the right end of its last column."""
        if not self.slanted:
            return 0.0
        ends = ((number + 0.5) * self.column + text_width(name) / sqrt(2) for number, name in enumerate(self.names))
        return max(max(ends) + 0.05 - len(self.names) * self.column, 0.0)


class Sheet:
    """What is written and drawn on a page beside its panels; every position is in inches from its top left corner."""

    def __init__(self, figure: Figure, width: float, height: float) -> None:
        self.figure, self.width, self.height = figure, width, height
        self.axes = figure.add_axes((0, 0, 1, 1), label="sheet")
        self.axes.set(xlim=(0, width), ylim=(height, 0), xticks=[], yticks=[])
        self.axes.set_axis_off()

    def panel(self, x: float, y: float, width: float, height: float) -> Axes:
        """New axes with this corner and size."""
        return self.figure.add_axes(
            (x / self.width, 1 - (y + height) / self.height, width / self.width, height / self.height)
        )

    def write(self, x: float, y: float, text: str, size: float = _SIZE, color: str = INK, **style: Any) -> None:
        """A line of text; `y` is the middle of its height unless the style says otherwise."""
        self.axes.text(x, y, text, fontsize=size, color=color, **{"va": "center_baseline", **style})

    def cell(self, x: float, y: float, width: float, height: float, color: Color | str) -> None:
        """A filled rectangle."""
        face = color if isinstance(color, str) else unit(color)
        self.axes.add_patch(Rectangle((x, y), width, height, facecolor=face, edgecolor=PAPER, linewidth=0.8))

    def rule(self, x: float, y: float, width: float) -> None:
        """A thin horizontal line."""
        self.axes.plot([x, x + width], [y, y], color=FAINT, linewidth=0.6)

    def header(self, x: float, y: float, header: Header) -> None:
        """Names of columns that begin at `x`, above `y + header.height`."""
        foot = y + header.height - 0.06
        for number, name in enumerate(header.names):
            middle = x + (number + 0.5) * header.column
            if header.slanted:
                self.write(middle, foot, name, rotation=45, rotation_mode="anchor", ha="left", va="baseline")
            else:
                self.write(middle, foot, name, ha="center", va="baseline")
