"""One object as both tasks see it: the paper's figures 1 to 3, and where deformed kernels look."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.lines import Line2D
from torch import Tensor

from mmmc.draw.loss import heat, scale_of
from mmmc.draw.panels import FAINT, INK, canvas, cropped, dimmed, level_name, outline, panel_size, show
from mmmc.draw.views import Chosen, Deformed, Misaligned, Parted, Scene, View
from mmmc.structures import Points

CLASS, BOX, POSITIVE, REST = "#d55e00", "#0072b2", "#009e73", "#b8b8b8"
"""Colours of the class task, the box task, positive and other candidates."""

_AREA = 5.0
_TOWERS = {"class": (CLASS, "o"), "box": (BOX, "s")}


def figure_of(view: View) -> Figure:
    """The figure of a view."""
    match view:
        case Misaligned():
            return misalignment(view)
        case Parted():
            return selection(view)
        case Chosen():
            return chosen_points(view)
        case Deformed():
            return receptive_fields(view)


def misalignment(view: Misaligned) -> Figure:
    """Figure 1: detections from the point of best class score and from that of best box, beside both loss maps."""
    losses = view.losses
    boxes = torch.stack([view.best_class.box, view.best_box.box])
    scene = replace(view.scene, reach=torch.cat([boxes[:, :2].amin(dim=0), boxes[:, 2:].amax(dim=0)]))
    levels = _levels(scene.points, next(iter(losses.values())).isfinite())
    with _panels(scene, len(losses), 1 + len(levels), 0.9) as figure:
        grid = figure.subplots(len(losses), 1 + len(levels), squeeze=False)
        for axes, found, color, title in (
            (grid[0][0], view.best_class, CLASS, "best class score"),
            (grid[-1][0], view.best_box, BOX, "best box"),
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
            for found, color in ((view.best_class, CLASS), (view.best_box, BOX)):
                axes.plot(*scene.points.xy[found.point].tolist(), "x", color="white", ms=9, mew=3.4)
                axes.plot(*scene.points.xy[found.point].tolist(), "x", color=color, ms=8, mew=2.0)
        figure.legend(
            handles=[_cross(CLASS), _cross(BOX)],
            labels=[f"point of best class score for {scene.name}", "point of best box; white: the object's true box"],
            loc="outside lower left",
            ncols=2 if len(levels) > 2 else 1,
        )
    return figure


def selection(view: Parted) -> Figure:
    """Figure 2: the two loss vectors, their softmax distributions, and the score with the split."""
    scene, candidates = view.scene, view.candidates
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
        losses.margins(y=0.15)  # room for the levels' names
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
        scores.set_title(f"score ({view.score}); the mixture parts them")
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


def chosen_points(view: Chosen) -> Figure:
    """Figure 3: the loss maps of both tasks, and the points that each assigner chooses as crosses."""
    scene, losses, chosen = view.scene, view.losses, view.positive
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
        levels_of_all = _levels(scene.points, torch.stack(list(chosen.values())).any(dim=0))
        for axes, (name, mask) in zip(grid[1], chosen.items(), strict=False):
            axes.set_axis_on()
            _picture(axes, scene)
            for (x, y), level in zip(scene.points.xy[mask].tolist(), scene.points.level[mask].tolist(), strict=True):
                size = 5.0 + 3.0 * levels_of_all.index(level)
                axes.plot(x, y, "x", color="white", ms=size + 1, mew=2.8)
                axes.plot(x, y, "x", color="#00a000", ms=size, mew=1.5)
            used = [level_name(scene.points.strides[level]).split(" ")[0] for level in _levels(scene.points, mask)]
            axes.set_title(f"{name}: {int(mask.sum())} on {', '.join(used) or 'no level'}")
        figure.legend(
            handles=[_cross("#00a000")],
            labels=[f"positive point of {scene.name}" + "; larger on a coarser level" * (len(levels_of_all) > 1)],
            loc="outside lower left",
        )
    return figure


def receptive_fields(view: Deformed) -> Figure:
    """Where the deformed kernels of both towers look from a point."""
    scene, point, taps = view.scene, view.point, view.taps
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
                start.tolist(), ends.tolist(), view.masks[tower].tolist(), strict=True
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
