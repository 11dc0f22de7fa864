"""Two detectors on the same pictures: COCO's numbers of both, and how sure their difference is.

Which detections are right is asked once, of COCO's evaluation. A resample of the pictures then only weighs them: COCO
matches within a picture, so a picture that is drawn twice counts twice with the same matches.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from mmmc.errors import InputError
from mmmc.misalignment.arrays import Boxes, Truth, overlaps
from mmmc.misalignment.curve import RECALLS, by_class
from mmmc.misalignment.flags import AREAS, MOST, SIZES, THRESHOLDS, Verdicts, to_find

RESAMPLES = 1000

MEASURES: dict[str, tuple[slice, str]] = {
    "AP": (slice(None), "all"),
    "AP50": (slice(0, 1), "all"),
    "AP75": (slice(5, 6), "all"),
    "APs": (slice(None), "small"),
    "APm": (slice(None), "medium"),
    "APl": (slice(None), "large"),
}
"""IoU thresholds and objects of each measure."""

_CELLS = 2**21
"""So many weights of detections are summed at once, which bounds the memory."""


@dataclass(frozen=True)
class Measure:
    """One measure of both detectors, as fractions; NaN without objects.

    Attributes:
        first, second: on the pictures as they are.
        difference: second − first.
        low, high: between which 95 % of the resamples' differences lie; NaN where all objects lie in one picture, which
            each resample has whole or not at all, so that it says nothing of other pictures.
    """

    first: float
    second: float
    difference: float
    low: float
    high: float


@dataclass(frozen=True)
class Versus:
    """A comparison of two detectors.

    Attributes:
        pictures: how many.
        resamples: of the pictures, as many each, drawn with replacement.
        seed: of the drawing.
        measures: by name, over all classes.
        classes: the same of each class.
    """

    pictures: int
    resamples: int
    seed: int
    measures: Mapping[str, Measure]
    classes: Mapping[str, Mapping[str, Measure]]

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON: None instead of NaN."""
        return {
            "pictures": self.pictures,
            "resamples": self.resamples,
            "seed": self.seed,
            "measures": _plain(self.measures),
            "classes": {name: _plain(measures) for name, measures in self.classes.items()},
        }


def versus(
    ground_truth: Mapping[str, Any],
    first: Sequence[Mapping[str, Any]],
    second: Sequence[Mapping[str, Any]],
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> Versus:
    """Compare two detectors by a bootstrap over pictures, paired: both are scored on each resample.

    Args:
        ground_truth: COCO dictionary, see `mmmc.evaluate`.
        first: COCO results of one detector, of its pictures and categories.
        second: of the other.
        resamples: how many.
        seed: of the drawing.

    Raises:
        InputError: there is no picture, or results name a picture or category that the ground truth does not have.
    """
    truth = Truth.from_coco(ground_truth)
    count = len(truth.image_ids)
    if count == 0:
        raise InputError("There is no picture to compare on. Allowed: at least one.")
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), size=resamples)
    # The first row is the pictures as they are.
    weights = np.concatenate([np.ones((1, count), dtype=np.int64), drawn])
    precisions = [weighted_precisions(truth, results, weights) for results in (first, second)]
    measures: dict[str, Measure] = {}
    classes: dict[str, dict[str, Measure]] = {name: {} for name in truth.names}
    for measure, (thresholds, size) in MEASURES.items():
        per_class = [values[:, :, thresholds, SIZES.index(size)].mean(axis=2) for values in precisions]
        objects = to_find(truth, size)
        first_mean, second_mean = map(_mean_of_classes, per_class)
        measures[measure] = _measure(first_mean, second_mean, truth.picture[objects])
        for index, name in enumerate(truth.names):
            own = truth.picture[objects & (truth.label == index)]
            one, other = (values[:, index] for values in per_class)
            classes[name][measure] = _measure(one, other, own)
    return Versus(count, resamples, seed, measures, classes)


def weighted_precisions(
    truth: Truth, results: Sequence[Mapping[str, Any]], weights: Int64[np.ndarray, "R I"]
) -> Float64[np.ndarray, "R C T S"]:
    """Average precision where each picture counts as often as its weight says; NaN without objects.

    Args:
        truth: the objects.
        results: COCO results.
        weights: of the pictures, in the order of `truth.image_ids`.

    Returns:
        For each row of weights, class, IoU threshold, and size of objects.
    """
    boxes = Boxes.from_coco(results, truth)
    boxes = boxes[boxes.first(MOST, by_class=True)]
    verdicts = Verdicts(boxes, truth, overlaps(boxes, truth))
    classes = len(truth.names)
    rows, _ = by_class(boxes.label, boxes.score, classes)
    found = np.full((len(weights), classes, len(THRESHOLDS), len(AREAS)), np.nan)
    for place, size in enumerate(SIZES):
        for at, threshold in enumerate(THRESHOLDS):
            flags = verdicts(threshold, size)
            for index in range(classes):
                own = rows[index][~flags.ignored[rows[index]]]
                objects = truth.picture[flags.counted & (truth.label == index)]
                found[:, index, at, place] = _average_precision(
                    flags.true[own], boxes.picture[own], weights, weights[:, objects].sum(axis=1)
                )
    return found


def _average_precision(
    true: Bool[np.ndarray, " n"],
    picture: Int64[np.ndarray, " n"],
    weights: Int64[np.ndarray, "R I"],
    objects: Int64[np.ndarray, " R"],
) -> Float64[np.ndarray, " R"]:
    """As `mmmc.misalignment.curve.average_precision`, for each row of weights.

    Copies of a true detection raise precision with recall, so what the curve has between them is never its best.
    """
    found = np.full(len(weights), np.nan)
    step = max(1, _CELLS // max(1, len(true)))
    for start in range(0, len(weights), step):
        part = slice(start, start + step)
        own = weights[part, picture]
        # The curve falls at false detections, so its best values are at true ones.
        hits = own[:, true].cumsum(axis=1)
        precision = hits / np.maximum(own.cumsum(axis=1)[:, true], 1)
        envelope = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        envelope = np.concatenate([envelope, np.zeros((len(own), 1))], axis=1)
        for row, total in enumerate(objects[part]):
            if total:
                at = np.searchsorted(hits[row] / total, RECALLS)
                found[start + row] = envelope[row, at].mean()
    return found


def _mean_of_classes(values: Float64[np.ndarray, "R C"]) -> Float64[np.ndarray, " R"]:
    """Over classes with objects; NaN without any."""
    count = np.isfinite(values).sum(axis=1)
    return np.where(count > 0, np.nansum(values, axis=1) / np.maximum(count, 1), np.nan)


def _measure(
    first: Float64[np.ndarray, " R"], second: Float64[np.ndarray, " R"], pictures: Int64[np.ndarray, " M"]
) -> Measure:
    """Of both detectors' values on the pictures as they are and on resamples; `pictures` are those of the objects."""
    differences = second - first
    defined = differences[1:][np.isfinite(differences[1:])]
    told = len(defined) and len(np.unique(pictures)) > 1
    low, high = np.quantile(defined, (0.025, 0.975)).tolist() if told else (math.nan, math.nan)
    return Measure(float(first[0]), float(second[0]), float(differences[0]), low, high)


def _plain(measures: Mapping[str, Measure]) -> dict[str, dict[str, float | None]]:
    return {
        name: {key: None if math.isnan(value) else value for key, value in asdict(measure).items()}
        for name, measure in measures.items()
    }
