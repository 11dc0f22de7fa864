"""AP with oracles: by hand, against COCO, and never below plain AP."""

from __future__ import annotations

import math

import numpy as np
import pytest

from mmmc.evaluate import score
from mmmc.misalignment.arrays import Boxes, Truth
from mmmc.misalignment.curve import average_precision, top_precision
from mmmc.misalignment.flags import SIZES, THRESHOLDS
from mmmc.misalignment.oracles import ORACLES, PLAIN, Costs, costs

from .sets import Row, box, coco, object, prepared, random_set


def measured(ground_truth: dict, results: list[Row], before: list[Row] | None = None) -> Costs:
    truth, boxes, pairs, verdicts = prepared(ground_truth, results)
    return costs(boxes, truth, verdicts, pairs, None if before is None else Boxes.from_coco(before, truth))


def same_at_every_threshold(found: Costs, kind: str, value: float) -> None:
    np.testing.assert_allclose(found.ap[kind][0, :, 0], value, atol=1e-12)


THREE = coco([object(0, 0, 100, 100), object(200, 0, 100, 100), object(0, 200, 100, 100)])
FOUND = [
    box(0.9, 0, 0, 30, 100),  # IoU 0.3 with the first object, which a detection of lower score finds
    box(0.8, 200, 0, 40, 100),  # IoU 0.4 with the second
    box(0.7, 0, 200, 30, 100),  # IoU 0.3 with the third
    box(0.6, 0, 0, 100, 100),  # finds the first
    box(0.5, 350, 350, 20, 20),  # background
]
BEFORE = [*FOUND, box(0.1, 200, 0, 100, 100)]  # a perfect box of the second object, and none of the third


def test_three_objects_and_a_background_box_by_hand() -> None:
    found = measured(THREE, FOUND, BEFORE)
    # COCO reads its curve at 101 recalls: 34 of them are 1/3 or less, 67 are 2/3 or less.
    # One true positive at the fourth place.
    same_at_every_threshold(found, PLAIN, 34 / 101 / 4)
    # The first box takes the place of the fourth, the second finds its object; the third has nothing to lean on.
    same_at_every_threshold(found, "alignment", 67 / 101)
    # So has it without the condition: all three are found before anything false.
    same_at_every_threshold(found, "box", 1.0)
    # The one true positive first.
    same_at_every_threshold(found, "score", 34 / 101)
    # Two objects have a perfect box.
    same_at_every_threshold(found, "ceiling", 67 / 101)
    assert found.gain("alignment") == pytest.approx(67 / 101 - 34 / 101 / 4)
    assert found.class_gain("box", 0) == pytest.approx(1 - 34 / 101 / 4)
    # The false positives are of medium size, and COCO ignores them among large objects.
    assert found.total(PLAIN, "large") == pytest.approx(34 / 101)
    assert math.isnan(found.total(PLAIN, "small"))


def test_a_detection_serves_one_object_and_an_object_one_detection() -> None:
    # Both objects are missed; the first box overlaps both by 0.25 and 0.5 / 1.5, the second only the first object.
    truth = coco([object(0, 0, 100, 100), object(100, 0, 100, 100)])
    both = [box(0.9, 60, 0, 90, 100), box(0.8, 0, 0, 45, 100), box(0.7, 0, 0, 44, 100)]
    # The best box takes the second object, which it overlaps more, the next one the first; the last has none left.
    same_at_every_threshold(measured(truth, both), "box", 1.0)
    # The other way round one object stays missed: two boxes near the first alone.
    same_at_every_threshold(measured(truth, both[1:]), "box", 51 / 101)


def test_the_ceiling_is_one_where_each_object_has_one_perfect_box() -> None:
    objects = [object(50 * k, 40 * k, 30 + 10 * k, 30, image=1 + k % 2) for k in range(6)]
    perfect = [box(0.01, *row["bbox"], image=row["image_id"]) for row in objects]
    wrong = [box(0.9, 300, 300 - 3 * k, 50, 50, image=1 + k % 2) for k in range(20)]
    found = measured(coco(objects, (1, 2)), wrong, wrong + perfect)
    assert found.total(PLAIN) == 0
    assert found.total("ceiling") == 1
    assert (found.ap["ceiling"][0] == 1).all()


def test_a_largest_matching_is_not_a_greedy_one() -> None:
    # The first box overlaps both objects well, the second only the first object: greedily one object stays without.
    truth = coco([object(0, 0, 100, 100), object(10, 0, 100, 100)])
    before = [box(0.5, 2, 0, 100, 100), box(0.4, -15, 0, 100, 100)]
    found = measured(truth, [], before)
    assert found.ap["ceiling"][0, 0, 0] == 1  # both boxes at IoU 0.5
    assert found.ap["ceiling"][0, THRESHOLDS.index(0.8), 0] == pytest.approx(51 / 101)


def test_boxes_of_another_file_may_lack_the_detections() -> None:
    found = measured(THREE, FOUND, [])
    same_at_every_threshold(found, "ceiling", 34 / 101)
    # The box that outranks a true positive still takes its place.
    same_at_every_threshold(found, "alignment", 34 / 101)


def test_without_boxes_before_suppression() -> None:
    assert list(measured(THREE, FOUND).ap) == [PLAIN, "box", "score"]


def test_crowds_and_other_classes_are_no_objects_to_move_to() -> None:
    truth = coco([object(0, 0, 100, 100), object(200, 0, 100, 100, crowd=True)], classes=2)
    results = [box(0.9, 200, 0, 40, 10, label=1), box(0.8, 0, 0, 40, 100, label=1), box(0.7, 190, 0, 30, 100)]
    same_at_every_threshold(measured(truth, results, results), "box", 0.0)


@pytest.mark.parametrize("seed", range(10))
def test_plain_ap_is_coco_s(seed: int) -> None:
    ground_truth, results, _ = random_set(seed, pictures=8)
    found, expected = measured(ground_truth, results), score(ground_truth, results)
    numbers = [found.total(PLAIN), found.at(PLAIN, 0), found.at(PLAIN, 5), *(found.total(PLAIN, s) for s in SIZES[1:])]
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    assert numbers == pytest.approx([getattr(expected, name) for name in names], abs=1e-9, nan_ok=True)
    for label, name in enumerate(found.names):
        assert found.of_class(PLAIN, label) == pytest.approx(expected.per_class[name].AP, abs=1e-9, nan_ok=True)


@pytest.mark.parametrize("block", range(10))
def test_no_oracle_falls_below_plain_ap(block: int) -> None:
    """At any threshold, for any size and class of 200 sets with crowds and sizes."""
    gains = dict.fromkeys(ORACLES, 0.0)
    for seed in range(1000 + 20 * block, 1020 + 20 * block):
        ground_truth, results, before = random_set(seed)
        found = measured(ground_truth, results, before)
        plain = found.ap[PLAIN]
        for kind in ORACLES:
            np.testing.assert_array_equal(np.isnan(found.ap[kind]), np.isnan(plain))
            rise = (found.ap[kind] - plain)[~np.isnan(plain)]
            assert (rise >= -1e-12).all(), (seed, kind)
            gains[kind] += rise.sum()
        counted = ~np.isnan(plain)
        assert (found.ap["ceiling"][counted] >= found.ap["score"][counted]).all()
    assert min(gains.values()) > 1, "each oracle has something to do"


def test_average_precision_by_hand() -> None:
    # True, false, true of 4 objects: precision 1 up to recall 1/4, then 2/3 up to 1/2, then nothing.
    curve = average_precision(np.array([True, False, True]), 4)
    assert curve == pytest.approx((26 + 25 * 2 / 3) / 101)
    assert top_precision(2, 4) == 51 / 101
    assert (top_precision(0, 4), top_precision(4, 4)) == (0, 1)
    assert average_precision(np.zeros(0, dtype=bool), 2) == 0
    assert math.isnan(average_precision(np.array([True]), 0))
    assert math.isnan(top_precision(0, 0))


def test_truth_of_an_empty_set() -> None:
    assert len(Truth.from_coco(coco([]))) == 0
