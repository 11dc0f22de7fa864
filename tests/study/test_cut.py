"""Plans that are ended, killed or cut, and go on."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from mmmc.study import failures, process, records, running, workers
from mmmc.study.plan import read_plan
from mmmc.study.process import RunProcess
from mmmc.study.running import train_plan
from mmmc.study.status import status
from mmmc.study.workers import Here

from .plans import PLAN, comparable, trained_steps, twins, write


def test_a_run_that_does_not_listen_is_ended_by_force(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = read_plan(write(tmp_path / "plan.yaml", tiny_set))
    deaf = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(600)"
    begun: list[subprocess.Popen[bytes]] = []

    def begin(out: Path, folder: str, _: int) -> RunProcess:
        child = subprocess.Popen(
            [sys.executable, "-c", deaf], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
        )
        assert child.stdout is not None
        child.stdout.readline()
        child.stdout.close()
        begun.append(child)
        return RunProcess(out, folder, child)

    monkeypatch.setattr(workers, "begin", begin)
    monkeypatch.setattr(process, "PATIENCE", 0.5)
    assert train_plan(plan, Here(tmp_path / "runs"), cut_after=0.1, say=lambda _: None)
    assert [child.returncode for child in begun] == [-signal.SIGKILL]


def test_a_run_that_goes_on_finds_the_set_where_the_plan_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "checkpoint.pt").touch()
    (tmp_path / "a" / "recipe.yaml").write_text("data: {path: old}\n")
    process.recipe_of(tmp_path, "a").write_text("data: {path: new}\n")
    monkeypatch.setattr(sys, "executable", "true")
    process.begin(tmp_path, "a", 1).end()
    assert (tmp_path / "a" / "recipe.yaml").read_text() == "data: {path: new}\n"


def test_whoever_ends_the_plan_ends_its_runs(tiny_set: Path, tmp_path: Path) -> None:
    plan = write(tmp_path / "plan.yaml", tiny_set, PLAN.replace("iterations: 2,", "iterations: 100000,"))
    command = [sys.executable, "-m", "mmmc", "study", "run", str(plan), "--out", str(tmp_path / "runs")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    metrics = tmp_path / "runs" / read_plan(plan).runs()[0].folder / "metrics.jsonl"
    deadline = time.monotonic() + 120
    while not metrics.exists() and time.monotonic() < deadline:
        time.sleep(0.2)
    process.terminate()
    # Its pipes close once nobody holds them, a run neither.
    _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, "mmmc: interrupted.\n")
    lines = metrics.read_text()
    time.sleep(1)
    assert metrics.read_text() == lines


def test_killed_five_times_the_records_are_the_same(tiny_set: Path, tmp_path: Path) -> None:
    """At the worst moments: before the first checkpoint, in both epochs, before and after a record is kept."""
    whole, plan = map(read_plan, twins(tmp_path, tiny_set, iterations=6))
    out = plan.path.parent / "runs"
    assert train_plan(whole, Here(whole.path.parent / "runs", jobs=2))
    first, second = (out / run.folder for run in plan.runs())
    moments: list[Callable[[], object]] = [
        lambda: first.exists(),
        lambda: trained_steps(first) >= 1,
        lambda: trained_steps(first) >= 4,
        lambda: (first / "record.json").exists(),
        lambda: plan.records.exists() and trained_steps(second) >= 1,
    ]
    # A plan is a process of its own; a server that has the library loaded begins it at once.
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mmmc.study.running", "mmmc.study.workers"])
    for moment in moments:
        process = context.Process(target=train_plan, args=(plan, Here(out)))
        process.start()
        deadline = time.monotonic() + 120
        while not moment():
            assert process.is_alive()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
        process.join()
    assert len(records.load(plan.records)) == 1
    assert train_plan(plan, Here(out))
    assert comparable(plan.records) == comparable(whole.records)
    assert not failures.load(plan.records)


def test_a_plan_that_is_killed_takes_its_runs_along(tiny_set: Path, tmp_path: Path) -> None:
    text = PLAN.replace("iterations: 2,", "iterations: 100000, log_every: 1,")
    plan = write(tmp_path / "plan.yaml", tiny_set, text)
    metrics = tmp_path / "runs" / read_plan(plan).runs()[0].folder / "metrics.jsonl"
    process = subprocess.Popen(
        [sys.executable, "-m", "mmmc", "study", "run", str(plan), "--out", str(tmp_path / "runs")],
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not metrics.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    process.kill()
    process.wait()
    time.sleep(1)
    size = os.path.getsize(metrics)
    time.sleep(1)
    assert os.path.getsize(metrics) == size


def test_after_its_minutes_a_plan_ends_and_goes_on_later(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = read_plan(write(tmp_path / "plan.yaml", tiny_set, PLAN.replace("iterations: 2,", "iterations: 100000,")))
    out = tmp_path / "runs"
    said: list[str] = []
    checkpoint = out / plan.runs()[0].folder / "checkpoint.pt"
    # Time that is up once there is something to go on from, on any machine.
    clock = SimpleNamespace(perf_counter=lambda: 100.0 if checkpoint.exists() else 0.0)
    monkeypatch.setattr(running, "time", clock)
    assert train_plan(plan, Here(out), cut_after=60.0, say=said.append)
    assert said[-1] == "time is up: 1 runs are cut, 3 not begun; the same command goes on."
    found = status(plan, out)
    assert [(run.name, run.seed) for run in found.cut] == [("FCOS", 0)]
    assert (len(found.missing), found.recorded, found.failed) == (3, (), ())
