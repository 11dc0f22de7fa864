"""COCO's numbers and the best thresholds: equal to pycocotools', and by hand."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import math
import os
from pathlib import Path

import numpy as np
import pytest
from evaluation_scenes import CATEGORY_IDS, NOWHERE, A, B, found, random_set, truth
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from mmmc.data.coco import read_coco
from mmmc.errors import InputError
from mmmc.evaluate import (
    NUMBERS,
    score,
    to_results,
)
from mmmc.thresholds import DEFAULT_THRESHOLD, Threshold, best_thresholds


@pytest.fixture(scope="module")
def scene():
    ground_truth, detections = random_set()
    return ground_truth, to_results(detections, CATEGORY_IDS)


@pytest.fixture(scope="module")
def oracle(scene):
    """pycocotools' evaluation of the same scene."""
    coco, cocoeval = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    ground_truth, results = copy.deepcopy(scene)
    with contextlib.redirect_stdout(io.StringIO()):
        reference = coco.COCO()
        reference.dataset = ground_truth
        reference.createIndex()
        evaluation = cocoeval.COCOeval(reference, reference.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def reference_mean(values: np.ndarray) -> float:
    return values[values > -1].mean() if (values > -1).any() else math.nan


def test_the_scene_has_what_it_is_made_for(scene):
    ground_truth, results = scene
    with_objects = {annotation["image_id"] for annotation in ground_truth["annotations"]}
    with_results = {result["image_id"] for result in results}
    every = {image["id"] for image in ground_truth["images"]}
    assert all([every - with_objects - with_results, with_objects - with_results, with_results - with_objects])
    assert sum(annotation["iscrowd"] for annotation in ground_truth["annotations"]) > 50
    assert len({result["score"] for result in results}) < len(results) / 5
    # The last class is detected, but has no objects.
    objects = {annotation["category_id"] for annotation in ground_truth["annotations"]}
    assert set(CATEGORY_IDS) - objects == {51}
    assert 51 in {result["category_id"] for result in results}


def test_twelve_numbers_equal_pycocotools(scene, oracle):
    scores = score(*scene)
    assert [getattr(scores, name) for name in NUMBERS] == pytest.approx(oracle.stats.tolist(), abs=1e-9)
    assert all(0.01 < value < 0.99 for value in oracle.stats)


def test_class_numbers_equal_pycocotools(scene, oracle):
    scores = score(*scene)
    precision = oracle.eval["precision"][:, :, :, 0, -1]
    assert list(scores.per_class) == [f"class {index}" for index in range(10)]
    for category_id, one in zip(CATEGORY_IDS, scores.per_class.values(), strict=True):
        mine = precision[:, :, oracle.params.catIds.index(category_id)]
        expected = [reference_mean(mine), reference_mean(mine[0]), reference_mean(mine[5])]
        assert pytest.approx(expected, abs=1e-9, nan_ok=True) == [one.AP, one.AP50, one.AP75]
        if one.objects:
            assert one.precision == pytest.approx(mine[0].tolist(), abs=1e-9)
        else:
            assert one.precision == ()
            assert (mine == -1).all()


def test_best_thresholds_equal_a_search_over_all_by_pycocotools_matches(scene, oracle):
    best = best_thresholds(*scene)
    compared = 0
    for index, category_id in enumerate(CATEGORY_IDS):
        if category_id in (90, 51):  # Beyond 100 detections in a picture, which pycocotools drops; no objects.
            continue
        scores, hits, objects = [], [], 0
        for image in filter(None, oracle.evalImgs):
            if image["category_id"] == category_id and image["aRng"] == [0, 1e10]:
                counts = image["dtIgnore"][0] == 0
                scores += np.array(image["dtScores"])[counts].tolist()
                hits += (image["dtMatches"][0][counts] > 0).tolist()
                objects += int((image["gtIgnore"] == 0).sum())
        scores, hits = np.array(scores), np.array(hits)
        f1 = {t: 2 * hits[scores >= t].sum() / ((scores >= t).sum() + objects) for t in set(scores.tolist())}
        threshold = max(f1, key=lambda t: (f1[t], t))
        kept = hits[scores >= threshold]
        expected = (threshold, f1[threshold], kept.mean(), kept.sum() / objects)
        mine = best[index]
        assert (mine.score, mine.f1, mine.precision, mine.recall) == pytest.approx(expected, abs=1e-12)
        compared += 1
    assert compared == 8
    assert best[9] == Threshold(DEFAULT_THRESHOLD, 0.0, 0.0, 0.0)


@pytest.mark.parametrize(
    ("objects", "detections", "expected"),
    [
        ([A], [(A, 0.9)], 1.0),
        ([A], [(NOWHERE, 0.95), (A, 0.9)], 0.5),
        ([A], [(A, 0.9), (NOWHERE, 0.8)], 1.0),
        # Precision 1 at recall 0 … .50 (51 of the 101 places), 2/3 at recall .51 … 1.
        ([A, B], [(A, 0.9), (NOWHERE, 0.8), (B, 0.7)], (51 + 50 * 2 / 3) / 101),
        ([A, B], [(A, 0.9)], 51 / 101),
        # IoU .82: a match at .50 … .80, seven of the ten thresholds.
        ([A], [([0.0, 0.0, 20.0, 16.4], 0.9)], 0.7),
        ([A], [], 0.0),
    ],
)
def test_ap_by_hand(objects, detections, expected):
    scores = score(truth(*((1, 7, box, 0) for box in objects)), found(*((1, 7, box, s) for box, s in detections)))
    assert pytest.approx(expected, abs=1e-9) == scores.AP
    assert scores.per_class["cat"].AP == scores.AP
    assert scores.per_class["cat"].objects == len(objects)
    assert math.isnan(scores.per_class["dog"].AP)
    assert math.isnan(scores.APl)


def test_a_detection_in_a_crowd_region_counts_neither_way():
    ground_truth = truth((1, 7, A, 0), (1, 7, B, 1))
    results = found((1, 7, [110.0, 110.0, 10.0, 10.0], 0.99), (1, 7, A, 0.9))
    assert pytest.approx(1) == score(ground_truth, results).AP
    assert score(ground_truth, results).per_class["cat"].objects == 1
    assert best_thresholds(ground_truth, results)[0] == Threshold(0.9, 1.0, 1.0, 1.0)


def test_without_objects_nothing_is_defined():
    scores = score(truth(), found((1, 7, A, 0.9)))
    assert all(math.isnan(getattr(scores, name)) for name in NUMBERS)
    assert all(math.isnan(getattr(score(truth(), []), name)) for name in NUMBERS)
    assert best_thresholds(truth(), []) == {index: Threshold(DEFAULT_THRESHOLD, 0.0, 0.0, 0.0) for index in (0, 1)}


@pytest.mark.parametrize(
    ("detections", "expected"),
    [
        ([(A, 0.9), (NOWHERE, 0.8), (B, 0.7), (NOWHERE, 0.6)], Threshold(0.7, 0.8, 2 / 3, 1.0)),
        ([(A, 0.9), (NOWHERE, 0.8), (NOWHERE, 0.7), (NOWHERE, 0.65), (B, 0.6)], Threshold(0.9, 2 / 3, 1.0, 0.5)),
        # Of one score all are kept or none.
        ([(A, 0.9), (NOWHERE, 0.9), (B, 0.9)], Threshold(0.9, 0.8, 2 / 3, 1.0)),
        # 2/3 at .9 and at .5 again: the higher one.
        ([(A, 0.9), (NOWHERE, 0.8), (NOWHERE, 0.7), (B, 0.5)], Threshold(0.9, 2 / 3, 1.0, 0.5)),
        # IoU .45 is no match.
        ([([0.0, 0.0, 20.0, 9.0], 0.9)], Threshold(DEFAULT_THRESHOLD, 0.0, 0.0, 0.0)),
        # The second detection of an object is a false one.
        ([(A, 0.9), (A, 0.8)], Threshold(0.9, 2 / 3, 1.0, 0.5)),
        ([], Threshold(DEFAULT_THRESHOLD, 0.0, 0.0, 0.0)),
    ],
)
def test_best_threshold_by_hand(detections, expected):
    results = found(*((1, 7, box, value) for box, value in detections))
    best = best_thresholds(truth((1, 7, A, 0), (1, 7, B, 0)), results)
    assert vars(best[0]) == pytest.approx(vars(expected))
    assert best[1] == Threshold(DEFAULT_THRESHOLD, 0.0, 0.0, 0.0)


def test_best_threshold_at_another_iou():
    results = found((1, 7, [0.0, 0.0, 20.0, 12.0], 0.9))  # IoU .6
    assert best_thresholds(truth((1, 7, A, 0)), results)[0].f1 == 1
    assert best_thresholds(truth((1, 7, A, 0)), results, iou=0.75)[0].f1 == 0


def test_the_last_detections_of_a_full_picture_count_for_the_threshold():
    results = found(*((1, 7, NOWHERE, 0.9) for _ in range(150)), (1, 7, A, 0.8))
    assert best_thresholds(truth((1, 7, A, 0)), results)[0].recall == 1


def test_arguments_stay_as_they_are_and_nothing_is_printed(capfd, caplog):
    arguments = truth((1, 7, A, 0), (2, 3, B, 1)), found((1, 7, A, 0.9))
    before = copy.deepcopy(arguments)
    with caplog.at_level(logging.INFO):
        score(*arguments)
        best_thresholds(*arguments)
    assert arguments == before
    assert capfd.readouterr() == ("", "")
    assert not caplog.records


@pytest.mark.parametrize(
    ("results", "words"),
    [(found((5, 7, A, 0.9)), ("image_id", "5")), (found((1, 4, A, 0.9)), ("category_id", "4"))],
)
@pytest.mark.parametrize("function", [score, best_thresholds])
def test_results_of_another_set_are_refused(function, results, words):
    with pytest.raises(InputError) as caught:
        function(truth((1, 7, A, 0)), results)
    assert all(word in str(caught.value) for word in words)


def test_two_categories_of_one_name_are_refused():
    ground_truth = truth((1, 7, A, 0))
    ground_truth["categories"][1]["name"] = "cat"
    with pytest.raises(InputError, match="'cat'"):
        score(ground_truth, [])


@pytest.mark.skipif("MMMC_DATA" not in os.environ, reason="MMMC_DATA does not name a folder with the set bccd")
def test_ap_equals_pycocotools_on_blood_cells() -> None:
    file = Path(os.environ["MMMC_DATA"]) / "bccd" / "annotations" / "instances_val.json"
    truth = read_coco(file, file.parent.parent / "images", check_headers=False).to_coco()
    draw = np.random.default_rng(0)
    results = [
        {
            "image_id": entry["image_id"],
            "category_id": entry["category_id"],
            "bbox": [float(side * draw.uniform(0.8, 1.25)) for side in entry["bbox"]],
            "score": float(draw.random()),
        }
        for entry in truth["annotations"]
        for _ in range(2)
    ]
    theirs = COCO(str(file))
    evaluator = COCOeval(theirs, theirs.loadRes(results), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    ours = score(truth, results).numbers()
    assert list(ours.values()) == pytest.approx(list(evaluator.stats), abs=1e-9)
    assert 0.05 < evaluator.stats[0] < 0.95
