"""Rivals in turn, round after round, until their ratios are known."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch

from benchmarks.intervals import ENOUGH, paired_ratio
from benchmarks.result import Row

Rival = Callable[[], float]
"""Does its work once and says what that took, in the unit of its row."""


@dataclass(frozen=True)
class Effort:
    """How long is measured.

    Attributes:
        warmup: rounds that are not counted.
        least: rounds that are counted at least, whatever they take.
        most: rounds that are counted at most.
        seconds: no further round begins after this time, the warm-up counted in.
        within: half the interval of each ratio, as a share of it, at which it counts as known.
    """

    warmup: int = 1
    least: int = ENOUGH
    most: int = 40
    seconds: float = 60.0
    within: float = 0.02


def wait_for(device: torch.device) -> None:
    """Until the device has finished what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def timed(run: Callable[[], object], device: torch.device) -> Rival:
    """The seconds of a call, until the device has finished."""

    def rival() -> float:
        wait_for(device)
        began = time.perf_counter()
        run()
        wait_for(device)
        return time.perf_counter() - began

    return rival


def interleaved(
    rivals: Mapping[str, Rival], against: Mapping[str, str], effort: Effort, *, unit: str = "s"
) -> list[Row]:
    """Measure rivals in turn in each round of this process, so that whatever else the machine does hits all alike.

    Each round begins with another rival. Rounds end as `effort` says: when all ratios are known, or at a limit.

    Args:
        rivals: by the name of their row.
        against: for a row, the row that it is compared with.
        effort: when it is enough.
        unit: of what rivals say.
    """
    began = time.perf_counter()
    names = list(rivals)
    values: dict[str, list[float]] = {name: [] for name in names}
    for number in range(effort.warmup + effort.most):
        counted = number - effort.warmup
        if counted >= effort.least and (
            time.perf_counter() - began > effort.seconds or _known(values, against, effort)
        ):
            break
        first = number % len(names)
        for name in names[first:] + names[:first]:
            value = rivals[name]()
            if counted >= 0:
                values[name].append(round(value, 9))
    rounds, took = len(values[names[0]]), time.perf_counter() - began
    print(f"{', '.join(names)}: {rounds} rounds, {took:.0f} s", file=sys.stderr, flush=True)
    return [Row(name, tuple(values[name]), unit=unit, against=against.get(name, "")) for name in names]


def _known(values: Mapping[str, list[float]], against: Mapping[str, str], effort: Effort) -> bool:
    """Whether all ratios are known well enough; without any ratio the limits alone decide."""
    spreads = [paired_ratio(values[name], values[base]).spread for name, base in against.items()]
    return bool(spreads) and max(spreads) <= effort.within
