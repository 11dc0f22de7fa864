"""How much training fits into a budget. All contestants are given theirs by the same sum."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

WARM = 3
"""Steps that are not timed: the first ones choose kernels and fill caches."""

TIMED = 8
"""Steps that are."""

RESERVE = 0.95
"""Share of the budget that is planned for; the rest is for steps slower than those timed."""

TAKEN = (0.90, 1.05)
"""Shares of the budget between which a training must really have taken."""


def unit_seconds(times: Sequence[float], warm: int = WARM) -> float:
    """Seconds of a unit (a step, an epoch): the median of those timed, without the first `warm`, if others remain."""
    return statistics.median(times[warm:] or times)


def units_within(budget: float, unit: float) -> int:
    """Whole units of `unit` seconds that fit into the planned share of `budget` seconds; at least one."""
    return max(1, int(RESERVE * budget / unit))


def keeps(budget: float, seconds: float, unit: float) -> bool:
    """Whether a training of `seconds` may stand for the budget: nearly all of it, and hardly more.

    Where units are long, a training may end early for want of room for another one.
    """
    least, most = (share * budget for share in TAKEN)
    return seconds <= most and seconds + unit >= least
