"""Where the labels land: the positive points of each object, level by level."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil

from jaxtyping import UInt8
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from torch import Tensor

from mmmc.draw.colors import class_colors
from mmmc.draw.lettering import font, shorten
from mmmc.draw.marks import POINT, REASONS, corners, crosses, numbered_objects, outlined_objects
from mmmc.draw.panels import FAINT, INK, canvas, cropped, dimmed, level_name, panel_size, show, unit
from mmmc.structures import Assignment, ObjectState, Points, Target

_AREA = 9.0
_LINE = 0.164


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
    boxes = corners(target)
    colors = class_colors(len(boxes))
    entries = _entries(assignment, index, target, names)

    panels = len(points.strides) + 1
    columns = min(panels, 3)
    rows = ceil(panels / columns)
    width, height = panel_size(target.size, _AREA)
    scale = POINT * width / target.size[1]
    entry_width = max((font(8).getlength(entry) for entry in entries), default=0) / POINT + 0.55
    legend_columns = max(1, min(len(entries), int(columns * width / entry_width)))
    legend_height = _LINE * ceil(len(entries) / legend_columns) + 0.35 if entries else 0.0

    with canvas(columns * (width + 0.08), rows * (height + 0.23) + legend_height, "compressed") as figure:
        grid = figure.subplots(rows, columns, squeeze=False).flatten()
        for unused in grid[panels:]:
            unused.set_axis_off()
        numbered_objects(grid[0], pixels, target, boxes, colors, scale)
        for level, axes in enumerate(grid[1:panels]):
            owners = [owner for owner in assignment.gt[index][points.level == level].tolist() if owner >= 0]
            show(axes, dimmed(pixels))
            outlined_objects(axes, boxes, colors, owners, scale)
            crosses(axes, points, assignment, index, level, target, colors, scale)
            count = f"{len(owners)} {'positive' if len(owners) == 1 else 'positives'}" if owners else "no positives"
            axes.set_title(
                f"{level_name(points.strides[level])} · {count}",
                color=INK if owners else FAINT,
                fontsize=8.5 if owners else 7.5,
            )
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
        f"{number} {shorten(names[label])} · {count}" + (f" ({REASONS[state]})" if state in REASONS else "")
        for number, (label, count, state) in enumerate(zip(target.labels.tolist(), counts, states, strict=True))
    ]
