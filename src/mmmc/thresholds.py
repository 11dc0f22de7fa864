"""Which detections to keep: the score threshold of best F1, class by class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmmc.data.coco import CocoSet
from mmmc.evaluate import count_objects, evaluator, to_results
from mmmc.predictor import Predictor, scored_batches

DEFAULT_THRESHOLD = 0.5
"""Score threshold of a class that offers nothing to choose one by."""


@dataclass(frozen=True)
class Threshold:
    """A score threshold of one class and what keeping detections of at least this score gives."""

    score: float
    f1: float
    precision: float
    recall: float


def thresholds_of(
    predictor: Predictor, pictures: CocoSet, *, batch_size: int = 8, told: Callable[[int], object] = lambda _: None
) -> dict[int, Threshold]:
    """`best_thresholds` of a detector on a set.

    Args:
        predictor: the detector.
        pictures: a set with its categories.
        batch_size: pictures at once.
        told: called after each batch with the number of its pictures.

    Raises:
        InputError: a picture cannot be read.
    """
    found = []
    for batch in scored_batches(predictor, pictures, batch_size):
        found += predictor.detect(batch)
        told(len(batch.targets))
    return best_thresholds(pictures.to_coco(), to_results(found, predictor.categories.ids))


def best_thresholds(
    ground_truth: dict[str, Any], results: list[dict[str, Any]], iou: float = 0.5
) -> dict[int, Threshold]:
    """The score threshold with the best F1 for each class index, the higher one where two are equal.

    Detections are matched as COCO does, but without a limit on their number; those matched to a crowd region
    count neither way. COCO matches in order of score, so the matches of the detections above a threshold do
    not depend on those below it. A class without a match (no objects, no detections, or all of them beside
    the objects) gets `DEFAULT_THRESHOLD` with F1, precision and recall 0.

    Args:
        ground_truth: COCO dictionary, as in `mmmc.evaluate`.
        results: COCO results.
        iou: least IoU of a match.

    Raises:
        InputError: the results name a picture or category that the ground truth does not have.
    """
    coco = evaluator(ground_truth, results)
    coco.params.iouThrs = np.array([iou])
    coco.params.areaRng, coco.params.areaRngLbl = coco.params.areaRng[:1], ["all"]
    coco.params.maxDets = [max(len(results), 1)]
    coco.evaluate()
    coco.accumulate()

    counts, hit = np.ones(len(results), dtype=bool), np.zeros(len(results), dtype=bool)
    for match in coco.eval["matched"]:
        detection, annotation = (int(number) - 1 for number in match.split("_"))
        crowd = bool(ground_truth["annotations"][annotation]["iscrowd"])
        counts[detection], hit[detection] = not crowd, not crowd

    scores = np.array([result["score"] for result in results], dtype=float)
    categories = np.array([result["category_id"] for result in results], dtype=int)
    objects = count_objects(ground_truth)
    best = {}
    for index, category in enumerate(ground_truth["categories"]):
        chosen = counts & (categories == category["id"])
        best[index] = _best_threshold(scores[chosen], hit[chosen], objects[category["id"]])
    return best


def _best_threshold(scores: np.ndarray, hit: np.ndarray, objects: int) -> Threshold:
    if not hit.any():
        return Threshold(DEFAULT_THRESHOLD, 0.0, 0.0, 0.0)
    order = np.argsort(-scores, kind="stable")
    scores, hit = scores[order], hit[order]
    # A threshold keeps all detections of one score or none, so only the last of each score is a place to cut.
    kept = np.flatnonzero(np.append(scores[1:] < scores[:-1], True)) + 1
    true = hit.cumsum()[kept - 1]
    f1 = 2 * true / (kept + objects)
    best = int(f1.argmax())
    return Threshold(
        score=float(scores[kept[best] - 1]),
        f1=float(f1[best]),
        precision=float(true[best] / kept[best]),
        recall=float(true[best] / objects),
    )
