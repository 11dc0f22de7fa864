"""How far a plan is done, and what the rest will take."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from mmmc.errors import InputError
from mmmc.study import failures, records
from mmmc.study.on_paper import GPU, gpu_hours
from mmmc.study.plan import Plan, Run
from mmmc.study.process import record_of


@dataclass(frozen=True)
class Status:
    """Runs of a plan, each in one of five states, in the order in which they are trained.

    Attributes:
        plan: whose they are.
        recorded: with a record of the same recipe.
        failed: with an error instead, which stands beside.
        ended: trained, and their record only lies in their folder yet: whoever waited for them was ended before.
        cut: begun and not ended; they go on from a checkpoint.
        missing: not begun.
        seconds: median of the recorded trainings on the same set; None without any.
        source: files of records that the median is of.
    """

    plan: Plan
    recorded: tuple[Run, ...]
    failed: tuple[tuple[Run, dict[str, Any]], ...]
    ended: tuple[Run, ...]
    cut: tuple[Run, ...]
    missing: tuple[Run, ...]
    seconds: float | None
    source: tuple[Path, ...]

    @property
    def ahead(self) -> tuple[Run, ...]:
        """What the next call of the plan trains."""
        return *self.cut, *self.missing

    def seconds_left(self, jobs: int) -> float | None:
        """With so many runs at a time, a cut run counted as a whole one; None where nothing was measured."""
        return None if self.seconds is None else math.ceil(len(self.ahead) / jobs) * self.seconds


def status(plan: Plan, out: str | Path) -> Status:
    """How far a plan is done.

    Args:
        plan: the plan.
        out: folder of the run folders, as given to `train_plan`.
    """
    known, failed = plan.recorded(), failures.load(plan.records)
    groups: dict[str, list[Run]] = {"recorded": [], "ended": [], "cut": [], "missing": []}
    broken = []
    for run in plan.runs():
        identity = run.identity
        if identity in known:
            groups["recorded"].append(run)
        elif identity in failed:
            broken.append((run, failed[identity]))
        elif record_of(Path(out), run.folder) is not None:
            groups["ended"].append(run)
        else:
            begun = (Path(out) / run.folder / "checkpoint.pt").is_file()
            groups["cut" if begun else "missing"].append(run)
    seconds = _seconds(plan, records.load(plan.records), plan.records) if plan.records.exists() else {}
    for path in [] if seconds else sorted(plan.records.parent.glob("*.jsonl")):
        # What was measured afterwards (`bccd_val.overlap.jsonl`) and what is no record does not count.
        with suppress(InputError):
            seconds |= _seconds(plan, [] if len(path.suffixes) > 1 else records.load(path), path)
    return Status(
        plan,
        failed=tuple(broken),
        seconds=median(second for found in seconds.values() for second in found) if seconds else None,
        source=tuple(seconds),
        **{name: tuple(runs) for name, runs in groups.items()},
    )


def _seconds(plan: Plan, known: Sequence[Mapping[str, Any]], path: Path) -> dict[Path, list[float]]:
    """Of the trainings on the plan's set, by their file; empty if there are none."""
    seconds = [record["seconds"] for record in known if record["set"] == plan.set]
    return {path: seconds} if seconds else {}


def words(found: Status, jobs: int) -> str:
    """A status as lines of text."""
    counts = (f"{len(getattr(found, name))} {name}" for name in ("recorded", "failed", "ended", "cut", "missing"))
    lines = [f"{found.plan.path}: {', '.join(counts)}"]
    for run, failure in found.failed:
        lines.append(f"  failed: {run.name}, seed {run.seed}: {failure['error']} ({failure['log']})")
    lines += [f"  ended, not recorded yet: {run.name}, seed {run.seed}" for run in found.ended]
    lines += [f"  cut: {run.name}, seed {run.seed}" for run in found.cut]
    lines += [f"  missing: {run.name}, seed {run.seed}" for run in found.missing]
    if found.ahead:
        lines.append(f"  {_left(found, jobs)}")
    return "\n".join(lines)


def _left(found: Status, jobs: int) -> str:
    left = found.seconds_left(jobs)
    if left is not None:
        assert found.seconds is not None
        others = [path.name for path in found.source if path != found.plan.records]
        where = f" of {', '.join(others)}" if others else ""
        return (
            f"left: about {duration(left)} with --jobs {jobs}; a recorded run on {found.plan.set}{where} took "
            f"{duration(found.seconds)} (median)"
        )
    hours = [gpu_hours(run.recipe) for run in found.ahead]
    told = [hour for hour in hours if hour is not None]
    if not told:
        return f"left: nothing is recorded on {found.plan.set}, so the time is not known"
    some = "" if len(told) == len(hours) else f" for the {len(told)} runs that say their iterations"
    return f"left: nothing is recorded on {found.plan.set}; on paper {sum(told):.0f} hours of one {GPU}{some}"


def duration(seconds: float) -> str:
    """Seconds, minutes or hours, whichever reads best."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"
