"""One object as both tasks see it: the paper's figures 1 to 3, and where deformed kernels look."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from torch import Tensor

from mmmc.draw.loss import heat, scale_of
from mmmc.draw.panels import FAINT, INK, around, canvas, cropped, dimmed, level_name, outline, panel_size, show
from mmmc.structures import Points

CLASS, BOX, POSITIVE, REST = "#d55e00", "#0072b2", "#009e73", "#b8b8b8"
"""Colours of the class task, the box task, positive and other candidates."""

_AREA = 5.0
_TOWERS = {"class": (CLASS, "o"), "box": (BOX, "s")}


@dataclass(frozen=True)
class Scene:
    """A picture of a batch and one of its objects.

    Attributes:
        image: as it is in the batch.
        size: height and width without padding.
        points: of the batch.
        box: of the object.
        name: what it is called in titles.
        reach: a region `x1 y1 x2 y2` that is shown besides the object, as far as it lies in the picture.
    """

    image: UInt8[Tensor, "3 H W"]
    size: tuple[int, int]
    points: Points
    box: Float[Tensor, "4"]
    name: str
    reach: Float[Tensor, "4"] | None = None

    @property
    def window(self) -> tuple[float, float, float, float]:
        """The part of the picture round the object that is shown, `x1 y1 x2 y2`."""
        shown = self.box
        if self.reach is not None:
            shown = torch.cat([shown[:2].minimum(self.reach[:2]), shown[2:].maximum(self.reach[2:])])
        x1, y1, x2, y2 = shown.tolist()
        return around((x1, y1, x2, y2), self.size)


@dataclass(frozen=True)
class Found:
    """What a point predicts for the object.

    Attributes:
        point: its index.
        box: that it predicts.
        score: its probability of the object's class.
        iou: of the box with the object's.
    """

    point: int
    box: Float[Tensor, "4"]
    score: float
    iou: float


def misalignment(scene: Scene, best_class: Found, best_box: Found, losses: Mapping[str, Float[Tensor, " P"]]) -> Figure:
    """Figure 1: detections from the point of best class score and from that of best box, beside both loss maps.

    Args:
        scene: picture and object.
        best_class: of the point in the box with the highest score.
        best_box: of the point in the box with the highest IoU.
        losses: by name, a value per point; NaN outside the object's box.
    """
    levels = _levels(scene.points, next(iter(losses.values())).isfinite())
    with _panels(scene, len(losses), 1 + len(levels), 0.9) as figure:
        grid = figure.subplots(len(losses), 1 + len(levels), squeeze=False)
        for axes, found, color, title in (
            (grid[0][0], best_class, CLASS, "best class score"),
            (grid[-1][0], best_box, BOX, "best box"),
        ):
            _picture(axes, scene)
            x1, y1, x2, y2 = found.box.tolist()
            outline(axes, (x1, y1, x2, y2), color, width=1.6)
            stride = scene.points.strides[int(scene.points.level[found.point])]
            level = level_name(stride).split(" ")[0]
            axes.set_title(f"{title}: {level}\nscore {found.score:.2f}, IoU {found.iou:.2f}")
        for axes in [row[0] for row in grid[1:-1]]:
            axes.set_axis_off()
        for row, (name, values) in zip(grid, losses.items(), strict=True):
            drawn = _maps(list(row[1:]), scene, levels, values)
            figure.colorbar(drawn, ax=list(row[1:]), pad=0.01, aspect=20).outline.set_visible(False)
            row[1].set_ylabel(name)
        for axes in [axes for axes in grid.flat if axes.axison]:
            for found, color in ((best_class, CLASS), (best_box, BOX)):
                axes.plot(*scene.points.xy[found.point].tolist(), "x", color="white", ms=9, mew=3.4)
                axes.plot(*scene.points.xy[found.point].tolist(), "x", color=color, ms=8, mew=2.0)
        figure.legend(
            handles=[_cross(CLASS), _cross(BOX)],
            labels=[f"point of best class score for {scene.name}", "point of best box; white: the object's true box"],
            loc="outside lower left",
            ncols=2 if len(levels) > 2 else 1,
        )
    return figure


@dataclass(frozen=True)
class Candidates:
    """The candidates of an object on its chosen levels, level by level.

    Attributes:
        point: index of the point.
        cls: class loss.
        reg: box loss.
        fit: what the fitness is made of, for either task: its share of the softmax.
        score: by which they are parted; high is good.
        positive: whether they answer for the object before conflicts.
    """

    point: Int[Tensor, " Q"]
    cls: Float[Tensor, " Q"]
    reg: Float[Tensor, " Q"]
    fit: tuple[Float[Tensor, " Q"], Float[Tensor, " Q"]]
    score: Float[Tensor, " Q"]
    positive: Bool[Tensor, " Q"]


def selection(scene: Scene, candidates: Candidates, score: str) -> Figure:
    """Figure 2: the two loss vectors, their softmax distributions, and the score with the split.

    Args:
        scene: picture and object.
        candidates: of the object.
        score: name of the score.
    """
    x = np.arange(len(candidates.point))
    levels = scene.points.level[candidates.point].tolist()
    with canvas(max(0.32 * len(x) + 2.4, 6.5), 6.0) as figure:
        losses, shares, scores = figure.subplots(3, 1, sharex=True)
        for axes, pair, title in (
            (losses, (candidates.cls, candidates.reg), "losses of the candidates"),
            (shares, candidates.fit, "their shares: softmax of the negative losses, over all candidates"),
        ):
            axes.bar(x - 0.2, pair[0].tolist(), 0.4, color=CLASS, label="class")
            axes.bar(x + 0.2, pair[1].tolist(), 0.4, color=BOX, label="box")
            axes.set_title(title)
            axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        low = float(candidates.score.min())
        span = max(float(candidates.score.max()) - low, 1e-9)
        for chosen, color, label in ((True, POSITIVE, "positive"), (False, REST, "negative")):
            kept = candidates.positive.numpy() == chosen
            scores.bar(x[kept], candidates.score.numpy()[kept], 0.7, color=color, label=label)
        if 0 < int(candidates.positive.sum()) < len(x):
            # Halfway between the worst positive and the best negative.
            border = (
                float(candidates.score[candidates.positive].min() + candidates.score[~candidates.positive].max()) / 2
            )
            scores.axhline(border, color=INK, linewidth=0.9, linestyle="--", label="split")
        scores.set_ylim(low - 0.25 * span, low + 1.1 * span)
        scores.set_title(f"score ({score}); the mixture parts them")
        scores.legend(loc="center left", bbox_to_anchor=(1.0, 0.5))
        scores.set_xticks(x, [f"{a:.0f},{b:.0f}" for a, b in scene.points.xy[candidates.point].tolist()], rotation=90)
        scores.set_xlabel("point (x, y in px)")
        starts = [0, *(k for k in range(1, len(levels)) if levels[k] != levels[k - 1])]
        for axes in (losses, shares, scores):
            for start in starts[1:]:
                axes.axvline(start - 0.5, color=FAINT, linewidth=0.8)
        for start in starts:
            losses.annotate(
                level_name(scene.points.strides[levels[start]]),
                (start - 0.5, 1.0),
                xycoords=("data", "axes fraction"),
                xytext=(3, -2),
                textcoords="offset points",
                va="top",
                fontsize=7.5,
            )
        figure.suptitle(scene.name, x=0.01, ha="left", fontsize=9)
    return figure


def chosen_points(
    scene: Scene, losses: Mapping[str, Float[Tensor, " P"]], chosen: Mapping[str, Bool[Tensor, " P"]]
) -> Figure:
    """Figure 3: the loss maps of both tasks, and the points that each assigner chooses as crosses.

    Args:
        scene: picture and object.
        losses: by name, a value per point; NaN outside the object's box.
        chosen: by the assigner's name, the object's positive points; the maps show the levels of the first.
    """
    levels = _levels(scene.points, next(iter(chosen.values())) & next(iter(losses.values())).isfinite())
    levels = levels or _levels(scene.points, next(iter(losses.values())).isfinite())
    columns = max(len(levels) * len(losses), len(chosen))
    with _panels(scene, 2, columns, 0.5) as figure:
        grid = figure.subplots(2, columns, squeeze=False)
        for axes in grid.flat:
            axes.set_axis_off()
        for number, (name, values) in enumerate(losses.items()):
            row = list(grid[0][number * len(levels) : (number + 1) * len(levels)])
            drawn = _maps(row, scene, levels, values)
            for axes in row:
                axes.set_title(f"{name}\n{axes.get_title(loc='left')}")
            figure.colorbar(drawn, ax=list(row), pad=0.01, aspect=20).outline.set_visible(False)
        for axes, (name, mask) in zip(grid[1], chosen.items(), strict=False):
            axes.set_axis_on()
            _picture(axes, scene)
            strides = scene.points.stride[mask].tolist()
            used = sorted({int(stride) for stride in strides})
            for (x, y), stride in zip(scene.points.xy[mask].tolist(), strides, strict=True):
                size = 5.0 + 3.0 * used.index(int(stride))
                axes.plot(x, y, "x", color="white", ms=size + 1, mew=2.8)
                axes.plot(x, y, "x", color="#00a000", ms=size, mew=1.5)
            on = ", ".join(level_name(stride).split(" ")[0] for stride in used) or "no level"
            axes.set_title(f"{name}: {len(strides)} on {on}")
        figure.legend(
            handles=[_cross("#00a000")],
            labels=[f"positive point of {scene.name}; larger on the coarser level"],
            loc="outside lower left",
        )
    return figure


def receptive_fields(
    scene: Scene,
    point: int,
    taps: Mapping[str, Float[Tensor, "9 2"]],
    masks: Mapping[str, Float[Tensor, "9"]],
) -> Figure:
    """Where the deformed kernels of both towers look from a point.

    Args:
        scene: picture and object.
        point: whose kernels.
        taps: by tower, how far each tap has moved, down and right in cells.
        masks: by tower, the factor of each tap.
    """
    stride = float(scene.points.stride[point])
    x, y = scene.points.xy[point].tolist()
    regular = torch.stack(torch.meshgrid(torch.arange(-1.0, 2), torch.arange(-1.0, 2), indexing="ij"), dim=-1)
    places = torch.cat([regular.view(9, 2) + moved for moved in taps.values()]) * stride + torch.tensor([y, x])
    scene = replace(scene, reach=torch.cat([places.amin(dim=0).flip(0), places.amax(dim=0).flip(0)]))
    with _panels(scene, 1, len(taps), 0.7) as figure:
        for axes, (tower, moved) in zip(figure.subplots(1, len(taps), squeeze=False)[0], taps.items(), strict=True):
            color, marker = _TOWERS[tower]
            _picture(axes, scene, dark=True)
            start = regular.view(9, 2) * stride
            ends = start + moved * stride
            for (down, right), (to_down, to_right), weight in zip(
                start.tolist(), ends.tolist(), masks[tower].tolist(), strict=True
            ):
                axes.plot([x + right, x + to_right], [y + down, y + to_down], color="white", lw=0.6, alpha=0.7)
                axes.plot(x + right, y + down, "+", color="white", ms=5, mew=0.9)
                axes.plot(
                    x + to_right, y + to_down, marker, color=color, mec="white", mew=0.6, ms=2.5 + 4 * weight**0.5
                )
            axes.plot(x, y, "x", color="#00ff60", ms=7, mew=1.6)
            length = float(moved.norm(dim=1).mean())
            axes.set_title(f"{tower} tower, {level_name(int(stride))}\nmean offset {length:.2f} cells")
        figure.legend(
            handles=[
                _cross("#00a000"),
                *(_handle(color, marker) for color, marker in _TOWERS.values()),
                _handle(FAINT, "+"),
            ],
            labels=["the point", "taps of the class tower", "taps of the box tower (size: mask)", "taps unmoved"],
            loc="outside lower left",
            ncols=2,
        )
    return figure


def _panels(scene: Scene, rows: int, columns: int, extra: float) -> AbstractContextManager[Figure]:
    x1, y1, x2, y2 = scene.window
    width, height = panel_size((max(round(y2 - y1), 1), max(round(x2 - x1), 1)), _AREA)
    return canvas(columns * (width + 0.12) + 0.8, rows * (height + 0.35) + extra, "compressed")


def _levels(points: Points, mask: Bool[Tensor, " P"]) -> list[int]:
    """Levels on which the mask holds a point."""
    return sorted(set(points.level[mask].tolist()))


def _picture(axes: Axes, scene: Scene, dark: bool = False) -> None:
    pixels = cropped(scene.image, scene.size)
    show(axes, dimmed(pixels) if dark else pixels)
    _zoom(axes, scene)


def _zoom(axes: Axes, scene: Scene) -> None:
    x1, y1, x2, y2 = scene.window
    axes.set(xlim=(x1, x2), ylim=(y2, y1))
    left, top, right, bottom = scene.box.tolist()
    outline(axes, (left, top, right, bottom), "white", width=1.2)


def _maps(row: Sequence[Axes], scene: Scene, levels: Sequence[int], values: Float[Tensor, " P"]) -> AxesImage:
    """Heat maps of these levels on one scale."""
    pixels, norm = dimmed(cropped(scene.image, scene.size)), scale_of(values[values.isfinite()])
    cells = scene.points.split(values)
    for axes, level in zip(row, levels, strict=True):
        axes.set_axis_on()
        show(axes, pixels)
        drawn = heat(axes, cells[level], scene.points.strides[level], norm)
        _zoom(axes, scene)
        axes.set_title(level_name(scene.points.strides[level]))
    return drawn


def _handle(color: str, marker: str) -> Line2D:
    return Line2D([], [], color=color, marker=marker, linestyle="none")


def _cross(color: str) -> Line2D:
    return _handle(color, "x")
