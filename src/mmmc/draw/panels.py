"""What the figures share: their style, and pictures in panels of pyramid levels."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from math import log2, sqrt
from typing import Any, Literal

import matplotlib
import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor

from mmmc.draw.colors import Color

INK = "#222222"
FAINT = "#8a8a8a"
GRID = "#e4e4e4"

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.0,
    "legend.fontsize": 8.0,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "axes.titlelocation": "left",
    "axes.edgecolor": FAINT,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "figure.facecolor": "white",
    # Class names are text, also those with dollar signs.
    "text.parse_math": False,
}


@contextmanager
def canvas(
    width: float, height: float, layout: Literal["constrained", "compressed"] | None = "constrained"
) -> Iterator[Figure]:
    """A figure of this size in inches, in the house style whatever the caller's matplotlib settings are.

    The `compressed` layout moves panels of pictures, whose proportions are fixed, close together; none
    leaves everything where the caller puts it.

    It belongs to nobody but the caller: `pyplot` does not know it. It is laid out on leaving, since ticks are made
    then, with the settings of that moment.
    """
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_STYLE)
        figure = Figure(figsize=(width, height), dpi=150, layout=layout)
        FigureCanvasAgg(figure)
        yield figure
        figure.draw_without_rendering()


def panel_size(size: tuple[int, int], area: float) -> tuple[float, float]:
    """Width and height in inches of a panel of this area in square inches, with the picture's proportions."""
    height, width = size
    ratio = min(max(width / height, 0.4), 2.5)
    return sqrt(area * ratio), sqrt(area / ratio)


def around(box: tuple[float, float, float, float], size: tuple[int, int]) -> tuple[float, float, float, float]:
    """The part of a picture of this height and width that shows a region with some room about it, `x1 y1 x2 y2`."""
    x1, y1, x2, y2 = box
    margin = max(0.35 * max(x2 - x1, y2 - y1), 12.0)
    height, width = size
    return max(x1 - margin, 0.0), max(y1 - margin, 0.0), min(x2 + margin, width), min(y2 + margin, height)


def level_name(stride: int) -> str:
    """`P3` for stride 8, as the levels of a feature pyramid are called."""
    return f"P{log2(stride):g} · stride {stride}"


def cropped(image: UInt8[Tensor, "3 H W"], size: tuple[int, int]) -> UInt8[np.ndarray, "h w 3"]:
    """The picture without its padding, for `show`."""
    height, width = size
    return image[:, :height, :width].permute(1, 2, 0).cpu().numpy()


def dimmed(pixels: UInt8[np.ndarray, "h w 3"]) -> UInt8[np.ndarray, "h w 3"]:
    """A dark, almost grey copy, on which colours stand out."""
    grey = pixels.mean(axis=2, keepdims=True)
    return (0.5 * (0.75 * grey + 0.25 * pixels)).astype(np.uint8)


def show(axes: Axes, pixels: UInt8[np.ndarray, "h w 3"]) -> None:
    """The picture in a panel whose coordinates are pixels: (0, 0) is the corner of the first one, not its middle."""
    height, width = pixels.shape[:2]
    axes.imshow(pixels, extent=(0, width, height, 0))
    axes.set(xticks=[], yticks=[], xlim=(0, width), ylim=(height, 0))
    axes.spines[:].set_visible(False)


def outline(
    axes: Axes, box: tuple[float, float, float, float], color: Color | str, width: float = 1.2, style: str = "-"
) -> None:
    """A box `x1 y1 x2 y2`, its line `width` points wide."""
    x1, y1, x2, y2 = box
    edge = color if isinstance(color, str) else unit(color)
    axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, edgecolor=edge, linewidth=width, linestyle=style))


def unit(color: Color) -> tuple[float, float, float]:
    """The colour in 0..1, as matplotlib wants it."""
    red, green, blue = color
    return red / 255, green / 255, blue / 255
