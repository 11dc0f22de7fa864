from __future__ import annotations

import numpy as np
import torch

from mmmc.draw import label_map

BOXES = [
    torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 40.0, 90.0]]),
    torch.zeros(0, 4),
    torch.tensor([[50.0, 100.0, 150.0, 300.0]]),
]
LABELS = [torch.tensor([1, 1]), torch.zeros(0).long(), torch.tensor([0])]
SIZES = [(100, 200), (50, 50), (400, 200)]
NAMES = ["$cat$", "dog", "_bird"]


def panels(figure):
    return {axes.get_title("left").split(",")[0].split(" ")[0]: axes for axes in figure.axes}


def test_classes_are_counted_most_frequent_first():
    axes = panels(label_map(BOXES, LABELS, SIZES, NAMES))["3"]
    assert axes.get_title("left") == "3 objects in 3 pictures · 1 of 3 classes without objects"
    assert [bar.get_width() for bar in axes.patches] == [2, 1, 0]
    assert [text.get_text() for text in axes.get_yticklabels()] == ["dog", "$cat$", "_bird"]


def test_classes_that_do_not_fit_are_summed():
    many = [torch.arange(60).repeat_interleave(2)]
    figure = label_map([torch.ones(120, 4).cumsum(1)], many, [(10, 10)], [f"class {index}" for index in range(60)])
    axes = panels(figure)["120"]
    assert len(axes.patches) == 40
    assert axes.get_yticklabels()[-1].get_text() == "21 other classes"
    assert sum(bar.get_width() for bar in axes.patches) == 120


def test_sizes_hold_every_object_between_the_limits_of_coco():
    axes = panels(label_map(BOXES, LABELS, SIZES, NAMES))["Size"]
    assert sum(bar.get_height() for bar in axes.patches) == 3
    assert [line.get_xdata()[0] for line in axes.lines] == [32, 96]
    assert [text.get_text() for text in axes.texts] == ["small 33%", "medium 33%", "large 33%"]


def test_centres_are_relative_to_each_picture():
    (cells,) = panels(label_map(BOXES, LABELS, SIZES, NAMES))["Centres"].images
    found = np.argwhere(cells.get_array() > 0).tolist()
    # (5, 5) of 200 × 100, (20, 45) of 200 × 100 and (100, 200) of 200 × 400, in 32 cells.
    assert found == [[1, 0], [14, 3], [16, 16]]


def test_a_set_without_objects_or_pictures():
    for pictures in (0, 2):
        figure = label_map(
            [torch.zeros(0, 4)] * pictures, [torch.zeros(0).long()] * pictures, [(9, 9)] * pictures, NAMES
        )
        assert figure.axes[0].get_title("left").startswith(f"0 objects in {pictures} pictures")
