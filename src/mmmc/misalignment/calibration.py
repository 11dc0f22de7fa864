"""Whether a score says how good a box is: rank correlation with the overlap, and calibration."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.stats import spearmanr

from mmmc.misalignment.arrays import Boxes, Overlaps, Truth
from mmmc.misalignment.flags import Flags

BINS = 20
CONFIDENT = 0.3
"""Least score of the second calibration error, which the crowd of faint detections does not decide."""


_ROUNDING = 1e-6
"""By less than this a probability in single precision may lie beyond 0 or 1; it counts to the outer bins."""


@dataclass(frozen=True)
class Bin:
    """Detections of nearly one score.

    Attributes:
        low, high: bounds of the score.
        detections: how many.
        score: their mean score; NaN without any.
        precision: share of them that found an object; NaN without any.
    """

    low: float
    high: float
    detections: int
    score: float
    precision: float


@dataclass(frozen=True)
class Trust:
    """How far the scores can be trusted. Detections that COCO ignores are left out; a hit is COCO's at IoU 0.5.

    Attributes:
        correlation_true: Spearman's rank correlation of score and overlap over the detections that found an object.
        correlation_all: the same over all, with the greatest overlap with an object of the class, 0 where none is.
        error: D-ECE over the score alone with `BINS` bins (Küppers et al. 2020): the mean of |score − precision| of
            the bins, weighed by their detections.
        error_confident: the same over detections of score `CONFIDENT` or more.
        bins: of the scores from 0 to 1.

    Where a score lies below 0 or above 1, scores are no probabilities: both errors are NaN, and there are no bins.
    """

    correlation_true: float
    correlation_all: float
    error: float
    error_confident: float
    bins: tuple[Bin, ...]

    @property
    def probable(self) -> bool:
        """Whether the scores may be probabilities."""
        return bool(self.bins)


def trust(boxes: Boxes, truth: Truth, flags: Flags, pairs: Overlaps) -> Trust:
    """How score and overlap go together.

    Args:
        boxes: detections.
        truth: the objects.
        flags: COCO's verdict on the detections at IoU 0.5, all sizes.
        pairs: overlaps of detections and objects.
    """
    same = flags.counted[pairs.object] & (boxes.label[pairs.box] == truth.label[pairs.object])
    best = np.zeros(len(boxes))
    np.maximum.at(best, pairs.box[same], pairs.iou[same])
    hit = flags.true[pairs.box] & (flags.object[pairs.box] == pairs.object)
    kept = ~flags.ignored
    score, true = boxes.score[kept], flags.true[kept].astype(np.float64)
    error = error_confident = math.nan
    bins: tuple[Bin, ...] = ()
    if ((score >= -_ROUNDING) & (score <= 1 + _ROUNDING)).all():
        error, bins = calibration_error(score, true)
        confident = score >= CONFIDENT
        error_confident, _ = calibration_error(score[confident], true[confident])
    return Trust(
        correlation_true=rank_correlation(boxes.score[pairs.box[hit]], pairs.iou[hit]),
        correlation_all=rank_correlation(score, best[kept]),
        error=error,
        error_confident=error_confident,
        bins=bins,
    )


def calibration_error(
    score: Float64[np.ndarray, " n"], true: Float64[np.ndarray, " n"]
) -> tuple[float, tuple[Bin, ...]]:
    """D-ECE of scores from 0 to 1, and its bins; NaN without detections."""
    place = np.floor(score * BINS).clip(0, BINS - 1).astype(np.int64)
    count, scores, hits = (np.bincount(place, weights=w, minlength=BINS) for w in (None, score, true))
    bins, error = [], 0.0
    for number in range(BINS):
        some = int(count[number])
        mean, precision = (scores[number] / some, hits[number] / some) if some else (np.nan, np.nan)
        error += abs(mean - precision) * some if some else 0.0
        bins.append(Bin(number / BINS, (number + 1) / BINS, some, float(mean), float(precision)))
    return (float(error / len(score)) if len(score) else float("nan")), tuple(bins)


def rank_correlation(first: Float64[np.ndarray, " n"], second: Float64[np.ndarray, " n"]) -> float:
    """Spearman's correlation, ties at their mean rank; NaN below three values, or where one side is all equal."""
    if len(first) < 3 or (first == first[0]).all() or (second == second[0]).all():
        return float("nan")
    return float(spearmanr(first, second).statistic)
