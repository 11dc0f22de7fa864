"""Medians, their ratios, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

RESAMPLES = 2000
"""Bootstrap samples behind each interval; their generator begins with 0, so the same values give the same interval."""

COVERAGE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A median with its interval of 95 %; from a single value the interval is unknown, which is NaN."""

    median: float
    low: float
    high: float

    def inverse(self) -> Estimate:
        """The estimate of one over the number."""
        return Estimate(1 / self.median, 1 / self.high, 1 / self.low)

    def times(self, factor: float) -> Estimate:
        """The estimate of the number times a factor above 0."""
        return Estimate(self.median * factor, self.low * factor, self.high * factor)

    @property
    def spread(self) -> float:
        """Half the interval as a share of the median; infinite where it is unknown."""
        return (self.high - self.low) / 2 / self.median if math.isfinite(self.low) and self.median else math.inf


def median(values: Sequence[float]) -> Estimate:
    """The median of values, by bootstrap."""
    return _estimate(np.asarray(values), np.asarray(values)[_draws(len(values), 0)])


def paired_ratio(values: Sequence[float], base: Sequence[float]) -> Estimate:
    """The median over rounds of the ratio of two values of the same round; rounds are resampled."""
    return median((np.asarray(values) / np.asarray(base)).tolist())


def unpaired_ratio(values: Sequence[float], base: Sequence[float]) -> Estimate:
    """The ratio of the medians of two measurements that have nothing in common; each is resampled by itself."""
    upper, lower = np.asarray(values), np.asarray(base)
    drawn = [np.median(side[_draws(len(side), seed)], axis=1) for seed, side in enumerate((upper, lower))]
    known = len(upper) > 1 and len(lower) > 1
    low, high = _quantiles(drawn[0] / drawn[1]) if known else (math.nan, math.nan)
    return Estimate(float(np.median(upper) / np.median(lower)), low, high)


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The first and the third quartile."""
    low, high = np.quantile(values, (0.25, 0.75))
    return float(low), float(high)


def _estimate(values: np.ndarray, resampled: np.ndarray) -> Estimate:
    low, high = _quantiles(np.median(resampled, axis=1)) if len(values) > 1 else (math.nan, math.nan)
    return Estimate(float(np.median(values)), low, high)


def _quantiles(values: np.ndarray) -> tuple[float, float]:
    low, high = np.quantile(values, ((1 - COVERAGE) / 2, (1 + COVERAGE) / 2))
    return float(low), float(high)


def _draws(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
