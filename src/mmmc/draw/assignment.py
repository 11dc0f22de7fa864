"""Where the labels land: the positive points of each object, level by level."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

import numpy as np
from jaxtyping import UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from mmmc.draw.colors import GREY, Color, class_colors, text_color
from mmmc.draw.lettering import Box, font, place, shorten
from mmmc.draw.panels import FAINT, INK, canvas, cropped, dimmed, level_name, outline, panel_size, show, unit
from mmmc.structures import IGNORED, Assignment, ObjectState, Points, Target

_AREA = 9.0
_LINE = 0.164
_TAG = 6.5
_POINT = 72.0

_NOTES = {
    ObjectState.CHOSEN: "",
    ObjectState.FALLBACK: " (fallback)",
    ObjectState.NO_POINT: " (no point lies in its box)",
    ObjectState.NO_CANDIDATE: " (the rule admits no point)",
    ObjectState.NONE_LEFT: " (others took its points)",
}


def positives(
    image: UInt8[Tensor, "3 H W"],
    points: Points,
    assignment: Assignment,
    index: int,
    target: Target,
    names: Sequence[str],
) -> Figure:
    """The objects of one picture of a batch, then a panel per level with the points that answer for them.

    A cross has the colour of its object and grows with the stride and with the point's weight; grey dots are
    ignored. A box is solid on the levels that have points of its object, dotted on the others. Below stands the
    number of points of each object and, where it has none, why.

    Args:
        image: the picture as it is in the batch, padding included.
        points: of the batch.
        assignment: of the batch.
        index: of the picture in the batch.
        target: its objects.
        names: of the classes.
    """
    pixels = cropped(image, target.size)
    boxes: list[Box] = [(x1, y1, x2, y2) for x1, y1, x2, y2 in target.boxes.tolist()]
    colors = class_colors(len(boxes))
    entries = _entries(assignment, index, target, names)

    panels = len(points.strides) + 1
    columns = min(panels, 3)
    rows = ceil(panels / columns)
    width, height = panel_size(target.size, _AREA)
    entry_width = max((font(8).getlength(entry) for entry in entries), default=0) / _POINT + 0.55
    legend_columns = max(1, min(len(entries), int(columns * width / entry_width)))
    legend_height = _LINE * ceil(len(entries) / legend_columns) + 0.35 if entries else 0.0

    with canvas(columns * (width + 0.08), rows * (height + 0.23) + legend_height, "compressed") as figure:
        grid = figure.subplots(rows, columns, squeeze=False).flatten()
        for unused in grid[panels:]:
            unused.set_axis_off()
        _truth(grid[0], pixels, target, boxes, colors, _POINT * width / target.size[1])
        for level, axes in enumerate(grid[1:panels]):
            show(axes, dimmed(pixels))
            _level(axes, points, assignment, index, level, target, boxes, colors, _POINT * width / target.size[1])
        if entries:
            figure.legend(
                handles=[Patch(facecolor=unit(color)) for color in colors],
                labels=entries,
                title="object · positive points",
                title_fontproperties={"size": 7.5},
                alignment="left",
                loc="outside lower left",
                ncols=legend_columns,
                handlelength=0.9,
                handleheight=0.9,
                columnspacing=1.4,
                labelspacing=0.45,
            )
    return figure


def _entries(assignment: Assignment, index: int, target: Target, names: Sequence[str]) -> list[str]:
    counts = assignment.counts()[index].tolist()
    states = [ObjectState(state) for state in assignment.state[index].tolist()]
    return [
        f"{number} {shorten(names[label])} · {count}{_NOTES[state]}"
        for number, (label, count, state) in enumerate(zip(target.labels.tolist(), counts, states, strict=True))
    ]


def _truth(
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


def _level(
    axes: Axes,
    points: Points,
    assignment: Assignment,
    index: int,
    level: int,
    target: Target,
    boxes: Sequence[Box],
    colors: Sequence[Color],
    scale: float,
) -> None:
    stride = points.strides[level]
    gt = assignment.gt[index]
    here = points.level == level
    chosen = here & (gt >= 0)
    ignored = here & (gt == IGNORED) & points.within(target.size)
    owners = gt[chosen].tolist()
    for number, (box, color) in enumerate(zip(boxes, colors, strict=True)):
        if number in owners:
            outline(axes, box, color, width=_stroke(box, scale))
        else:
            outline(axes, box, color, width=0.6, style=":")

    pitch = stride * scale
    # Crosses grow more slowly than the stride, and stay apart where points lie close together.
    widest = max(min(0.7 * pitch, 1.4 * pitch**0.5), 1.0)
    x, y = points.xy[ignored].cpu().T.numpy()
    axes.scatter(x, y, s=min(0.25 * pitch, 2.5) ** 2, color=unit(GREY), linewidths=0)
    weight = assignment.weight[index].float()
    heaviest = weight[gt >= 0].max().clamp(min=1e-12) if len(owners) else weight.new_ones(())
    diameter = widest * (weight[chosen] / heaviest).clamp(0.05, 1).sqrt()
    x, y = points.xy[chosen].cpu().T.numpy()
    axes.scatter(
        x,
        y,
        s=diameter.square().cpu().numpy(),
        c=[unit(colors[owner]) for owner in owners],
        marker="x",
        linewidths=min(max(widest / 5, 0.4), 1.4),
        zorder=3,
    )
    count = f"{len(owners)} {'positive' if len(owners) == 1 else 'positives'}" if owners else "no positives"
    axes.set_title(f"{level_name(stride)} · {count}", color=INK if owners else FAINT, fontsize=8.5 if owners else 7.5)


def _stroke(box: Box, scale: float) -> float:
    """Line width in points that leaves the inside of a small box to be seen."""
    side = min(box[2] - box[0], box[3] - box[1]) * scale
    return min(max(side / 12, 0.4), 1.2)
