"""Large pictures in tiles: what tiles cover, and which boxes of theirs stay."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from mmmc.errors import InputError
from mmmc.postprocess import Postprocess
from mmmc.predicting import Tiling, detect_tiled, merge
from mmmc.predictor import Predictor
from mmmc.structures import Detections


class Seer(Predictor):
    """Sees a box around the pixels of each colour but black, of a class that is the colour's green, without a doubt."""

    def __init__(self) -> None:
        self.recipe: Any = SimpleNamespace(postprocess=Postprocess())
        self.sizes: list[tuple[int, int]] = []

    def __call__(self, images: Iterable[Any], *, batch_size: int = 8) -> list[Detections]:  # noqa: ARG002
        return [self.one(image, index) for index, image in enumerate(images)]

    def one(self, image: Tensor, index: int) -> Detections:
        self.sizes.append((image.shape[1], image.shape[2]))
        boxes, labels = [], []
        for red in image[0].unique()[image[0].unique() > 0].tolist():
            y, x = (image[0] == red).nonzero(as_tuple=True)
            boxes.append([x.min().item(), y.min().item(), x.max().item() + 1, y.max().item() + 1])
            labels.append(int(image[1, y[0], x[0]]))
        return found(boxes, labels=labels, image_id=index)


def found(
    boxes: list[list[float]], scores: list[float] | None = None, labels: list[int] | None = None, image_id: int = 0
) -> Detections:
    return Detections(
        boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        scores=torch.tensor([0.9] * len(boxes) if scores is None else scores, dtype=torch.float32),
        labels=torch.tensor([0] * len(boxes) if labels is None else labels, dtype=torch.long),
        image_id=image_id,
    )


def picture(height: int, width: int, objects: list[tuple[int, int, int, int]], labels: list[int]) -> Tensor:
    image = torch.zeros(3, height, width, dtype=torch.uint8)
    for number, ((x1, y1, x2, y2), label) in enumerate(zip(objects, labels, strict=True), 1):
        image[0, y1:y2, x1:x2], image[1, y1:y2, x1:x2] = number, label
    return image


sides = st.integers(1, 900)


@given(sides, sides, st.integers(32, 300), st.floats(0, 0.9), st.data())
def test_tiles_cover_and_overlap(height: int, width: int, size: int, overlap: float, data: st.DataObject) -> None:
    windows = Tiling(size, overlap, whole=False).windows(height, width)
    for x1, y1, x2, y2 in windows:
        assert (x2 - x1, y2 - y1) == (min(size, width), min(size, height))
    # Whatever is no larger than the overlap lies whole in one of them.
    share = int(size * overlap)
    w, h = (data.draw(st.integers(1, max(1, min(share, side)))) for side in (width, height))
    x, y = data.draw(st.integers(0, width - w)), data.draw(st.integers(0, height - h))
    assert any(x1 <= x and y1 <= y and x + w <= x2 and y + h <= y2 for x1, y1, x2, y2 in windows)


def test_tiles_by_hand() -> None:
    assert Tiling(100, 0.2, whole=False).windows(100, 260) == [(0, 0, 100, 100), (80, 0, 180, 100), (160, 0, 260, 100)]
    # Even distances instead of a last tile that shows nearly the same as the one before.
    assert [x for x, *_ in Tiling(100, 0.2, whole=False).windows(100, 190)] == [0, 45, 90]
    assert Tiling(100).windows(90, 100) == [(0, 0, 100, 90)], "a picture that is a tile is not seen twice"
    assert Tiling(100).windows(100, 101)[-1] == (0, 0, 101, 100)


@pytest.mark.parametrize("whole", [True, False])
def test_small_objects_leave_one_box_each(whole: bool) -> None:
    """Wherever borders cut them. The objects do not touch, and each is smaller than the overlap of 20 pixels."""
    random = torch.Generator().manual_seed(0)
    for _ in range(20):
        objects, labels = [], []
        for x in range(2, 230, 24):
            for y in range(2, 180, 24):
                left, top, w, h = (
                    torch.randint(low, high, (1,), generator=random).item()
                    for low, high in ((0, 3), (0, 3), (3, 19), (3, 19))
                )
                objects.append((x + int(left), y + int(top), x + int(left + w), y + int(top + h)))
                labels.append(int(torch.randint(3, (1,), generator=random)))
        image = picture(210, 260, objects, labels)
        seen = detect_tiled(Seer(), image, Tiling(100, 0.2, whole))
        assert sorted(map(tuple, seen.boxes.int().tolist())) == sorted(objects)
        expected = dict(zip(objects, labels, strict=True))
        assert [expected[tuple(box)] for box in seen.boxes.int().tolist()] == seen.labels.tolist()


def test_an_object_larger_than_the_overlap_needs_the_whole_picture() -> None:
    image = picture(100, 260, [(30, 10, 240, 90)], [0])
    parts = detect_tiled(Seer(), image, Tiling(100, 0.2, whole=False))
    assert sorted(map(tuple, parts.boxes.int().tolist())) == [(30, 10, 100, 90), (80, 10, 180, 90), (160, 10, 240, 90)]
    once = detect_tiled(Seer(), image, Tiling(100, 0.2, whole=True))
    assert once.boxes.tolist() == [[30, 10, 240, 90]]


TILES = [(0, 0, 100, 100), (80, 0, 180, 100)]
SIZE = (100, 180)


def merged(left: Detections, right: Detections, iou: float = 0.6) -> list[list[float]]:
    return merge([left, right], TILES, SIZE, iou).boxes.tolist()


def test_a_part_goes_and_its_whole_stays_though_weaker() -> None:
    # The left tile sees x 82 to 100 of an object that the right one sees whole, from 82 to 130: IoU 18 / 48.
    part, whole = found([[82, 10, 100, 50]], [0.9]), found([[2, 10, 50, 50]], [0.5])
    assert merged(part, whole) == [[82, 10, 130, 50]]
    # Of another class it would be another object.
    assert len(merged(part, found([[2, 10, 50, 50]], [0.5], [1]))) == 2


def test_a_part_that_nothing_covers_stays() -> None:
    part = found([[82, 10, 100, 50]])
    assert merged(part, found([])) == [[82, 10, 100, 50]]
    # Covered by exactly 0.6 of its area: not more than the suppression's IoU. By a little more it goes.
    assert len(merged(part, found([[9.2, 10, 50, 50]]), iou=0.6001)) == 2
    assert len(merged(part, found([[9.2, 10, 50, 50]]), iou=0.5999)) == 1


def test_of_two_parts_the_larger_stays() -> None:
    # Both tiles cut it: 40 to 100 in the left, 80 to 110 in the right one, whose part ends at the other's border.
    left, right = found([[40, 10, 100, 50]], [0.3]), found([[0, 10, 22, 50]], [0.8])
    assert merged(left, right) == [[40, 10, 100, 50]]


def test_boxes_of_one_tile_do_not_suppress_each_other_again() -> None:
    # A small object before a large one of its class, both seen by the left tile, which cuts the small one.
    both = found([[20, 5, 98, 95], [85, 30, 100, 50]], [0.9, 0.8])
    assert len(merged(both, found([]))) == 2


def test_a_side_of_the_picture_cuts_nothing() -> None:
    # The left tile's box touches the picture's own side: seen whole, so plain suppression applies, which keeps both.
    left, right = found([[0, 0, 30, 100], [0, 0, 90, 100]], [0.9, 0.8]), found([[60, 20, 100, 80]])
    assert len(merged(left, right)) == 3


def test_order_and_threshold() -> None:
    one = merge([found([[1, 1, 9, 9], [20, 1, 29, 9]], [0.7, 0.2]), found([[40, 1, 49, 9]], [0.4])], TILES, SIZE, 0.6)
    assert one.scores.tolist() == pytest.approx([0.7, 0.4, 0.2])
    image = picture(100, 180, [(10, 10, 20, 20), (30, 30, 40, 40)], [0, 1])
    assert detect_tiled(Seer(), image, Tiling(100), threshold=torch.tensor([0.5, 2.0])).labels.tolist() == [0]


def test_every_tile_is_predicted_at_its_size() -> None:
    seer = Seer()
    detect_tiled(seer, picture(120, 100, [], []), Tiling(100))
    assert seer.sizes == [(100, 100), (100, 100), (120, 100)]


def test_refusals() -> None:
    with pytest.raises(InputError, match=r"The tile is 31 pixels wide; allowed: at least 32"):
        Tiling(31)
    with pytest.raises(InputError, match=r"The overlap of tiles is 1; allowed: 0 to 0\.9"):
        Tiling(64, 1)
