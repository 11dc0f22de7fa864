"""How a training went."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import count
from math import isfinite

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmmc.draw.colors import line_colors
from mmmc.draw.panels import FAINT, canvas, unit

_LONG = 60
"""Series with more values than this are smoothed."""


def curves(lines: Sequence[Mapping[str, object]]) -> Figure:
    """Losses, average precision, learning rate and positives per object over the training.

    Args:
        lines: rows of a run's `metrics.jsonl`. Rows with `kind` `train` are drawn over their `step` (their number
            where one has none), rows with `kind` `val` over their `epoch`. What is missing, or is no number, is
            left out; a panel without any value says so.
    """
    train = [line for line in lines if line.get("kind") == "train"]
    val = [line for line in lines if line.get("kind") == "val"]
    losses = [name for name in dict.fromkeys(key for line in train for key in line) if name.split("/")[0] == "loss"]

    with canvas(10, 5.6) as figure:
        (loss, precision), (rate, positive) = figure.subplots(2, 2)
        _panel(loss, "Loss", _steps(train, losses), "step", smooth=True)
        _panel(precision, "Average precision on the validation set", _epochs(val, ["AP", "AP50", "AP75"]), "epoch")
        _best(precision, val)
        _panel(rate, "Learning rate", _steps(train, ["lr"]), "step")
        _panel(positive, "Positive points per object", _steps(train, ["positives_per_object"]), "step", smooth=True)
    return figure


Series = dict[str, tuple[np.ndarray, np.ndarray]]
"""By name: where the values lie, and the values."""


def _steps(rows: Sequence[Mapping[str, object]], keys: Sequence[str]) -> Series:
    return _series(rows, keys, "step")


def _epochs(rows: Sequence[Mapping[str, object]], keys: Sequence[str]) -> Series:
    return _series(rows, keys, "epoch")


def _series(rows: Sequence[Mapping[str, object]], keys: Sequence[str], along: str) -> Series:
    found = {}
    for key in keys:
        pairs = [(_number(row.get(along, position)), _number(row.get(key))) for position, row in zip(count(1), rows)]
        known = np.array([pair for pair in pairs if isfinite(pair[0]) and isfinite(pair[1])])
        if len(known):
            found[key] = (known[:, 0], known[:, 1])
    return found


def _number(value: object) -> float:
    """The number, or NaN for what is none."""
    return float(value) if isinstance(value, int | float) else float("nan")


def _panel(axes: Axes, title: str, series: Series, along: str, *, smooth: bool = False) -> None:
    axes.set_title(title)
    axes.set_xlabel(along)
    axes.grid(axis="x", visible=False)
    if not series:
        axes.text(0.5, 0.5, "no values", color=FAINT, ha="center", va="center", transform=axes.transAxes)
        axes.set(xticks=[], yticks=[])
        return
    for (name, (x, y)), color in zip(series.items(), map(unit, line_colors(len(series))), strict=True):
        label = name.removeprefix("loss/").replace("loss", "total")
        marker = "o" if len(x) <= _LONG else None
        if smooth and len(x) > _LONG:
            axes.plot(x, y, color=color, linewidth=0.6, alpha=0.3)
            x, y = _smoothed(x, y)
            marker = None
        axes.plot(x, y, color=color, linewidth=1.5, marker=marker, markersize=2.5, label=label)
    axes.margins(x=0.02)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8, min_n_ticks=1))
    if len(series) > 1:
        axes.legend(ncols=2)


def _smoothed(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over a window of a thirtieth of the series, without the ends that a whole window does not cover."""
    window = max(3, len(x) // 30)
    kernel = np.full(window, 1 / window)
    return np.convolve(x, kernel, "valid"), np.convolve(y, kernel, "valid")


def _best(axes: Axes, rows: Sequence[Mapping[str, object]]) -> None:
    for x, y in _epochs(rows, ["AP"]).values():
        best = int(y.argmax())
        axes.set_title(f"best AP {y[best]:.3g} in epoch {x[best]:g}", loc="right", color=FAINT, fontsize=7.5)
