"""Two results of one benchmark side by side."""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.intervals import Estimate, median, unpaired_ratio
from benchmarks.result import Result, Row, quantity, read
from mmmc.errors import InputError

PLACE = ("cpu", "cores", "threads", "devices", "system")
"""What makes a machine another one; other versions of Python and PyTorch are what one may want to compare."""

LEAST_MB = 10.0
"""Memory that grew by less than this is no finding: allocators jump."""


@dataclass(frozen=True)
class Change:
    """A row that both results have.

    Attributes:
        name: of the row.
        before, after: medians.
        unit: of both.
        ratio: after over before, with its interval; NaN where one of them is a single value.
        memory: the ratio of the memory; None where it was not measured.
        worse: whether time or memory grew by more than the threshold.
    """

    name: str
    before: float
    after: float
    unit: str
    ratio: Estimate
    memory: float | None
    worse: bool

    def __str__(self) -> str:
        medians = f"{quantity(self.before, self.unit)} → {quantity(self.after, self.unit)}"
        interval = (
            "" if math.isnan(self.ratio.low) else f" ({self.ratio.low:.3f} – {self.ratio.high:.3f}){self.ratio.reserve}"
        )
        memory = "" if self.memory is None else f", memory × {self.memory:.3f}"
        return f"{self.name}: {medians}, × {self.ratio.median:.3f}{interval}{memory}" + (
            ", WORSE" if self.worse else ""
        )


def main(arguments: Sequence[str]) -> int:
    """Print the rows side by side; 1 if one became worse."""
    parser = argparse.ArgumentParser("python -m benchmarks compare", description=__doc__)
    parser.add_argument("before", type=Path, metavar="A.json")
    parser.add_argument("after", type=Path, metavar="B.json")
    parser.add_argument("--threshold", type=float, default=1.1, help="ratio B / A up to which a row is as good (1.1)")
    parser.add_argument("--force", action="store_true", help="compare although the machines differ")
    config = parser.parse_args(arguments)
    if not config.threshold >= 1:
        raise InputError(f"--threshold is {config.threshold}; allowed: at least 1.")
    before, after = read(config.before), read(config.after)
    require_comparable(before, after, config.before, config.after)
    for difference in other_machine(before, after):
        if not config.force:
            raise InputError(
                f"{config.before} and {config.after} are of different machines: {difference}. --force compares."
            )
        print(f"Different machines: {difference}.")
    found = changes(before, after, config.threshold)
    if not found:
        raise InputError(f"{config.before} and {config.after} have no row in common.")
    for key in ("python", "torch", "torchvision"):
        if before.machine[key] != after.machine[key]:
            print(f"{key}: {before.machine[key]} → {after.machine[key]}")
    print("\n".join(map(str, found)))
    for one, other, file in ((before, after, config.before), (after, before, config.after)):
        for row in one.rows:
            known = other.row(row.name)
            if row.values and (known is None or not known.values):
                print(f"{row.name}: only in {file}")
    return int(any(change.worse for change in found))


def require_comparable(before: Result, after: Result, *files: Path) -> None:
    """Raise `InputError` where a comparison would mean nothing."""
    for name, field in (("benchmark", "benchmark"), ("sizes (--tiny)", "tiny")):
        if getattr(before, field) != getattr(after, field):
            raise InputError(
                f"{files[0]} and {files[1]} are of different {name}: "
                f"{getattr(before, field)!r} and {getattr(after, field)!r}; allowed: the same."
            )


def other_machine(before: Result, after: Result) -> list[str]:
    """In what the machines differ, in one sentence, or nothing."""
    pairs = [(key, before.machine.get(key), after.machine.get(key)) for key in PLACE]
    told = [f"{key} {one!r} and {other!r}" for key, one, other in pairs if one != other]
    return [", ".join(told)] if told else []


def changes(before: Result, after: Result, threshold: float) -> list[Change]:
    """The rows that both have, in the order of the second."""
    pairs = [(before.row(row.name), row) for row in after.rows if row.values]
    return [change(one, other, threshold) for one, other in pairs if one is not None and one.values]


def change(before: Row, after: Row, threshold: float) -> Change:
    """One row before and after. It is slower when even the low end of the interval lies beyond the threshold."""
    ratio = unpaired_ratio(after.values, before.values)
    worse = (ratio.median if math.isnan(ratio.low) else ratio.low) > threshold
    memory = None
    if before.memory_mb is not None and after.memory_mb is not None:
        memory = max(after.memory_mb, 1) / max(before.memory_mb, 1)  # below a MB nothing is known
        worse |= memory > threshold and after.memory_mb - before.memory_mb > LEAST_MB
    medians = median(before.values).median, median(after.values).median
    return Change(after.name, *medians, after.unit, ratio, memory, worse)
