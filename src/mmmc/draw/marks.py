"""Objects and the points that answer for them, as the figures about labels mark them in a panel."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.markers import MarkerStyle

from mmmc.draw.colors import GREY, WHITE, Color, text_color
from mmmc.draw.lettering import Box, font, place
from mmmc.draw.panels import outline, show, unit
from mmmc.structures import IGNORED, Assignment, ObjectState, Points, Target

POINT = 72.0
"""Points of the page in an inch."""

REASONS = {
    ObjectState.FALLBACK: "fallback",
    ObjectState.NO_POINT: "no point lies in its box",
    ObjectState.NO_CANDIDATE: "the rule admits no point",
    ObjectState.NONE_LEFT: "others took its points",
}
"""How an object came by its points where its rule did not simply choose them, or why it has none."""

_TAG = 6.5
_CASING: Color = (235, 235, 235)
_CASED = 0.6
"""How much wider, in points, the light line is on which a dark colour lies."""


def corners(target: Target) -> list[Box]:
    """The objects' boxes as plain numbers."""
    return [(x1, y1, x2, y2) for x1, y1, x2, y2 in target.boxes.tolist()]


def numbered_objects(
    axes: Axes,
    pixels: UInt8[np.ndarray, "h w 3"],
    target: Target,
    boxes: Sequence[Box],
    colors: Sequence[Color],
    scale: float,
) -> None:
    """The picture itself with its numbered objects; `scale` is points of the page per pixel."""
    show(axes, pixels)
    crowd = f" · {len(target.crowd)} crowd" if len(target.crowd) else ""
    axes.set_title(f"{len(boxes)} {'object' if len(boxes) == 1 else 'objects'}{crowd}")
    for region in target.crowd.tolist():
        outline(axes, (region[0], region[1], region[2], region[3]), GREY, style="--")
    sizes = [((font(13).getlength(str(number)) / 2 + 2) / scale, 9 / scale) for number in range(len(boxes))]
    plates = place(boxes, sizes, target.size)
    for number, (box, color, (x1, y1, x2, y2)) in enumerate(zip(boxes, colors, plates, strict=True)):
        outline(axes, box, color, width=_stroke(box, scale))
        axes.text(
            (x1 + x2) / 2,
            (y1 + y2) / 2,
            str(number),
            fontsize=_TAG,
            ha="center",
            va="center_baseline",
            color=unit(text_color(color)),
            bbox={"facecolor": unit(color), "edgecolor": "none", "pad": 1.0},
        )


def outlined_objects(
    axes: Axes, boxes: Sequence[Box], colors: Sequence[Color], owners: Sequence[int], scale: float
) -> None:
    """Boxes of the objects: solid for the owners of points, dotted for the others."""
    for number, (box, color) in enumerate(zip(boxes, colors, strict=True)):
        width = _stroke(box, scale) if number in owners else 0.6
        if _is_dark(color) and number in owners:
            outline(axes, box, _CASING, width=width + _CASED)
        outline(axes, box, color, width=width, style="-" if number in owners else ":")


def crosses(
    axes: Axes,
    points: Points,
    assignment: Assignment,
    index: int,
    level: int,
    target: Target,
    colors: Sequence[Color],
    scale: float,
    marker: str | MarkerStyle = "x",
) -> None:
    """Positive points of a level as crosses in the colour of their object, ignored ones as grey dots.

    A cross grows with the stride and with the point's weight.
    """
    gt = assignment.gt[index]
    here = points.level == level
    chosen = here & (gt >= 0)
    ignored = here & (gt == IGNORED) & points.within(target.size)
    pitch = points.strides[level] * scale
    x, y = points.xy[ignored].cpu().T.numpy()
    axes.scatter(x, y, s=min(0.25 * pitch, 2.5) ** 2, color=unit(GREY), linewidths=0)
    widest = cross_width(pitch)
    weight = assignment.weight[index].float()
    heaviest = weight[gt >= 0].max().clamp(min=1e-12) if chosen.any() else weight.new_ones(())
    diameter = widest * (weight[chosen] / heaviest).clamp(0.05, 1).sqrt()
    # Lines are thinner in small crosses, which would be dots otherwise.
    line = np.array([stroke_width(size) for size in diameter.tolist()])
    owned = [colors[owner] for owner in gt[chosen].tolist()]
    dark = np.array([_is_dark(color) for color in owned], dtype=bool)
    (x, y), area = points.xy[chosen].cpu().T.numpy(), diameter.square().cpu().numpy()
    if dark.any():
        axes.scatter(
            x[dark],
            y[dark],
            s=area[dark] + _CASED,
            color=unit(_CASING),
            marker=marker,
            linewidths=(line[dark] + _CASED).tolist(),
            zorder=2.9,
        )
    axes.scatter(x, y, s=area, c=[unit(color) for color in owned], marker=marker, linewidths=line.tolist(), zorder=3)


def cross_width(pitch: float) -> float:
    """Width of a cross of full weight where neighbours of its level are `pitch` apart, both in points of the page.

    Crosses grow more slowly than the stride, and stay apart where points lie close together.
    """
    return max(min(0.7 * pitch, 1.4 * pitch**0.5), 1.0)


def stroke_width(size: float) -> float:
    """Width of the lines of a cross of this size, both in points of the page."""
    return min(max(size / 5, 0.25), 1.4)


def _stroke(box: Box, scale: float) -> float:
    """Line width in points that leaves the inside of a small box to be seen."""
    side = min(box[2] - box[0], box[3] - box[1]) * scale
    return min(max(side / 12, 0.4), 1.2)


def _is_dark(color: Color) -> bool:
    """Whether a dimmed picture would swallow it."""
    return text_color(color) == WHITE
