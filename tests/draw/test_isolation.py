"""Drawing has no side effect: no window, no file, no global figure, no changed setting."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import matplotlib
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg

from mmmc.draw import curves, loss_maps, positives

from .scenes import NAMES, PICTURE, POINTS, assignment, target

DRAW_ALL = """
import torch
from scenes import NAMES, PICTURE, POINTS, assignment, comparison, target
from mmmc import draw
from mmmc.structures import Detections
whole = target()
found = Detections(whole.boxes, torch.ones(3), whole.labels, 7)
draw.detections(PICTURE, found, NAMES)
draw.objects(PICTURE, whole.boxes, whole.labels, NAMES)
draw.comparison(PICTURE, whole, found, NAMES)
draw.mosaic([PICTURE], 1, (64, 64), ["one"])
draw.positives(PICTURE, POINTS, assignment(), 1, whole, NAMES)
draw.loss_maps(PICTURE, POINTS, {"box": torch.rand(len(POINTS))})
draw.curves([])
draw.label_map([whole.boxes], [whole.labels], [whole.size], NAMES)
draw.side_by_side(PICTURE, comparison(), NAMES)
draw.side_by_side(PICTURE, comparison(), NAMES, per_level=True)
assert "matplotlib.pyplot" not in sys.modules
"""


def test_nothing_is_written_and_pyplot_is_not_imported(tmp_path):
    # In a process and a folder of its own, since any other test may have imported pyplot.
    script = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n{DRAW_ALL}"
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True)
    assert list(tmp_path.iterdir()) == []


def test_the_package_is_imported_without_matplotlib():
    script = "import sys, mmmc; assert 'matplotlib' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True)


def test_the_callers_settings_neither_matter_nor_change():
    plain = positives(PICTURE, POINTS, assignment(), 1, target(), NAMES)
    with matplotlib.rc_context({"font.size": 30, "axes.titlepad": 30, "figure.constrained_layout.hspace": 0.5}):
        before = dict(matplotlib.rcParams)
        other = positives(PICTURE, POINTS, assignment(), 1, target(), NAMES)
        assert dict(matplotlib.rcParams) == before
        pixels = [pixels_of(figure) for figure in (plain, other)]
    assert pixels[0] == pixels[1]


def test_the_callers_settings_do_not_matter_to_ticks_made_late():
    with matplotlib.rc_context({"xtick.labelsize": 30}):
        figure = curves([{"kind": "train", "step": step, "lr": 0.1} for step in range(5)])
        pixels = pixels_of(figure)
    assert pixels == pixels_of(curves([{"kind": "train", "step": step, "lr": 0.1} for step in range(5)]))


def test_tensors_with_gradient_are_drawn():
    losses = torch.rand(len(POINTS), requires_grad=True)
    assert loss_maps(PICTURE, POINTS, {"box": losses}).axes


def pixels_of(figure) -> bytes:
    figure.canvas.draw()
    assert isinstance(figure.canvas, FigureCanvasAgg)
    return bytes(figure.canvas.buffer_rgba())
