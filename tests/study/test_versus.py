"""Comparison of two detectors: COCO's own numbers, and resamples as if the pictures were there several times."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from misalignment.sets import box, coco, object, random_set

from mmmc.errors import InputError
from mmmc.evaluate import score
from mmmc.misalignment.arrays import Truth
from mmmc.study.versus import MEASURES, SIZES, versus, weighted_precisions


def repeated(
    ground_truth: dict[str, Any], results: list[dict[str, Any]], weights: np.ndarray
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """A set in which each picture is there as often as its weight says."""
    ids = sorted(entry["id"] for entry in ground_truth["images"])
    images, annotations, found = [], [], []
    for image_id, weight in zip(ids, weights.tolist(), strict=True):
        for _ in range(weight):
            new = len(images) + 1
            images.append({"id": new})
            annotations += [
                row | {"image_id": new} for row in ground_truth["annotations"] if row["image_id"] == image_id
            ]
            found += [row | {"image_id": new} for row in results if row["image_id"] == image_id]
    return ground_truth | {"images": images, "annotations": annotations}, found


@pytest.mark.parametrize("seed", range(6))
def test_a_weight_is_a_picture_that_is_there_several_times(seed: int) -> None:
    ground_truth, results, _ = random_set(seed)
    truth = Truth.from_coco(ground_truth)
    rng = np.random.default_rng(seed)
    weights = rng.multinomial(len(truth.image_ids), np.full(len(truth.image_ids), 1 / len(truth.image_ids)), size=4)
    weights[0] = 1
    values = weighted_precisions(truth, results, weights)
    for row, drawn in enumerate(weights):
        scores = score(*repeated(ground_truth, results, drawn))
        for measure, (thresholds, size) in MEASURES.items():
            mine = values[row][:, thresholds, SIZES.index(size)].mean(axis=1)
            mine = mine[np.isfinite(mine)]
            expected = getattr(scores, measure)
            assert mine.mean() == pytest.approx(expected, abs=1e-9) if len(mine) else np.isnan(expected), measure


def test_two_pictures_by_hand() -> None:
    """One detector finds the object of the first picture, the other of both: AP 0.5 (51 of 101 recalls) against 1.

    A resample holds the second picture never (difference 0), once (50/101) or twice (1), with odds 1 : 2 : 1.
    """
    ground_truth = coco([object(0, 0, 40, 40, image=1), object(0, 0, 40, 40, image=2)], images=(1, 2))
    one = [box(0.9, 0, 0, 40, 40, image=1)]
    both = [*one, box(0.8, 0, 0, 40, 40, image=2)]
    found = versus(ground_truth, one, both, resamples=4000, seed=1)
    ap = found.measures["AP"]
    assert (ap.first, ap.second, ap.difference) == pytest.approx((51 / 101, 1, 50 / 101))
    assert (ap.low, ap.high) == (0, 1)
    assert found.to_dict()["measures"]["APs"]["first"] is None  # no small object
    # Both are scored on the same resamples: what is the same never differs, though its own AP varies.
    same = versus(ground_truth, one, one, resamples=10)
    assert (same.measures["AP"].difference, same.measures["AP"].low, same.measures["AP"].high) == (0, 0, 0)
    again = [versus(ground_truth, one, both, resamples=50, seed=3).to_dict() for _ in range(2)]
    assert again[0] == again[1]


def test_objects_of_one_picture_have_no_bounds() -> None:
    """A resample has that picture or has nothing to find: always the same difference, which is no certainty."""
    ground_truth = coco(
        [
            object(0, 0, 40, 40, image=1),
            object(0, 0, 40, 40, image=2),
            object(100, 0, 20, 20, image=2, label=1),
            object(0, 0, 20, 20, image=1, label=1, crowd=True),
        ],
        images=(1, 2),
        classes=2,
    )
    found = versus(ground_truth, [], [box(0.9, 100, 0, 20, 20, image=2, label=1)], resamples=50)
    rare = found.classes["class 1"]["AP"]
    assert rare.difference == 1
    assert np.isnan([rare.low, rare.high]).all()
    assert found.classes["class 0"]["AP"].high == 0
    assert found.measures["AP"].high > found.measures["AP"].low >= 0
    assert np.isnan(found.measures["APs"].low)  # the small object is that one
    assert found.to_dict()["classes"]["class 1"]["AP"]["low"] is None


def test_no_picture_to_compare_on() -> None:
    nothing = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "a"}]}
    with pytest.raises(InputError, match=r"no picture to compare on\. Allowed: at least one"):
        versus(nothing, [], [])
