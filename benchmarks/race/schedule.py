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


def unit_seconds(times: Sequence[float], warm: int = WARM) -> float:
    """Seconds of a unit (a step, an epoch): the median of those timed, without the first `warm`, if others remain."""
    return statistics.median(times[warm:] or times)


def units_within(budget: float, unit: float) -> int:
    """Whole units of `unit` seconds that fit into the planned share of `budget` seconds; at least one."""
    return max(1, int(RESERVE * budget / unit))
