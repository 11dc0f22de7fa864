"""How the objects of a set spread: size in the file and in training, shape, and number in a picture."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from mmmc.draw.panels import FAINT, INK, canvas

_BLUE, _ORANGE = "#0072b2", "#d55e00"
_LIMITS = (32, 96)
"""COCO's limits of side, in pixels, between small, medium and large objects."""


def spread(
    areas: Float[np.ndarray, " m"],
    drawn: Float[np.ndarray, " m"],
    aspects: Float[np.ndarray, " m"],
    per_picture: Int[np.ndarray, " n"],
) -> Figure:
    """Three panels.

    Args:
        areas: of the objects, in square pixels of the file.
        drawn: the same at the size of training.
        aspects: width by height of the boxes.
        per_picture: objects of each picture.
    """
    with canvas(10, 3.2) as figure:
        sizes, shapes, numbers = figure.subplots(1, 3)
        sides = np.sqrt(np.concatenate([areas, drawn, [8.0**2, 192.0**2]]).clip(min=1))
        edges = np.geomspace(sides.min(), sides.max() * 1.001, 41).tolist()
        for name, values, color in (("in the file", areas, FAINT), ("in training", drawn, _BLUE)):
            sizes.hist(np.sqrt(values.clip(min=1)), bins=edges, histtype="step", color=color, label=name, linewidth=1.4)
        for limit in _LIMITS:
            sizes.axvline(limit, color=INK, linewidth=0.8, linestyle="--")
        sizes.legend()
        _logarithmic(sizes, "Size", "√area in pixels", edges)
        extreme = float(np.exp(np.abs(np.log(aspects)).max(initial=np.log(2.0))))
        bins = np.geomspace(1 / extreme / 1.001, extreme * 1.001, 41).tolist()
        shapes.hist(aspects, bins=bins, color=_BLUE)
        _logarithmic(shapes, "Shape", "width by height", bins)
        most = int(per_picture.max(initial=1))
        step = max(1, -(-(most + 1) // 40))
        numbers.hist(per_picture, bins=(np.arange(0, most + step + 1, step) - 0.5).tolist(), color=_ORANGE)
        numbers.set(title="Objects in a picture", xlabel="objects", ylabel="pictures")
        numbers.grid(axis="x", visible=False)
    return figure


def _logarithmic(axes: Axes, title: str, what: str, edges: list[float]) -> None:
    axes.set(title=title, xlabel=what, ylabel="objects", xscale="log", xlim=(edges[0], edges[-1]))
    ticks = [2.0**power for power in range(-10, 15) if edges[0] <= 2.0**power <= edges[-1]]
    axes.xaxis.set_major_locator(FixedLocator(ticks[:: max(1, -(-len(ticks) // 9))]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}" if tick >= 1 else f"1/{1 / tick:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.grid(axis="x", visible=False)
