"""The race: what is not recorded is run, each run in a process of its own, scored by one evaluator and recorded."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.race.contestants import ENVIRONMENTS, ROOT, Contestant
from benchmarks.race.records import IDENTITY, Record, append, identity, load
from benchmarks.race.task import Task
from mmmc.data.results import read_results
from mmmc.errors import InputError
from mmmc.evaluate import score

RUNS = ENVIRONMENTS / "runs"
"""Where runs leave their files; nothing there is needed once a run is recorded."""

TOLD = ("iterations", "seconds", "step_seconds", "settings", "versions", "machine")
"""What a record takes from the process that trained."""


@dataclass(frozen=True)
class Race:
    """What is to be run.

    Attributes:
        contestants: by name.
        data: folder of the set, whose name is the set's.
        minutes: budgets of training.
        seeds: of each.
        threads: of each process.
        records: file of the records.
        runs: folder of what runs leave.
    """

    contestants: Mapping[str, Contestant]
    data: Path
    minutes: tuple[float, ...]
    seeds: tuple[int, ...]
    threads: int
    records: Path
    runs: Path = RUNS

    def all(self) -> Iterable[Record]:
        """The identity of every run, the short ones first."""
        for minutes, seed, name in product(self.minutes, self.seeds, self.contestants):
            values = (name, self.data.name, minutes, seed, self.threads)
            yield dict(zip(IDENTITY, values, strict=True))


class Failed(Exception):
    """A contestant's process ended badly; says how."""


def run(
    race: Race,
    *,
    retry: bool = False,
    start: Callable[[str, Contestant, Task], None] | None = None,
    say: Callable[[str], None] = print,
) -> bool:
    """Run what is not recorded, one after the other. A run that was cut leaves no record and starts anew.

    Args:
        race: what is to be run.
        retry: run again what failed.
        start: trains a contestant and leaves its files; usually in a process.
        say: told what begins and ends.

    Returns:
        Whether none failed.
    """
    sound = True
    known = {identity(record): record for record in load(race.records)}
    for wanted in race.all():
        before = known.get(identity(wanted))
        told = f"{wanted['contestant']}, {wanted['set']}, {wanted['minutes']:g} min, seed {wanted['seed']}"
        if before is not None and not (retry and "error" in before):
            say(f"recorded: {told}")
            continue
        say(f"begins: {told}")
        name = wanted["contestant"]
        folder = race.runs / "-".join(f"{value}" for value in identity(wanted))
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        contestant = race.contestants[name]
        task = Task(race.data, 60 * wanted["minutes"], wanted["seed"], race.threads, folder, contestant.folder())
        used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        try:
            (start or in_process)(name, contestant, task)
            record = wanted | scored(task) | {"process": spent(used, began)}
            say(f"ended: {told}: AP {100 * (record['metrics']['AP'] or 0):.1f}")
        except (Failed, InputError) as error:
            sound = False
            record = wanted | {"error": str(error).replace(f"{ROOT}/", "")}
            say(f"failed: {told}: {error}")
        append(race.records, record)
    return sound


def in_process(name: str, contestant: Contestant, task: Task) -> None:
    """Train in a fresh process and wait for it.

    Raises:
        Failed: it has no environment, or ended with another status than 0.
    """
    folder = contestant.folder()
    if folder is not None and not (folder / "bin" / "python").is_file():
        raise Failed(f"there is no {folder}; `make race-env` makes it")
    python = str(folder / "bin" / "python") if folder is not None and contestant.inside else sys.executable
    command = [python, "-m", "benchmarks.race.work", name, "--data", str(task.data.resolve())]
    command += ["--seconds", str(task.seconds), "--seed", str(task.seed), "--threads", str(task.threads)]
    command += ["--out", str(task.out.resolve())]
    threads = {name: str(task.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    log = task.out / "log.txt"
    with log.open("wb") as said:
        # It ends itself, with all that it began, once its standard input is closed: however this process ends.
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=os.environ | threads,
            cwd=ROOT,
            start_new_session=True,
        )
        with process:
            status = process.wait()
    if status:
        lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
        raise Failed(f"status {status}: {next(filter(None, reversed(lines)), 'without a word')}")


def scored(task: Task) -> dict[str, Any]:
    """A run's part of its record: COCO's measure of its results, by our evaluator, and what the process told.

    Raises:
        Failed: its files are not there.
        InputError: its results are none of this set.
    """
    results, told = task.out / "results.json", task.out / "trained.json"
    if not (results.is_file() and told.is_file()):
        raise Failed("it left no results")
    val = task.sets()[1]
    numbers = score(val.to_coco(), read_results(results, val)).numbers()
    rest = json.loads(told.read_text(encoding="utf-8"))
    return {"metrics": numbers} | {name: rest[name] for name in TOLD}


def spent(used: resource.struct_rusage, began: float) -> dict[str, float]:
    """Wall time and processor time of a whole run, start, timing and prediction included.

    Their ratio tells how many cores it kept busy.
    """
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(cpu, 1)}
