"""From predictions to detections by hand; parity with torchvision is in `model/test_torchvision_fcos.py`."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from mmmc.errors import InputError
from mmmc.points import make_points
from mmmc.postprocess import Postprocess
from mmmc.structures import Prediction
from mmmc.testing import make_scene, make_target

POINTS = make_points([(1, 4), (1, 2)], [8, 16])
"""At (4, 4), (12, 4), (20, 4), (28, 4) and (8, 8), (24, 8)."""


def logit(*values: float) -> Tensor:
    return torch.tensor(values).logit()


def prediction(probabilities: list[list[float]], boxes: list[list[float]] | None = None) -> Prediction:
    """Quality 0.64 everywhere; boxes 16 pixels apart unless given."""
    apart = [[16.0 * i, 0.0, 16.0 * i + 8, 8.0] for i in range(6)]
    return Prediction(
        logits=logit(*[p for point in probabilities for p in point]).view(1, 6, -1),
        boxes=torch.tensor([boxes or apart]),
        quality=logit(*[0.64] * 6)[None],
    )


LOW = [0.01, 0.01]


def test_score_is_the_square_root_of_class_times_quality() -> None:
    said = prediction([[0.25, 0.01], [0.01, 0.36], LOW, LOW, LOW, [0.81, 0.49]])
    (found,) = Postprocess()(POINTS, said, [make_target([], (16, 96), image_id=4)])
    assert found.scores.tolist() == pytest.approx([0.72, 0.56, 0.48, 0.4])
    assert found.labels.tolist() == [0, 1, 1, 0]
    assert found.boxes[:, 0].tolist() == [80, 80, 16, 0]
    assert found.image_id == 4


def test_the_score_of_methods_whose_classes_learn_the_quality() -> None:
    said = prediction([[0.25, 0.01], [0.01, 0.36], LOW, LOW, LOW, [0.81, 0.49]])
    (found,) = Postprocess(score="class")(POINTS, said, [make_target([], (16, 96))])
    assert found.scores.tolist() == pytest.approx([0.81, 0.49, 0.36, 0.25])


def test_the_threshold_is_on_the_class_before_the_quality() -> None:
    said = prediction([[0.06, 0.04], LOW, LOW, LOW, LOW, LOW])
    target = make_target([], (16, 96))
    (found,) = Postprocess(threshold=0.05)(POINTS, said, [target])
    assert found.scores.tolist() == pytest.approx([math.sqrt(0.06 * 0.64)])
    (found,) = Postprocess(threshold=0.5)(POINTS, said, [target])
    assert (len(found), found.boxes.shape) == (0, (0, 4))


def test_the_best_of_each_level_and_of_the_picture() -> None:
    said = prediction([[0.2], [0.3], [0.4], [0.5], [0.6], [0.1]])
    target = make_target([], (16, 96))
    (found,) = Postprocess(per_level=2)(POINTS, said, [target])
    assert found.boxes[:, 0].tolist() == [64, 48, 32, 80]
    (found,) = Postprocess(per_level=2, detections=3)(POINTS, said, [target])
    assert found.boxes[:, 0].tolist() == [64, 48, 32]


def test_suppression_is_per_class() -> None:
    # The second box shares 3/4 with the first, the third 0.6 of the union exactly.
    boxes = [[0, 0, 8, 8], [0, 0, 8, 6], [0, 0, 8, 4.8], *[[60, 0, 61, 1]] * 3]
    said = prediction([[0.9], [0.8], [0.7], [0.01], [0.01], [0.01]], boxes)
    target = make_target([], (16, 96))
    assert Postprocess(nms=0.7)(POINTS, said, [target])[0].boxes[:, 3].tolist() == pytest.approx([8, 4.8])
    assert len(Postprocess(nms=0.76)(POINTS, said, [target])[0]) == 2  # The third shares 0.8 with the second.
    assert len(Postprocess(nms=0.81)(POINTS, said, [target])[0]) == 3
    two = prediction([[0.9, 0.01], [0.01, 0.8], [0.7, 0.01], LOW, LOW, LOW], boxes)
    assert Postprocess(nms=0.5)(POINTS, two, [target])[0].labels.tolist() == [0, 1]


def test_boxes_come_back_in_pixels_of_the_file() -> None:
    boxes = [[-4.0, 2.0, 40.0, 20.0], *[[0.0, 0.0, 1.0, 1.0]] * 5]
    said = prediction([[0.9], *[[0.01]] * 5], boxes)
    target = replace(make_target([], (16, 32)), original_size=(8, 64), scale=(0.5, 2.0))
    (found,) = Postprocess()(POINTS, said, [target])
    # Clipped to 32 × 16 pixels of the batch, then twice as wide and half as high.
    assert found.boxes.tolist() == [[0, 1, 64, 8]]


def test_what_is_predicted_in_the_padding_is_nobody_s() -> None:
    said = prediction([[0.9]] * 6)
    (found,) = Postprocess(threshold=0.0)(POINTS, said, [make_target([], (16, 20))])
    # Points 20, 28 and 24 lie beyond; the boxes of the others begin at 0, 16 and 64.
    assert len(found) == 3


def test_a_score_that_is_not_a_number_is_no_detection() -> None:
    said = prediction([[0.25, 0.01], [0.36, 0.01], LOW, LOW, LOW, LOW])
    said.quality[0, 0] = math.nan
    (found,) = Postprocess()(POINTS, said, [make_target([], (16, 32))])
    torch.testing.assert_close(found.scores, torch.tensor([0.6 * 0.8]))


def test_each_picture_for_itself() -> None:
    scene = make_scene(0)
    both = Postprocess()(*scene)
    second = Prediction(*(getattr(scene.prediction, name)[1:] for name in ("logits", "boxes", "quality")))
    (alone,) = Postprocess()(scene.points, second, scene.targets[1:])
    assert [found.image_id for found in both] == [0, 1]
    assert torch.equal(both[1].boxes, alone.boxes)
    assert torch.equal(both[1].scores, alone.scores)


def test_low_precision_is_widened_and_nothing_has_a_gradient() -> None:
    scene = make_scene(0)
    low = replace(scene.prediction, logits=scene.prediction.logits.bfloat16().requires_grad_())
    wide = replace(low, logits=low.logits.detach().float())
    for found, expected in zip(
        Postprocess()(scene.points, low, scene.targets), Postprocess()(scene.points, wide, scene.targets), strict=True
    ):
        assert torch.equal(found.scores, expected.scores)
        assert found.scores.dtype == torch.float32
        assert not found.scores.requires_grad


@pytest.mark.parametrize(
    ("field", "value"), [("threshold", -0.1), ("threshold", 1.1), ("nms", 2.0), ("per_level", 0), ("detections", 0)]
)
def test_options_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"postprocess.{field} is {value}; allowed: "):
        Postprocess(**{field: value})


def test_what_suppression_takes_away_is_among_the_candidates() -> None:
    boxes = [[0.0, 0.0, 8.0, 8.0], [0.0, 0.0, 8.0, 7.0], [-4.0, 0.0, 8.0, 8.0], *([[40.0, 0.0, 48.0, 8.0]] * 3)]
    said = prediction([[0.25, 0.01], [0.36, 0.01], LOW, LOW, LOW, [0.49, 0.01]], boxes)
    target = replace(make_target([], (16, 96), image_id=4), scale=(2.0, 2.0), original_size=(8, 48))
    postprocess = Postprocess()
    (found,) = postprocess.candidates(POINTS, said, [target])
    # In pixels of the batch, level by level.
    assert found.boxes.tolist() == [boxes[1], boxes[0], boxes[5]]
    assert found.scores.tolist() == pytest.approx([0.48, 0.4, 0.56])
    assert found.image_id == 4
    (kept,) = postprocess(POINTS, said, [target])
    assert kept.boxes.tolist() == [[20, 0, 24, 4], [0, 0, 4, 3.5]]
    assert postprocess.suppressed(found, target).boxes.tolist() == kept.boxes.tolist()
    scores = postprocess.scores(POINTS, said, 0, make_target([], (16, 16)))
    assert scores[:2, 0].tolist() == pytest.approx([0.4, 0.48])
    # Points beyond a picture of 16 pixels lie in the padding.
    assert scores[[2, 3, 5]].tolist() == [[0, 0]] * 3
