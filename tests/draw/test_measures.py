"""What a detector scored as figures, and boxes close up."""

from __future__ import annotations

import numpy as np
import torch

from mmmc.draw import confusion_matrix, cutout, precision_and_f1
from mmmc.structures import Detections


def test_every_class_and_all_together_have_a_line() -> None:
    scores = np.linspace(0, 1, 101)
    precision = {"a": [1.0] * 101, "_b": [0.5] * 101}
    figure = precision_and_f1(precision, scores, {"a": scores.tolist(), "_b": [0.0] * 101}, scores / 2, 0.6)
    left, right = figure.axes
    assert [text.get_text().strip("\u200b") for text in left.get_legend().get_texts()] == [
        "a",
        "_b",
        "mean of the classes",
    ]
    assert left.lines[-1].get_ydata().tolist() == [0.75] * 101
    assert right.get_title("right") == "F1 0.30 at 0.60"
    assert precision_and_f1({}, scores, {}, scores, 0.5).axes[0].get_legend() is None


def test_cells_hold_their_counts() -> None:
    counts = np.array([[8, 0, 2], [1, 0, 0], [0, 4, 0]])
    (axes,) = confusion_matrix(counts, ["cat", "dog"]).axes
    assert {(text.get_position(), text.get_text()) for text in axes.texts} == {
        ((0, 0), "8"),
        ((2, 0), "2"),
        ((0, 1), "1"),
        ((1, 2), "4"),
    }
    assert [label.get_text() for label in axes.get_yticklabels()] == ["cat", "dog", "background"]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["cat", "dog", "missed"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.8, 0, 0.2], [1, 0, 0], [0, 1, 0]])


def test_a_cutout_shows_the_box_enlarged() -> None:
    image = torch.full((3, 200, 300), 128, dtype=torch.uint8)
    none = torch.zeros(0, 4), torch.zeros(0, dtype=torch.long)
    found = Detections(torch.tensor([[100.0, 80.0, 140.0, 120.0]]), torch.tensor([0.9]), torch.tensor([0]), 1)
    part = cutout(image, (100, 80, 140, 120), none, found, ["cat"])
    # 40 px and a margin of 14 on each side, which is 68, become 360.
    assert part.shape == (3, 360, 360)
    line = (part != 128).any(dim=0)
    assert line[180].nonzero().flatten().min() in range(72, 77)  # 14 · 360 / 68 = 74.1
    elsewhere = Detections(found.boxes + 160, found.scores, found.labels, 1)
    assert (cutout(image, (100, 80, 140, 120), none, elsewhere, ["cat"]) == 128).all()
    # Of a box outside the picture the nearest pixels are shown.
    assert max(cutout(image, (400, 300, 410, 310), none, found, ["cat"]).shape) == 360
