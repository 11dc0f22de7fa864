"""What a detector scored: curves over recall and over the score threshold, and which classes it takes for which."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float64, Int64
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from mmmc.draw.colors import line_colors
from mmmc.draw.lettering import shorten
from mmmc.draw.panels import FAINT, GRID, INK, canvas, unit

_NAMED = 6
"""So many lines have colours of their own."""
_NUMBERED = 20
"""Classes up to which cells hold their number."""


def precision_and_f1(
    precision: Mapping[str, Sequence[float]],
    scores: Float64[np.ndarray, " S"],
    f1: Mapping[str, Sequence[float]],
    of_all: Float64[np.ndarray, " S"],
    threshold: float,
) -> Figure:
    """Precision over recall, and F1 over the score threshold; a line for each class, and a thick one for all.

    Args:
        precision: of each class with objects, at 101 values of recall from 0 to 1.
        scores: the thresholds.
        f1: of each class with objects, at the thresholds.
        of_all: F1 of all detections together.
        threshold: marked with its value.
    """
    with canvas(10, 4.2) as figure:
        left, right = figure.subplots(1, 2)
        recall = np.linspace(0, 1, 101)
        whole = np.mean([list(line) for line in precision.values()], axis=0) if precision else np.zeros(101)
        _lines(left, recall, precision, whole, "mean of the classes")
        left.set(title="Precision over recall, IoU 0.5", xlabel="recall", ylabel="precision")
        _lines(right, scores, f1, of_all, "all together")
        right.set(title="F1 over the score threshold, IoU 0.5", xlabel="score threshold", ylabel="F1")
        best = float(np.interp(threshold, scores, of_all))
        right.axvline(threshold, color=FAINT, linewidth=0.8, linestyle="--")
        right.set_title(f"F1 {best:.2f} at {threshold:.2f}", loc="right", color=FAINT, fontsize=7.5)
    return figure


def _lines(axes: Axes, x: np.ndarray, lines: Mapping[str, Sequence[float]], whole: np.ndarray, name: str) -> None:
    few = len(lines) <= _NAMED
    for (label, values), color in zip(lines.items(), line_colors(len(lines)), strict=True):
        # A label that begins with an underscore is none to matplotlib.
        style = {"color": unit(color), "label": f"\u200b{shorten(label)}"} if few else {"color": FAINT, "alpha": 0.35}
        axes.plot(x, values, linewidth=1.2 if few else 0.7, **style)
    if len(lines) > 1:
        axes.plot(x, whole, color=INK, linewidth=2.0, label=name)
    axes.set(xlim=(0, 1), ylim=(0, 1.02))
    if lines:
        axes.legend(loc="best")


def confusion_matrix(counts: Int64[np.ndarray, "C1 C1"], names: Sequence[str]) -> Figure:
    """A row for each class of objects and one for the background, a column for each class said and one for none.

    Colours are shares of the row, numbers are counts; the background's row has no share, since nobody counts places
    without objects: its colours are shares of its largest number.

    Args:
        counts: as `mmmc.misalignment.confusion` has them.
        names: of the classes.
    """
    rows, columns = [*map(shorten, names), "background"], [*map(shorten, names), "missed"]
    whole = counts.sum(axis=1, keepdims=True).astype(np.float64)
    whole[-1] = counts[-1].max()
    share = np.divide(counts, whole, out=np.zeros(counts.shape), where=whole > 0)
    few = len(names) <= _NUMBERED
    side = min(max(0.55 * len(rows), 1.6), 9.0) if few else 9.0
    longest = 0.075 * max(map(len, rows))
    heat = colormaps["Blues"]
    with canvas(side + longest + 0.6, side + longest + 0.4) as figure:
        axes = figure.subplots()
        axes.imshow(share, cmap=heat, vmin=0, vmax=1.15)
        size = 8.0 if few else max(3.0, 8.0 * 30 / len(rows))
        axes.set_xticks(range(len(columns)), columns, rotation=90 if longest > 0.55 else 0, fontsize=min(size, 7.5))
        axes.set_yticks(range(len(rows)), rows, fontsize=min(size, 7.5))
        axes.set(xlabel="said", ylabel="object")
        axes.grid(visible=False)
        axes.spines[:].set_color(GRID)
        axes.tick_params(length=0)
        for row, column in np.argwhere(counts > 0).tolist() if few else []:
            color = "white" if share[row, column] > 0.55 else INK
            axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color, fontsize=7)
    return figure
