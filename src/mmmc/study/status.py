"""How far a plan is done, and what the rest will take."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from mmmc.study import failures
from mmmc.study.on_paper import GPU, gpu_hours
from mmmc.study.plan import Plan, Run


@dataclass(frozen=True)
class Status:
    """Runs of a plan, each in one of four states, in the order in which they are trained.

    Attributes:
        plan: whose they are.
        recorded: with a record of the same recipe.
        failed: with an error instead, which stands beside.
        cut: begun and not ended; they go on from a checkpoint.
        missing: not begun.
        seconds: median of the recorded trainings on the same set; None without any.
    """

    plan: Plan
    recorded: tuple[Run, ...]
    failed: tuple[tuple[Run, dict[str, Any]], ...]
    cut: tuple[Run, ...]
    missing: tuple[Run, ...]
    seconds: float | None

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
    groups: dict[str, list[Run]] = {"recorded": [], "cut": [], "missing": []}
    broken = []
    for run in plan.runs():
        identity = run.identity
        if identity in known:
            groups["recorded"].append(run)
        elif identity in failed:
            broken.append((run, failed[identity]))
        else:
            begun = (Path(out) / run.folder / "checkpoint.pt").is_file()
            groups["cut" if begun else "missing"].append(run)
    seconds = [record["seconds"] for record in known.values() if record["set"] == plan.set]
    return Status(
        plan,
        failed=tuple(broken),
        seconds=median(seconds) if seconds else None,
        **{name: tuple(runs) for name, runs in groups.items()},
    )


def words(found: Status, jobs: int) -> str:
    """A status as lines of text."""
    counts = (f"{len(getattr(found, name))} {name}" for name in ("recorded", "failed", "cut", "missing"))
    lines = [f"{found.plan.path}: {', '.join(counts)}"]
    for run, failure in found.failed:
        lines.append(f"  failed: {run.name}, seed {run.seed}: {failure['error']} ({failure['log']})")
    lines += [f"  cut: {run.name}, seed {run.seed}" for run in found.cut]
    lines += [f"  missing: {run.name}, seed {run.seed}" for run in found.missing]
    if found.ahead:
        lines.append(f"  {_left(found, jobs)}")
    return "\n".join(lines)


def _left(found: Status, jobs: int) -> str:
    left = found.seconds_left(jobs)
    if left is not None:
        assert found.seconds is not None
        return (
            f"left: about {duration(left)} with --jobs {jobs}; a recorded run on {found.plan.set} took "
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
