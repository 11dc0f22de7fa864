"""Medians, their ratios, and how sure they are."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

RESAMPLES = 2000
"""Bootstrap samples behind an unpaired ratio; their generator begins with 0: the same values give the same interval."""

COVERAGE = 0.95
"""How often an interval is to hold what it is of."""

ENOUGH = 6
"""Fewest values whose interval can: the median lies outside of all of them once in 2⁵ times."""


@dataclass(frozen=True)
class Estimate:
    """A median with its interval; from a single value the interval is unknown, which is NaN.

    Attributes:
        median: of the values.
        low, high: ends of the interval.
        coverage: how often such intervals hold the median of what the values are drawn from: `COVERAGE`, or less where
            there are too few values for it.
    """

    median: float
    low: float
    high: float
    coverage: float = COVERAGE

    def inverse(self) -> Estimate:
        """The estimate of one over the number."""
        return replace(self, median=1 / self.median, low=1 / self.high, high=1 / self.low)

    def times(self, factor: float) -> Estimate:
        """The estimate of the number times a factor above 0."""
        return replace(self, median=self.median * factor, low=self.low * factor, high=self.high * factor)

    @property
    def spread(self) -> float:
        """Half the interval as a share of the median; infinite where it is unknown."""
        return (self.high - self.low) / 2 / self.median if math.isfinite(self.low) and self.median else math.inf

    @property
    def reserve(self) -> str:
        """The coverage for readers, to stand behind the interval, where it is less than what intervals are to have."""
        return "" if self.coverage >= COVERAGE else f" ({100 * self.coverage:.0f} %)"


def median(values: Sequence[float]) -> Estimate:
    """The median of values, between two of them.

    The median of what they are drawn from lies below the lowest k of n with the chance that k or fewer of n coins show
    heads, whatever the law. So as many are left out at both ends as leaves `COVERAGE`; of fewer than six, none can be.
    """
    middle, count = float(np.median(values)), len(values)
    if count < 2:
        return Estimate(middle, math.nan, math.nan)
    tails = 2 * np.cumsum([math.comb(count, k) / 2**count for k in range(count)])
    out = max(0, int(np.searchsorted(tails, 1 - COVERAGE, side="right")) - 1)
    ordered = sorted(values)
    return Estimate(middle, ordered[out], ordered[-1 - out], min(COVERAGE, 1 - float(tails[out])))


def paired_ratio(values: Sequence[float], base: Sequence[float]) -> Estimate:
    """The median over rounds of the ratio of two values of the same round."""
    return median((np.asarray(values) / np.asarray(base)).tolist())


def unpaired_ratio(values: Sequence[float], base: Sequence[float]) -> Estimate:
    """The ratio of the medians of two measurements that have nothing in common; each is resampled by itself."""
    sides = np.asarray(values), np.asarray(base)
    upper, lower = sides
    ratio = float(np.median(upper) / np.median(lower))
    if min(map(len, sides)) < 2:
        return Estimate(ratio, math.nan, math.nan)
    drawn = [np.median(side[_draws(len(side), seed)], axis=1) for seed, side in enumerate(sides)]
    low, high = np.quantile(drawn[0] / drawn[1], ((1 - COVERAGE) / 2, (1 + COVERAGE) / 2))
    return Estimate(ratio, float(low), float(high), min(median(side.tolist()).coverage for side in sides))


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The first and the third quartile."""
    low, high = np.quantile(values, (0.25, 0.75))
    return float(low), float(high)


def _draws(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))
