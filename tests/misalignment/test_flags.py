"""COCO's verdicts are COCO's."""

from __future__ import annotations

import contextlib
import io

import numpy as np
import pytest
from pycocotools import mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmmc.errors import InputError
from mmmc.misalignment import diagnose
from mmmc.misalignment.arrays import Boxes, Truth, overlaps
from mmmc.misalignment.flags import MOST, SIZES, THRESHOLDS
from mmmc.study.versus import versus

from .sets import Row, box, coco, object, prepared, random_set


def oracle(ground_truth: dict, results: list[Row]) -> tuple[np.ndarray, np.ndarray]:
    """pycocotools' matched annotation (0 for none) and ignore flag, by size, threshold and place among the results."""
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = ground_truth
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes([dict(row) for row in results]), "bbox")
        evaluation.evaluate()
    assert tuple(evaluation.params.iouThrs) == THRESHOLDS
    matched = np.zeros((len(SIZES), len(THRESHOLDS), len(results)), dtype=int)
    ignored = np.zeros_like(matched, dtype=bool)
    ranges = [tuple(area) for area in evaluation.params.areaRng]
    for entry in evaluation.evalImgs:
        if entry is not None:
            size, places = ranges.index(tuple(entry["aRng"])), np.array(entry["dtIds"], dtype=int) - 1
            matched[size][:, places] = entry["dtMatches"]
            ignored[size][:, places] = entry["dtIgnore"]
    return matched, ignored


@pytest.mark.parametrize("seed", range(20))
def test_verdicts_are_those_of_pycocotools(seed: int) -> None:
    ground_truth, results, _ = random_set(seed)
    truth, boxes, _, verdicts = prepared(ground_truth, results)
    matched, ignored = oracle(ground_truth, results)
    # Scores are all different, and lead from our order to that of the results.
    place = np.searchsorted(np.sort([row["score"] for row in results]), boxes.score)
    place = np.argsort([row["score"] for row in results])[place]
    annotations = ground_truth["annotations"]
    # Ours is the row among annotations by picture; pycocotools' the id, which counts from 1 in the order of the file.
    by_picture = sorted(range(len(annotations)), key=lambda number: annotations[number]["image_id"])
    ids = np.array([*by_picture, -1]) + 1
    crowd = np.array([False, *(bool(row["iscrowd"]) for row in annotations)])
    for s, size in enumerate(SIZES):
        for t, threshold in enumerate(THRESHOLDS):
            flags = verdicts(threshold, size)
            said = ignored[s, t, place]
            np.testing.assert_array_equal(flags.ignored, said)
            np.testing.assert_array_equal(ids[flags.object], np.where(said, 0, matched[s, t, place]))
            assert not crowd[ids[flags.object]].any()
    assert len(truth) == len(annotations)


def test_overlaps_are_those_of_pycocotools() -> None:
    ground_truth, results, _ = random_set(3, pictures=30)
    truth, boxes, pairs, _ = prepared(ground_truth, results)

    expected = mask.iou(boxes.xywh, truth.xywh, truth.crowd.astype(np.uint8))
    expected[boxes.picture[:, None] != truth.picture] = 0
    found = np.zeros_like(expected)
    found[pairs.box, pairs.object] = pairs.iou
    np.testing.assert_array_equal(found, expected)
    assert len(pairs) == (expected > 0).sum() > 50


def test_only_the_best_of_a_picture_and_class_count() -> None:
    many = [box(0.5 - number / 1000, 0, 0, 10, 10, label=number % 2) for number in range(2 * MOST + 20)]
    truth = Truth.from_coco(coco([object(0, 0, 10, 10)], classes=2))
    boxes = Boxes.from_coco([*many, box(0.9, 0, 0, 10, 10)], truth)
    kept = boxes[boxes.first(MOST, by_class=True)]
    assert np.bincount(kept.label).tolist() == [MOST, MOST]
    assert kept.score[0] == 0.9
    assert boxes.first(7).sum() == 7


def test_many_pairs_are_looked_at_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    ground_truth, results, _ = random_set(5, pictures=8)
    truth, boxes, pairs, _ = prepared(ground_truth, results)
    monkeypatch.setattr("mmmc.misalignment.arrays._PAIRS", 3)
    in_parts = overlaps(boxes, truth)
    for name in ("box", "object", "iou"):
        np.testing.assert_array_equal(getattr(in_parts, name), getattr(pairs, name))


def test_nothing_found_and_nothing_there() -> None:
    _, boxes, _, verdicts = prepared(coco([object(0, 0, 10, 10)]), [])
    assert len(boxes) == 0
    assert verdicts(0.5).counted.tolist() == [True]
    _, _, _, verdicts = prepared(coco([]), [box(0.5, 0, 0, 10, 10)])
    assert verdicts(0.5).false.tolist() == [True]


@pytest.mark.parametrize(("row", "field"), [({"image_id": 2}, "image_id"), ({"category_id": 15}, "category_id")])
def test_results_of_another_set_are_refused(row: dict, field: str) -> None:
    """Ids that lie between known ones would pass for the next."""
    truth = coco([object(0, 0, 10, 10)], images=(1, 3), classes=2)
    results = [box(0.9, 0, 0, 10, 10) | row]
    for measure in (diagnose, lambda truth, results: versus(truth, results, [], resamples=1)):
        with pytest.raises(InputError, match=rf"{field} \[{row[field]}\], which is not among"):
            measure(truth, results)
