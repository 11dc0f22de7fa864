"""An object with the point that scores it best and the point whose box overlaps it most."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import UInt8
from matplotlib.figure import Figure
from torch import Tensor

from mmmc.draw.closeup import BOX, CLASS
from mmmc.draw.lettering import Box, shorten
from mmmc.draw.panels import around, canvas, cropped, level_name, outline, panel_size, show

_AREA = 7.0


@dataclass(frozen=True)
class Mark:
    """A point and what it predicts for the object.

    Attributes:
        xy: of the point, in pixels of the batch.
        stride: of its level.
        box: that it predicts.
        score: of the object's class.
        iou: of the box with the object's.
    """

    xy: tuple[float, float]
    stride: int
    box: Box
    score: float
    iou: float


def two_points(
    image: UInt8[Tensor, "3 H W"], size: tuple[int, int], box: Box, name: str, scored: Mark, overlapping: Mark
) -> Figure:
    """The object in white, both points as crosses, and the boxes that they predict.

    Args:
        image: a picture of a batch.
        size: its height and width without padding.
        box: of the object.
        name: what it is called.
        scored: the point with the best score.
        overlapping: the point with the best box.
    """
    shown = np.array([box, scored.box, overlapping.box])
    region = (*shown[:, :2].min(axis=0).tolist(), *shown[:, 2:].max(axis=0).tolist())
    x1, y1, x2, y2 = around(region, size)
    width, height = panel_size((round(y2 - y1), round(x2 - x1)), _AREA)
    with canvas(max(width, 3.0), height + 0.7) as figure:
        axes = figure.subplots()
        show(axes, cropped(image, size))
        outline(axes, box, "white", width=1.4)
        for mark, color in ((scored, CLASS), (overlapping, BOX)):
            outline(axes, mark.box, color, width=1.6)
            axes.plot(*mark.xy, "x", color="white", ms=9, mew=3.4)
            axes.plot(*mark.xy, "x", color=color, ms=8, mew=2.0)
        axes.set(xlim=(x1, x2), ylim=(y2, y1))
        lines = [
            f"{what}: {level_name(mark.stride).split(' ')[0]}, score {mark.score:.2f}, IoU {mark.iou:.2f}"
            for what, mark in (("best score (orange)", scored), ("best box (blue)", overlapping))
        ]
        axes.set_title("\n".join([shorten(name, 40), *lines]))
    return figure
