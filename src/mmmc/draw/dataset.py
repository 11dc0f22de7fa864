"""What a set holds: how many objects of which class, how large, and where."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator
from torch import Tensor

from mmmc.draw.lettering import shorten
from mmmc.draw.panels import FAINT, INK, canvas

_BARS = 40
"""Most bars that can be read."""

_ROWS = 6
"""Room for at least so many, so that a few bars are not thick ones."""

_BLUE = "#0072b2"
_SMALL, _LARGE = 32, 96
"""COCO's limits of side, in pixels, between small, medium and large objects."""

_CELLS = 32


def label_map(
    boxes: Sequence[Float[Tensor, "_ 4"]],
    labels: Sequence[Int[Tensor, " _"]],
    sizes: Sequence[tuple[int, int]],
    names: Sequence[str],
) -> Figure:
    """Objects per class, their sizes, and where their centres lie.

    Args:
        boxes: of each picture, in its pixels.
        labels: class indices of each picture's boxes.
        sizes: height and width of each picture.
        names: of the classes.
    """
    corners = np.concatenate([np.zeros((0, 4)), *(box.double().cpu().numpy() for box in boxes)])
    extent = [(width, height) for (height, width), box in zip(sizes, boxes, strict=True) for _ in range(len(box))]
    counts = np.zeros(len(names), dtype=int)
    for label in labels:
        np.add.at(counts, label.cpu().numpy(), 1)
    bars = _bars(counts, names)

    with canvas(10, max(5.2, 0.17 * len(bars) + 0.9)) as figure:
        grid = figure.subplot_mosaic(
            [["classes", "sizes"], ["classes", "centres"]], width_ratios=(1.15, 1), height_ratios=(1, 1.25)
        )
        _classes(grid["classes"], bars, counts, len(boxes))
        sides = corners[:, 2:] - corners[:, :2]
        _sizes(grid["sizes"], np.sqrt(sides.clip(min=0).prod(axis=1)))
        shape = float(np.median([height / width for height, width in sizes])) if sizes else 1.0
        _centres(grid["centres"], (corners[:, :2] + corners[:, 2:]) / 2 / np.array(extent).reshape(-1, 2), shape)
    return figure


def _bars(counts: np.ndarray, names: Sequence[str]) -> list[tuple[str, int]]:
    """Names and numbers, most frequent first; what does not fit stands together in a last bar."""
    order = np.argsort(-counts, kind="stable").tolist()
    bars = [(shorten(names[label]), int(counts[label])) for label in order]
    if len(bars) <= _BARS:
        return bars
    rest = bars[_BARS - 1 :]
    return [*bars[: _BARS - 1], (f"{len(rest)} other classes", sum(number for _, number in rest))]


def _classes(axes: Axes, bars: Sequence[tuple[str, int]], counts: np.ndarray, pictures: int) -> None:
    # Only the bar of what is left over may be longer than one before it: it is no class.
    colors = [FAINT if len(counts) > _BARS and row == len(bars) - 1 else _BLUE for row in range(len(bars))]
    drawn = axes.barh(range(len(bars)), [number for _, number in bars], color=colors, height=0.72)
    axes.bar_label(drawn, fmt="{:,.0f}", padding=3, fontsize=7, color=INK)
    axes.set_yticks(range(len(bars)), labels=[name for name, _ in bars])
    axes.set(ylim=(max(len(bars), _ROWS) - 0.4, -0.6), xlabel="objects")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="y", visible=False)
    axes.set_xlim(0, 1.12 * max([1, *(number for _, number in bars)]))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    empty = int((counts == 0).sum())
    without = f" · {empty} of {len(counts)} classes without objects" if empty else ""
    axes.set_title(f"{counts.sum():,} objects in {pictures:,} pictures{without}")


def _sizes(axes: Axes, sides: np.ndarray) -> None:
    axes.set(title="Size", xlabel="√area in pixels", ylabel="objects", xscale="log")
    axes.grid(axis="x", visible=False)
    low, high = (max(sides.min(), 1.0), max(sides.max(), 2.0)) if len(sides) else (8.0, 512.0)
    low, high = min(low, _SMALL / 2), max(high, _LARGE * 2)
    axes.hist(sides.clip(min=low), bins=np.geomspace(low, high * 1.001, 41).tolist(), color=_BLUE)
    ticks = [float(2**power) for power in range(14) if low / 1.01 <= 2**power <= high * 1.01]
    axes.xaxis.set_major_locator(FixedLocator([*ticks, *(limit for limit in (_SMALL, _LARGE) if limit not in ticks)]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda tick, _: f"{tick:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.yaxis.set_major_locator(MaxNLocator(integer=True, nbins=5))
    axes.set_xlim(low, high)
    shares = np.histogram(sides, bins=[0, _SMALL, _LARGE, np.inf])[0] / max(len(sides), 1)
    edges = (low, _SMALL, _LARGE, high)
    top = axes.get_ylim()[1] if len(sides) else 1.0
    axes.set_ylim(0, 1.15 * top)
    for limit in (_SMALL, _LARGE):
        axes.axvline(limit, color=INK, linewidth=0.8, linestyle="--")
    for name, share, left, right in zip(("small", "medium", "large"), shares, edges[:-1], edges[1:], strict=True):
        axes.text(np.sqrt(left * right), 1.13 * top, f"{name} {share:.0%}", ha="center", va="top", fontsize=7)


def _centres(axes: Axes, centres: np.ndarray, shape: float) -> None:
    """Drawn with the proportions `shape`, height per width, of the median picture."""
    edges = np.linspace(0, 1, _CELLS + 1)
    density, _, _ = np.histogram2d(centres[:, 1], centres[:, 0], bins=(edges, edges))
    drawn = axes.imshow(density, extent=(0, 1, 1, 0), cmap="Blues", vmin=0, vmax=max(density.max(), 1))
    axes.set(title="Centres, relative to the picture", aspect=shape, xticks=(0, 0.5, 1), yticks=(0, 0.5, 1))
    axes.grid(visible=False)
    axes.spines[:].set(visible=True, color=FAINT)
    beside = axes.inset_axes((1.03, 0, 0.03, 1))
    bar = axes.figure.colorbar(drawn, cax=beside, label="objects", ticks=MaxNLocator(integer=True, nbins=4))
    bar.outline.set_visible(False)
