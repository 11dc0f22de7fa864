"""Where the losses are large and small: heat maps over the picture, level by level."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor

from mmmc.draw.panels import FAINT, INK, canvas, cropped, dimmed, level_name, outline, panel_size, show
from mmmc.structures import Points

_AREA = 4.5
_COLORS = "RdYlBu_r"


def loss_maps(
    image: UInt8[Tensor, "3 H W"],
    points: Points,
    losses: Mapping[str, Float[Tensor, " P"]],
    *,
    size: tuple[int, int] | None = None,
    boxes: Float[Tensor, "M 4"] | None = None,
    window: tuple[float, float, float, float] | None = None,
) -> Figure:
    """A row per loss, a column per level: blue cells have small, red cells large values, on one scale per row.

    A white circle marks the point with the least value of the row.

    Args:
        image: the picture as it is in the batch, padding included.
        points: of the batch.
        losses: by name, a value per point; NaN where there is nothing to show, such as outside an object's box.
        size: height and width of the picture without its padding; all of `image` by default.
        boxes: drawn on every panel, in pixels of the batch.
        window: the part `x1 y1 x2 y2` of the picture that is shown, such as an object and what surrounds it.

    Raises:
        ValueError: there is no loss to show.
    """
    if not losses:
        raise ValueError("There is no loss to show.")
    size = size or (image.shape[1], image.shape[2])
    pixels = dimmed(cropped(image, size))
    x1, y1, x2, y2 = window or (0, 0, size[1], size[0])
    x1, y1, x2, y2 = max(x1, 0), max(y1, 0), min(x2, size[1]), min(y2, size[0])
    width, height = panel_size((round(y2 - y1), round(x2 - x1)), _AREA)
    levels = len(points.strides)

    with canvas(levels * (width + 0.08) + 1.0, len(losses) * (height + 0.08) + 0.3, "compressed") as figure:
        grid = figure.subplots(len(losses), levels, squeeze=False)
        for row, (name, values) in zip(grid, losses.items(), strict=True):
            drawn = _row(row, pixels, points, name, values.detach().float().cpu())
            figure.colorbar(drawn, ax=list(row), pad=0.01, aspect=18).outline.set_visible(False)
        for axes in grid.flat:
            axes.set(xlim=(x1, x2), ylim=(y2, y1))
            for box in [] if boxes is None else boxes.tolist():
                outline(axes, (box[0], box[1], box[2], box[3]), "white", width=1.0)
        for axes, stride in zip(grid[0], points.strides, strict=True):
            axes.set_title(level_name(stride))
    return figure


def _row(
    row: np.ndarray, pixels: UInt8[np.ndarray, "h w 3"], points: Points, name: str, values: Float[Tensor, " P"]
) -> AxesImage:
    known = values.isfinite()
    norm = scale_of(values[known])
    for axes, cells, stride in zip(row, points.split(values), points.strides, strict=True):
        show(axes, pixels)
        drawn = heat(axes, cells, stride, norm)
        if not cells.isfinite().any():
            axes.text(0.5, 0.5, "no value", color="white", fontsize=7, ha="center", transform=axes.transAxes)
    lowest = ""
    if known.any():
        best = int(values.masked_fill(~known, float("inf")).argmin())
        axes = row[int(points.level[best])]
        axes.plot(*points.xy[best].tolist(), "o", markersize=6, mfc="none", mec="white", mew=1.6)
        lowest = f"\nleast {values[best]:.3g} on {level_name(points.strides[int(points.level[best])]).split(' ')[0]}"
    row[0].set_ylabel(f"{name}{lowest}", color=INK if lowest else FAINT)
    return drawn


def scale_of(values: Float[Tensor, " K"]) -> Normalize:
    """The range of colours for these values."""
    if not len(values):
        return Normalize(0, 1)
    low, high = float(values.min()), float(values.max())
    return Normalize(low, high if high > low else low + 1)


def heat(axes: Axes, cells: Float[Tensor, "h w"], stride: int, norm: Normalize) -> AxesImage:
    """The cells of one level as colours over the picture; NaN is left free."""
    height, width = cells.shape
    return axes.imshow(
        np.ma.masked_invalid(cells.numpy()),
        extent=(0, width * stride, height * stride, 0),
        interpolation="nearest",
        cmap=_COLORS,
        norm=norm,
        alpha=0.8,
    )
