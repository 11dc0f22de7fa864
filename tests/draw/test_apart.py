"""An object with its two points."""

from __future__ import annotations

import torch

from mmmc.draw.apart import Mark, two_points


def test_both_points_and_their_boxes_are_in_the_picture() -> None:
    image = torch.zeros(3, 96, 128, dtype=torch.uint8)
    scored = Mark(xy=(20.0, 12.0), stride=8, box=(4.0, 4.0, 30.0, 20.0), score=0.9, iou=0.25)
    overlapping = Mark(xy=(40.0, 40.0), stride=16, box=(10.0, 10.0, 60.0, 50.0), score=0.4, iou=0.875)
    figure = two_points(image, (80, 100), (12.0, 10.0, 60.0, 52.0), "a $ & b", scored, overlapping)
    (axes,) = figure.axes
    crosses = {(line.get_xdata()[0], line.get_ydata()[0]) for line in axes.lines}
    assert crosses == {scored.xy, overlapping.xy}
    corners = [(patch.get_x(), patch.get_y(), patch.get_width(), patch.get_height()) for patch in axes.patches]
    assert corners == [(12, 10, 48, 42), (4, 4, 26, 16), (10, 10, 50, 40)]
    # All three boxes are shown with some room, as far as there is picture without padding.
    assert axes.get_xlim() == (0, 60 + 0.35 * 56)
    assert axes.get_ylim() == (52 + 0.35 * 56, 0)
    title = axes.get_title("left")
    for part in ("a $ & b", "P3, score 0.90, IoU 0.25", "P4, score 0.40, IoU 0.88"):
        assert part in title
