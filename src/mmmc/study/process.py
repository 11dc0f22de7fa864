"""A run of a plan as a process of its own: begun or resumed, ended, and what became of it.

Needs next to nothing but Python: it is all that the workers of a cluster load.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmmc.files import UNFINISHED, in_place, locked

BEFORE_TRAINING = (".lock", "recipe.yaml", "environment.json", "repairs.jsonl", "checkpoint.pt")
"""Files that a run writes before its first step; a checkpoint is the last of them."""

PATIENCE = 30.0
"""Seconds that a run has to end when it is told to."""

GONE = 5.0
"""Seconds after which a run is gone that was ended with whoever began it; one that is there yet is somebody else's."""

MOMENT = 0.2
"""Seconds between looks at whether a run has ended."""


Outcome = dict[str, Any] | str
"""What became of a run: the record that it left in its folder, or what ended it before."""

TAKEN = "another process trains it"
"""Outcome of a run that was not begun for that."""


class TakenError(Exception):
    """Another process trains in the folder of the run."""


@dataclass
class RunProcess:
    """A run that was begun.

    Attributes:
        out: folder of the run folders.
        folder: name of the run's.
        process: in a session of its own, tied to this process (`mmmc.study.tied`).
    """

    out: Path
    folder: str
    process: subprocess.Popen[bytes]

    def ended(self) -> bool:
        """Whether it is gone by itself."""
        return self.process.poll() is not None

    def end(self) -> None:
        """End it with all processes that it began, by force if it takes too long, and wait until it is gone."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.ended():
                break
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(PATIENCE)
        assert self.process.stdin is not None
        self.process.stdin.close()

    def outcome(self) -> Outcome:
        """Of a run that has ended: its record, or the signal that ended it, or the last line of its log."""
        record = record_of(self.out, self.folder)
        if record is not None:  # maybe of another process, which came to the end while this one waited for it
            return record
        status = self.process.returncode
        if status == 0:
            return "ended without a record"
        if status < 0:
            return f"ended by signal {-status} ({signal.Signals(-status).name})"
        lines = log_of(self.out, self.folder).read_text(encoding="utf-8", errors="replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        return last or f"exit status {status}, without a word"


def log_of(out: Path, folder: str) -> Path:
    """What a run says, beside its folder."""
    return out / f"{folder}.log"


def recipe_of(out: Path, folder: str) -> Path:
    """The recipe that a run begins with, beside its folder."""
    return out / f"{folder}.yaml"


def record_of(out: Path, folder: str) -> dict[str, Any] | None:
    """What a run left that came to its end; None of one that did not."""
    path = out / folder / "record.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def begin(out: Path, folder: str, threads: int, where: Path | None = None) -> RunProcess:
    """Train a run whose recipe was written, from its last checkpoint if there is one.

    Args:
        out: folder of the run folders.
        folder: name of the run's.
        threads: that it computes with.
        where: folder that paths of the recipe are relative to; by default that of this process.

    Raises:
        TakenError: another process trains it.
    """
    with _lock(out / f"{folder}.lock") as lock:
        return RunProcess(out, folder, _process(out, folder, threads, where, lock))


def _process(out: Path, folder: str, threads: int, where: Path | None, lock: int) -> subprocess.Popen[bytes]:
    """The process of a run; it holds the lock until it and all that it began are gone."""
    place = out / folder
    command = [sys.executable, "-m", "mmmc.study.tied", "train", "--quiet", "true", "--report", "false"]
    if (place / "checkpoint.pt").is_file():
        # The set may lie elsewhere than when the run was begun.
        with in_place(place / "recipe.yaml") as fresh:
            shutil.copyfile(recipe_of(out, folder), fresh)
        command += ["--resume", str(place)]
    else:
        _remove_if_not_begun(place)
        command += ["--recipe", str(recipe_of(out, folder)), "--out", str(place)]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads)}
    with log_of(out, folder).open("wb") as said:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=said,
            stderr=subprocess.STDOUT,
            cwd=where,
            env=environment,
            start_new_session=True,
            pass_fds=(lock,),
        )


@contextmanager
def _lock(path: Path) -> Iterator[int]:
    """A file that one process at a time has locked."""
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    deadline = time.monotonic() + GONE
    try:
        while not locked(handle):
            if time.monotonic() > deadline:
                raise TakenError
            time.sleep(MOMENT)
        yield handle
    finally:
        os.close(handle)


def train(out: str, folder: str, threads: int, where: str) -> Outcome:
    """Train a run to its end on a machine of a cluster, unless whoever did so before was lost afterwards.

    Args:
        out, folder, threads, where: as of `begin`.
    """
    for path in (recipe_of(Path(out), folder), Path(where)):
        if not path.exists():
            machine = socket.gethostname()
            return f"{machine} does not see {path}; allowed: --out and this folder shared by all machines"
    record = record_of(Path(out), folder)
    if record is not None:
        return record
    try:
        process = begin(Path(out), folder, threads, Path(where))
    except TakenError:
        return TAKEN
    try:
        while not process.ended():
            time.sleep(MOMENT)
        return process.outcome()
    finally:
        process.end()


def _remove_if_not_begun(folder: Path) -> None:
    """Remove what a run left that was ended before its first checkpoint; a folder with anything else stays."""
    known = (*BEFORE_TRAINING, UNFINISHED)
    if folder.is_dir() and all(any(path.match(name) for name in known) for path in folder.iterdir()):
        shutil.rmtree(folder)
