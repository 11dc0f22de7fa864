"""The loop of a plan: what is missing is trained, each record is kept as it comes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmmc.errors import InputError
from mmmc.files import require_writable, write_text
from mmmc.recipe import to_yaml
from mmmc.study import failures, records
from mmmc.study.plan import Plan, Run
from mmmc.study.process import TAKEN, log_of, recipe_of, record_of
from mmmc.study.workers import Workers


def train_plan(
    plan: Plan,
    workers: Workers,
    *,
    time_budget: float | None = None,
    cut_after: float | None = None,
    retry: bool = False,
    say: Callable[[str], None] = print,
) -> bool:
    """Train what is missing, and write each record as it comes.

    A run that was cut is resumed from its folder, after whatever ended it or this process. A run that fails is noted
    (`mmmc.study.failures`) and does not hold up the others. One that another process trains is left out.

    Args:
        plan: what is to be trained.
        workers: where. None of its runs is left there at the end, however this ends.
        time_budget: seconds after which no run is begun that, by the slowest so far, would end later. So far is: of
            the records of the plan's set and of this call; without a record nothing is known of the first runs.
        cut_after: seconds after which runs are cut; the next time they go on after their last finished epoch.
        retry: try runs again that failed before.
        say: told what begins and ends.

    Returns:
        Whether no run failed, now or before.

    Raises:
        InputError: records or run folders cannot be written; nothing has begun.
    """
    require_writable(plan.records)
    try:
        workers.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{workers.out} cannot hold run folders: {error.strerror}.") from error
    began, sound = time.perf_counter(), True
    slowest = max((record["seconds"] for record in plan.recorded().values() if record["set"] == plan.set), default=0.0)
    waiting = plan.missing()
    say(f"{plan.path}: {len(plan.runs()) - len(waiting)} runs are recorded, {len(waiting)} to do.")
    failed = failures.load(plan.records)
    if not retry and any(run.identity in failed for run in waiting):
        waiting, before = [run for run in waiting if run.identity not in failed], len(waiting)
        say(f"{before - len(waiting)} of them failed before and are left out; --retry tries them again.")
        sound = False
    active: dict[str, float] = {}
    try:
        while waiting or active:
            gone = time.perf_counter() - began
            if cut_after is not None and gone >= cut_after:
                say(f"time is up: {len(active)} runs are cut, {len(waiting)} not begun; the same command goes on.")
                break
            late = time_budget is not None and gone + slowest > time_budget
            while waiting and len(active) < workers.places() and not late:
                run = waiting.pop(0)
                record = record_of(workers.out, run.folder)
                if record is not None:
                    # It ended, and whoever waited for it was ended before its record was kept.
                    _keep(plan, run, record, say)
                    continue
                say(f"begins: {run.name}, seed {run.seed}")
                write_recipe(run, workers.out)
                workers.begin(run)
                active[run.folder] = time.perf_counter()
            if late and not active:
                say(f"{len(waiting)} runs are left for want of time.")
                break
            for run, outcome in workers.ended():
                slowest = max(slowest, time.perf_counter() - active.pop(run.folder))
                if not isinstance(outcome, str):
                    _keep(plan, run, outcome, say)
                    continue
                if outcome == TAKEN:
                    say(f"another process trains {run.name}, seed {run.seed}; it is left out.")
                    continue
                sound = False
                log = log_of(workers.out, run.folder)
                failures.note(plan.records, run.identity, outcome, log)
                say(f"failed: {run.name}, seed {run.seed}: {outcome}; see {log}")
    finally:
        workers.stop()
    return sound


def write_recipe(run: Run, out: Path) -> None:
    """Write what a run begins with."""
    write_text(recipe_of(out, run.folder), to_yaml(run.recipe))


def _keep(plan: Plan, run: Run, record: dict[str, Any], say: Callable[[str], None]) -> None:
    records.append(plan.records, {**record, "name": run.name, "set": run.set})
    failures.forget(plan.records, run.identity)
    ap = record["metrics"]["AP"]
    say(f"ended: {run.name}, seed {run.seed}: AP {'–' if ap is None else f'{100 * ap:.1f}'}")
