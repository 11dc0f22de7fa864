from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from mmmc.draw import class_colors, comparison, detections, mosaic, objects
from mmmc.structures import Detections

from .scenes import target

NAMES = ["cat", "dog", "a class whose name goes on and on and never ends"]


def grey(height: int = 96, width: int = 128) -> torch.Tensor:
    return torch.full((3, height, width), 120, dtype=torch.uint8)


def found(*boxes: tuple[list[float], float, int]) -> Detections:
    return Detections(
        boxes=torch.tensor([box for box, _, _ in boxes]).reshape(-1, 4),
        scores=torch.tensor([score for _, score, _ in boxes]),
        labels=torch.tensor([label for _, _, label in boxes], dtype=torch.long),
        image_id=7,
    )


def test_a_detection_is_outlined_in_the_colour_of_its_class():
    picture = grey()
    drawn = detections(picture, found(([20.0, 40.0, 80.0, 90.0], 0.9, 1)), NAMES)
    assert drawn.shape == picture.shape
    assert (picture == 120).all()
    color = torch.tensor(class_colors(2)[1], dtype=torch.uint8)
    edge = torch.cat([drawn[:, 40, 20:81], drawn[:, 90, 20:81], drawn[:, 40:91, 20], drawn[:, 40:91, 80]], dim=1)
    assert (edge == color[:, None]).all()
    assert (drawn[:, 42:89, 22:79] == 120).all()


def test_what_scores_below_the_threshold_is_not_drawn():
    both = found(([20.0, 40.0, 60.0, 80.0], 0.9, 0), ([70.0, 40.0, 110.0, 80.0], 0.4, 1))
    one = found(([20.0, 40.0, 60.0, 80.0], 0.9, 0))
    assert torch.equal(detections(grey(), both, NAMES, 0.5), detections(grey(), one, NAMES))
    assert not torch.equal(detections(grey(), both, NAMES), detections(grey(), one, NAMES))


def test_the_better_score_lies_on_top():
    crossing = found(([10.0, 40.0, 90.0, 70.0], 0.9, 0), ([40.0, 30.0, 100.0, 60.0], 0.8, 1))
    drawn = detections(grey(), crossing, NAMES)
    # Where the boxes cross, and where each is alone.
    colors = [list(color) for color in class_colors(2)]
    assert [drawn[:, y, x].tolist() for y, x in ((40, 40), (70, 20), (45, 100))] == [colors[0], colors[0], colors[1]]


def test_pictures_without_boxes_are_equal_copies():
    picture = grey()
    for drawn in (
        detections(picture, found(), NAMES),
        objects(picture, torch.zeros(0, 4), torch.zeros(0).long(), NAMES),
    ):
        assert torch.equal(drawn, picture)
        assert drawn.data_ptr() != picture.data_ptr()


def test_objects_are_dashed_so_that_they_are_told_from_detections():
    boxes = torch.tensor([[20.0, 40.0, 80.0, 90.0]])
    drawn = objects(grey(), boxes, torch.tensor([0]), NAMES)
    edge = {tuple(pixel) for pixel in drawn[:, 90, 20:81].T.tolist()}
    assert edge == {class_colors(1)[0], (0, 0, 0)}
    assert (drawn[:, 42:89, 22:79] == 120).all()


def test_crowd_regions_are_drawn_too():
    region = torch.tensor([[20.0, 40.0, 80.0, 90.0]])
    drawn = objects(grey(), torch.zeros(0, 4), torch.zeros(0).long(), NAMES, region)
    assert drawn[0, 90, 20:81].ne(120).all()


@pytest.mark.parametrize("size", [(40, 30), (256, 256), (800, 1333)])
def test_labels_stay_in_the_picture_whatever_their_length(size):
    height, width = size
    corner = found(([width - 12.0, height - 12.0, width - 2.0, height - 2.0], 0.5, 2))
    drawn = detections(grey(height, width), corner, NAMES)
    plate = drawn.ne(120).any(dim=0)
    assert plate.sum() > 100
    # The plate ends inside the picture, unless it is wider than that, and never is cut at the bottom.
    assert not plate[0].any()


def test_line_and_letters_grow_with_the_picture():
    areas, lines = [], []
    for scale in (1, 4):
        box = [100.0 * scale, 100.0 * scale, 200.0 * scale, 200.0 * scale]
        drawn = detections(grey(512 * scale, 512 * scale), found((box, 0.9, 0)), NAMES)
        areas.append(drawn.ne(120).any(dim=0).sum().item())
        # Halfway down the box: its left and its right side.
        lines.append(drawn[:, 150 * scale].ne(120).any(dim=0).sum().item())
    assert 8 < areas[1] / areas[0] < 20
    assert lines == [2 * 2, 2 * 7]


def test_comparison_has_truth_left_and_predictions_right_in_pixels_of_the_file():
    picture = grey(96, 128)
    # The batch held the picture at half its size.
    known = replace(target(1), scale=(0.5, 0.5), original_size=(96, 128))
    guess = found(([8.0, 8.0, 56.0, 56.0], 0.9, 0))
    sheet = comparison(picture, known, guess, NAMES)
    truth = objects(picture, known.boxes * 2, known.labels, NAMES)
    prediction = detections(picture, guess, NAMES)
    gap = (sheet.shape[2] - 2 * 128) // 3
    top = sheet.shape[1] - gap - 96
    assert torch.equal(sheet[:, top : top + 96, gap : gap + 128], truth)
    assert torch.equal(sheet[:, top : top + 96, 2 * gap + 128 : 2 * gap + 256], prediction)
    # A heading above each.
    assert sheet[:, :top, : gap + 128].lt(128).any()
    assert sheet[:, :top, 2 * gap + 128 :].lt(128).any()


def test_mosaic_keeps_proportions():
    wide, tall = grey(20, 80), grey(80, 20)
    sheet = mosaic([wide, tall, wide], columns=2, size=(40, 40))
    gap = (sheet.shape[2] - 80) // 3
    assert sheet.shape == (3, 3 * gap + 80, 3 * gap + 80)
    cells = [sheet[0, gap + y * (40 + gap) :, gap + x * (40 + gap) :][:40, :40] for y in (0, 1) for x in (0, 1)]
    shapes = [((cell == 120).any(1).sum().item(), (cell == 120).any(0).sum().item()) for cell in cells]
    assert shapes == [(10, 40), (40, 10), (10, 40), (0, 0)]
    # In the middle of its cell.
    assert (cells[0][15:25] == 120).all()
    assert (cells[1][:, 15:25] == 120).all()


def test_a_long_caption_ends_with_its_cell():
    sheet = mosaic([grey(40, 90)] * 2, columns=2, size=(40, 90), captions=["a very long caption " * 9, ""])
    gap = (sheet.shape[2] - 180) // 3
    strip = sheet.shape[1] - 40 - gap
    assert sheet[:, :strip, gap : gap + 90].lt(200).any()
    assert (sheet[:, :strip, gap + 90 + 1 :] == 255).all()


def test_mosaic_refuses_what_it_cannot_draw():
    with pytest.raises(ValueError, match="at least one"):
        mosaic([], columns=2, size=(40, 40))
    with pytest.raises(ValueError, match="1 pictures, but 2 captions"):
        mosaic([grey()], columns=2, size=(40, 40), captions=["a", "b"])
