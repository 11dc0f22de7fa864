"""Scores and overlaps that go together, and scores that promise too much."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import rankdata

from mmmc.misalignment.calibration import BINS, calibration_error, rank_correlation, trust

from .sets import box, coco, object, prepared


def test_calibration_error_by_hand() -> None:
    # 0.81 and 0.83 share a bin: mean 0.82, one hit of two. 0.3 is alone, without a hit. 1.0 counts to the last bin.
    error, bins = calibration_error(np.array([0.81, 0.83, 0.3, 1.0]), np.array([1.0, 0.0, 0.0, 1.0]))
    assert error == pytest.approx((2 * 0.32 + 0.3 + 0) / 4)
    assert [part.detections for part in bins if part.detections] == [1, 2, 1]
    assert (bins[16].low, bins[16].high) == pytest.approx((0.8, 0.85))
    assert (bins[16].score, bins[16].precision) == pytest.approx((0.82, 0.5))
    assert len(bins) == BINS
    assert math.isnan(calibration_error(np.zeros(0), np.zeros(0))[0])


def test_rank_correlation_is_spearman_s() -> None:
    draw = np.random.default_rng(0)
    first, second = draw.integers(0, 5, 40).astype(float), draw.random(40)
    ranks = np.corrcoef(rankdata(first), rankdata(second))[0, 1]
    assert rank_correlation(first, second) == pytest.approx(ranks)
    # Mean ranks 1½ 1½ 3 4 against 1 2 3 4.
    assert rank_correlation(np.array([1.0, 1, 2, 3]), np.array([1.0, 2, 3, 4])) == pytest.approx(4.5 / 22.5**0.5)
    assert rank_correlation(np.arange(5.0), np.arange(5.0) ** 3) == pytest.approx(1)
    assert math.isnan(rank_correlation(np.zeros(5), second[:5]))
    assert math.isnan(rank_correlation(first[:2], second[:2]))


def test_of_detections() -> None:
    # Three objects are found with overlaps 1, 0.8 and 0.6 and scores in that order; a false positive is surer still,
    # and one in a crowd region does not count.
    truth = coco([*(object(100 * k, 0, 50, 100) for k in range(3)), object(0, 300, 90, 90, crowd=True)])
    found = [box(0.9 - 0.1 * k, 100 * k, 0, 50, 100 - 20 * k) for k in range(3)]
    results = [*found, box(0.95, 350, 200, 20, 20), box(0.99, 10, 310, 20, 20)]
    rows, boxes, pairs, verdicts = prepared(truth, results)
    seen = trust(boxes, rows, verdicts(0.5), pairs)
    assert seen.correlation_true == pytest.approx(1)
    # Overlaps 0, 1, 0.8, 0.6 from the best score on: ranks 1 4 3 2 against 4 3 2 1.
    assert seen.correlation_all == pytest.approx(-0.2)
    assert seen.error == pytest.approx((0.1 + 0.2 + 0.3 + 0.95) / 4)
    assert sum(part.detections for part in seen.bins) == 4


@pytest.mark.parametrize("scores", [(90, 70, 50), (3.2, 0.5, 0.4), (-0.1, 0.5, 0.4)])
def test_what_is_no_probability_has_no_calibration_error(scores: tuple[float, ...]) -> None:
    truth = coco([object(100 * k, 0, 50, 100) for k in range(3)])
    results = [box(score, 100 * k, 0, 50, 100 - 20 * k) for k, score in enumerate(scores)]
    rows, boxes, pairs, verdicts = prepared(truth, results)
    seen = trust(boxes, rows, verdicts(0.5), pairs)
    assert math.isnan(seen.error)
    assert math.isnan(seen.error_confident)
    assert seen.bins == ()
    assert not math.isnan(seen.correlation_true)


def test_a_score_that_was_rounded_over_1_is_a_probability() -> None:
    rows, boxes, pairs, verdicts = prepared(coco([object(0, 0, 50, 50)]), [box(1 + 2**-23, 0, 0, 50, 50)])
    assert trust(boxes, rows, verdicts(0.5), pairs).error == pytest.approx(0, abs=1e-6)
