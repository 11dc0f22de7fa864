"""The race: what is not recorded is run, each run in a process of its own, scored by one evaluator and recorded."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.race import environments
from benchmarks.race.contestants import Contestant
from benchmarks.race.environments import ENVIRONMENTS, ROOT
from benchmarks.race.records import IDENTITY, Record, append, identity, load
from benchmarks.race.schedule import TAKEN, keeps
from benchmarks.race.task import Task
from mmmc.data.results import read_results
from mmmc.errors import InputError
from mmmc.evaluate import score
from mmmc.files import locked

RUNS = ENVIRONMENTS / "runs"
"""Where runs leave their files; nothing there is needed once a run is recorded."""

TOLD = ("iterations", "seconds", "unit_seconds", "settings", "versions", "machine")
"""What a record takes from the process that trained."""

AROUND = 15 * 60.0
"""Seconds for start, timing and prediction, before a run counts as hanging."""

FROM_OUTSIDE = (signal.SIGHUP, signal.SIGINT, signal.SIGKILL, signal.SIGTERM)
"""Signals by which a process is ended by somebody else, or by a system that is short of memory."""


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
        hashes = {name: contestant.settings_hash() for name, contestant in self.contestants.items()}
        for minutes, seed, name in product(self.minutes, self.seeds, self.contestants):
            values = (name, self.data.name, minutes, seed, self.threads, hashes[name])
            yield dict(zip(IDENTITY, values, strict=True))


class Failed(Exception):
    """A contestant's process ended badly; says how."""


class Cut(Exception):
    """A contestant's process was ended by something else, which says nothing of the contestant."""


def run(
    race: Race,
    *,
    retry: bool = False,
    start: Callable[[str, Contestant, Task], None] | None = None,
    say: Callable[[str], None] = print,
) -> bool:
    """Run what is not recorded, one after the other. A run that was cut leaves no record and starts anew next time.

    Args:
        race: what is to be run.
        retry: run again what failed.
        start: trains a contestant and leaves its files; usually in a process.
        say: told what begins and ends.

    Returns:
        Whether all that is wanted is recorded without an error, now or before.

    Raises:
        InputError: an environment is missing that a run needs, or another race runs; none has begun.
    """
    race.runs.mkdir(parents=True, exist_ok=True)
    with (race.runs / ".lock").open("w") as lock:
        if not locked(lock.fileno()):
            raise InputError(f"{race.runs}: another race runs there, and two at a time tell nothing of time.")
        return _run(race, retry=retry, start=start, say=say)


def _run(
    race: Race,
    *,
    retry: bool,
    start: Callable[[str, Contestant, Task], None] | None,
    say: Callable[[str], None],
) -> bool:
    known = {identity(record): record for record in load(race.records)}
    everything = list(race.all())
    due = [wanted for wanted in everything if _due(known.get(identity(wanted)), retry)]
    environments.require(race.contestants[wanted["contestant"]].environment for wanted in due)
    for wanted in everything:
        told = f"{wanted['contestant']}, {wanted['set']}, {wanted['minutes']:g} min, seed {wanted['seed']}"
        if wanted not in due:
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
        except Cut as error:
            say(f"cut: {told}: {error}")
            continue
        except (Failed, InputError) as error:
            record = wanted | {"error": str(error).replace(f"{ROOT}/", "")}
            say(f"failed: {told}: {error}")
        append(race.records, record)
        known[identity(wanted)] = record
    return all("error" not in known.get(identity(wanted), {"error": "cut"}) for wanted in everything)


def _due(before: Record | None, retry: bool) -> bool:
    return before is None or (retry and "error" in before)


def in_process(name: str, contestant: Contestant, task: Task) -> None:
    """Train in a fresh process and wait for it.

    Raises:
        Failed: it ended with another status than 0, or took much longer than it was to train.
        Cut: a signal from outside ended it.
    """
    folder = contestant.folder()
    python = str(folder / "bin" / "python") if folder is not None and contestant.inside else sys.executable
    command = [python, "-m", "benchmarks.race.work", name, "--data", str(task.data.resolve())]
    command += ["--seconds", str(task.seconds), "--seed", str(task.seed), "--threads", str(task.threads)]
    command += ["--out", str(task.out.resolve())]
    threads = {name: str(task.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
    wait_for(command, os.environ | threads, task.out / "log.txt", limit=3 * task.seconds + AROUND)


def wait_for(command: list[str], environment: Mapping[str, str], log: Path, limit: float) -> None:
    """Run a command for at most `limit` seconds; what it says goes to a file.

    Raises:
        Failed: see `in_process`.
        Cut: see `in_process`.
    """
    with log.open("wb") as said:
        # It ends itself, with all that it began, once its standard input is closed: however this process ends.
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            env=environment,
            cwd=ROOT,
            start_new_session=True,
        )
        with process:
            try:
                status = process.wait(limit)
            except subprocess.TimeoutExpired as error:
                os.killpg(process.pid, signal.SIGKILL)
                raise Failed(f"it had not ended after {limit:.0f} s") from error
    if -status in FROM_OUTSIDE:
        raise Cut(f"ended by {signal.Signals(-status).name}")
    if status:
        lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines()]
        raise Failed(f"status {status}: {next(filter(None, reversed(lines)), 'without a word')}")


def scored(task: Task) -> dict[str, Any]:
    """A run's part of its record: COCO's measure of its results, by our evaluator, and what the process told.

    Raises:
        Failed: its files are not there, or it did not train as it was to: so long, with so many threads.
        InputError: its results are none of this set.
    """
    results, told = task.out / "results.json", task.out / "trained.json"
    if not (results.is_file() and told.is_file()):
        raise Failed("it left no results")
    rest = json.loads(told.read_text(encoding="utf-8"))
    if rest["threads"] != task.threads:
        raise Failed(f"it trained with {rest['threads']} threads, not with {task.threads}")
    if not keeps(task.seconds, rest["seconds"], rest["unit_seconds"]):
        least, most = (share * task.seconds for share in TAKEN)
        raise Failed(f"it trained for {rest['seconds']:.0f} s; allowed: {least:.0f} to {most:.0f}")
    val = task.sets()[1]
    numbers = score(val.to_coco(), read_results(results, val)).numbers()
    return {"metrics": numbers} | {name: rest[name] for name in TOLD}


def spent(used: resource.struct_rusage, began: float) -> dict[str, float]:
    """Wall time and processor time of a whole run, start, timing and prediction included.

    Their ratio tells how many cores it kept busy.
    """
    now = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
    return {"seconds": round(time.perf_counter() - began, 1), "cpu_seconds": round(cpu, 1)}
