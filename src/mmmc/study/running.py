"""Runs of a plan as processes: begun, cut, resumed, recorded."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmmc.files import write_text
from mmmc.recipe import to_yaml
from mmmc.study import failures, records
from mmmc.study.plan import Plan, Run

BEFORE_TRAINING = ("recipe.yaml", "environment.json", "repairs.jsonl", "checkpoint.pt")
"""Files that a run writes before its first step; a checkpoint is the last of them."""

PATIENCE = 30.0
"""Seconds that a run has to end when it is told to."""


@dataclass
class _Job:
    run: Run
    process: subprocess.Popen[bytes]
    began: float = field(default_factory=time.perf_counter)

    def end(self) -> None:
        """End it with all processes that it began, by force if it takes too long, and wait until it is gone."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
                break
        self.close()

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()


def train_plan(
    plan: Plan,
    out: str | Path,
    *,
    jobs: int = 1,
    threads: int = 1,
    time_budget: float | None = None,
    cut_after: float | None = None,
    retry: bool = False,
    say: Callable[[str], None] = print,
) -> bool:
    """Train what is missing, each run in a process of its own, and write each record as it comes.

    A run that was cut is resumed from its folder, after whatever ended it or this process. A run that fails is noted
    (`mmmc.study.failures`) and does not hold up the others.

    Args:
        plan: what is to be trained.
        out: folder of the run folders.
        jobs: runs at a time.
        threads: of each.
        time_budget: seconds after which no run is begun that, by the slowest so far, would end later.
        cut_after: seconds after which runs are cut; the next time they go on after their last finished epoch.
        retry: try runs again that failed before.
        say: told what begins and ends.

    Returns:
        Whether no run failed.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    began, slowest, sound = time.perf_counter(), 0.0, True
    waiting = plan.missing()
    say(f"{plan.path}: {len(plan.runs()) - len(waiting)} runs are recorded, {len(waiting)} to do.")
    failed = failures.load(plan.records)
    if not retry and any(run.identity in failed for run in waiting):
        waiting, before = [run for run in waiting if run.identity not in failed], len(waiting)
        say(f"{before - len(waiting)} of them failed before and are left out; --retry tries them again.")
    active: list[_Job] = []
    try:
        while waiting or active:
            gone = time.perf_counter() - began
            if cut_after is not None and gone >= cut_after:
                say(f"time is up: {len(active)} runs are cut, {len(waiting)} not begun; the same command goes on.")
                break
            late = time_budget is not None and gone + slowest > time_budget
            while waiting and len(active) < jobs and not late:
                run = waiting.pop(0)
                if (out / run.folder / "record.json").is_file():
                    # It ended, and whoever waited for it was ended before its record was kept.
                    _keep(plan, run, out, say)
                    continue
                say(f"begins: {run.name}, seed {run.seed}")
                active.append(_Job(run, _start(run, out, threads)))
            if late and not active:
                say(f"{len(waiting)} runs are left for want of time.")
                break
            for job in _ended(active):
                active.remove(job)
                job.close()
                slowest = max(slowest, time.perf_counter() - job.began)
                if job.process.returncode == 0:
                    _keep(plan, job.run, out, say)
                else:
                    sound = False
                    log = out / f"{job.run.folder}.log"
                    error = _error(job.process.returncode, log)
                    failures.note(plan.records, job.run.identity, error, log)
                    say(f"failed: {job.run.name}, seed {job.run.seed}: {error}; see {log}")
            time.sleep(0.2)
    finally:
        for job in active:
            job.end()
    return sound


def _ended(active: Sequence[_Job]) -> Iterator[_Job]:
    return (job for job in list(active) if job.process.poll() is not None)


def _start(run: Run, out: Path, threads: int) -> subprocess.Popen[bytes]:
    folder = out / run.folder
    command = [sys.executable, "-m", "mmmc.study.tied", "train", "--quiet", "true", "--report", "false"]
    if (folder / "checkpoint.pt").is_file():
        command += ["--resume", str(folder)]
    else:
        _remove_if_not_begun(folder)
        recipe = out / f"{run.folder}.yaml"
        write_text(recipe, to_yaml(run.recipe))
        command += ["--recipe", str(recipe), "--out", str(folder)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with (out / f"{run.folder}.log").open("wb") as log:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )


def _remove_if_not_begun(folder: Path) -> None:
    """Remove what a run left that was ended before its first checkpoint; a folder with anything else stays."""
    known = {*BEFORE_TRAINING, *(f".{name}.part" for name in BEFORE_TRAINING)}
    if folder.is_dir() and known.issuperset(path.name for path in folder.iterdir()):
        shutil.rmtree(folder)


def _keep(plan: Plan, run: Run, out: Path, say: Callable[[str], None]) -> None:
    record: dict[str, Any] = json.loads((out / run.folder / "record.json").read_text(encoding="utf-8"))
    records.append(plan.records, {**record, "name": run.name, "set": run.set})
    failures.forget(plan.records, run.identity)
    ap = record["metrics"]["AP"]
    say(f"ended: {run.name}, seed {run.seed}: AP {'–' if ap is None else f'{100 * ap:.1f}'}")


def _error(status: int, log: Path) -> str:
    """What ended a run: a signal, or the last line of its log."""
    if status < 0:
        return f"ended by signal {-status} ({signal.Signals(-status).name})"
    lines = log.read_text(encoding="utf-8", errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), f"exit status {status}, without a word")
