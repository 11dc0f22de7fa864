"""Runs of plans: what fails, what another process trains, time budgets, and what is left to do."""

from __future__ import annotations

import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmmc.cli import main, study
from mmmc.errors import InputError
from mmmc.recipe import load_recipe
from mmmc.study import failures, process, records, workers
from mmmc.study.on_paper import gpu_hours
from mmmc.study.plan import Plan, read_plan
from mmmc.study.process import RunProcess
from mmmc.study.running import train_plan, write_recipe
from mmmc.study.status import duration, status, words
from mmmc.study.workers import Here, Workers

from .plans import PLAN, write


def test_a_run_that_fails_is_kept_and_the_others_go_on(tiny_set: Path, tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path / "plan.yaml", tiny_set))
    out = tmp_path / "runs"
    said: list[str] = []
    broken = out / plan.runs()[0].folder
    broken.mkdir(parents=True)
    (broken / "notes.txt").write_text("mine")
    assert not train_plan(plan, Here(out, jobs=2), say=said.append)
    assert sum(line.startswith("failed: FCOS, seed 0") for line in said) == 1
    assert [(run.name, run.seed) for run in plan.missing()] == [("FCOS", 0)]
    found = status(plan, out)
    ((run, failure),) = found.failed
    assert (run.name, len(found.recorded), found.ahead) == ("FCOS", 3, ())
    assert f"{broken} holds something else" in failure["error"]
    assert "failed: FCOS, seed 0: mmmc: " in words(found, 1)
    # Tables read the records alone, and the next call leaves it out.
    assert len(records.load(plan.records)) == 3
    assert not train_plan(plan, Here(out), say=said.append)
    assert said[-1] == "1 of them failed before and are left out; --retry tries them again."
    (broken / "notes.txt").unlink()
    assert train_plan(plan, Here(out), retry=True, say=said.append)
    assert (plan.missing(), failures.load(plan.records)) == ([], {})
    assert not failures.beside(plan.records).exists()


def test_a_run_that_is_killed_has_failed(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "plan.yaml", tiny_set)

    def begin_and_kill(*arguments: Any) -> RunProcess:
        begun = process.begin(*arguments)
        begun.process.kill()
        return begun

    monkeypatch.setattr(workers, "begin", begin_and_kill)
    where = [str(path), "--only", "FCOS", "--seeds", "[0]", "--out", str(tmp_path / "runs")]
    assert main(["study", "run", *where]) == 2
    assert "The same command with --retry tries it again." in capsys.readouterr().err
    assert main(["study", "status", *where]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{path}: 0 recorded, 1 failed, 0 ended, 0 cut, 0 missing\n")
    assert "  failed: FCOS, seed 0: ended by signal 9 (SIGKILL) (" in said


def test_no_run_is_begun_that_would_end_too_late(tiny_set: Path, tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path / "plan.yaml", tiny_set))
    said: list[str] = []
    # The first takes some seconds; after it a budget of one is spent.
    assert train_plan(plan, Here(tmp_path / "runs"), time_budget=1.0, say=said.append)
    assert said[-1] == "3 runs are left for want of time."
    assert len(plan.missing()) == 3


def test_a_run_takes_as_long_as_the_slowest_so_far(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Runs that fail after two seconds each: of five seconds one is left after two, which is not enough."""
    plan = read_plan(write(tmp_path / "plan.yaml", tiny_set))

    def begin(out: Path, folder: str, _: int) -> RunProcess:
        process.log_of(out, folder).write_text("no\n")
        command = [sys.executable, "-c", "import time; time.sleep(2); raise SystemExit(1)"]
        return RunProcess(out, folder, subprocess.Popen(command, stdin=subprocess.PIPE))

    monkeypatch.setattr(workers, "begin", begin)
    said: list[str] = []
    assert not train_plan(plan, Here(tmp_path / "runs"), time_budget=5.5, say=said.append)
    assert sum(line.startswith("begins") for line in said) == 2
    assert said[-1] == "2 runs are left for want of time."


def test_a_run_takes_as_long_as_the_slowest_recorded_on_the_set(tiny_set: Path, tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path / "plan.yaml", tiny_set))
    usual = {"version": "0", "metrics": {"AP": 0.5}, "iterations": 1, "recipe_hash": "x", "machine": {}, "seed": 0}
    for name, seconds in (("other", 9999), ("tiny", 30), ("tiny", 70)):
        records.append(plan.records, {**usual, "name": str(seconds), "set": name, "seconds": seconds})
    said: list[str] = []
    assert train_plan(plan, Here(tmp_path / "runs"), time_budget=60.0, say=said.append)
    assert said[1:] == ["4 runs are left for want of time."]


def test_budgets_and_shares_of_the_command_line(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write(tmp_path / "plan.yaml", tiny_set))
    given: list[dict[str, Any]] = []

    def train(plan: Plan, where: Workers, **options: Any) -> bool:
        time.sleep(0.2)
        given.append({"runs": len(plan.runs()), "out": where.out, **options})
        return True

    monkeypatch.setattr(study, "train_plan", train)
    assert main(["study", "run", path, path, "--minutes", "1.5", "--time", "20m", "--shard", "1/3", "--retry"]) == 0
    assert [(options["runs"], options["out"], options["retry"]) for options in given] == 2 * [
        (2, Path("runs/study"), True)
    ]
    # What the first plan took is gone for the second.
    for name, whole in (("cut_after", 90), ("time_budget", 1200)):
        first, second = (options[name] for options in given)
        assert whole - 10 < second <= first - 0.2 < whole - 0.2, name
    for wrong, message in (
        (["--shard", "0/3"], "--shard is '0/3'; allowed: K/N with K from 1 to N"),
        (["--shard", "4/3"], "--shard is '4/3'"),
        (["--minutes", "0"], "--minutes is 0.0; allowed: a number above 0"),
        (["--jobs", "0"], "--jobs is 0; allowed: at least 1"),
    ):
        assert main(["study", "run", path, *wrong]) == 2
        assert message in capsys.readouterr().err
    assert len(given) == 2


def test_failures_beside_the_records(tmp_path: Path) -> None:
    """Each failure is kept until its own run succeeds; a file that holds something else is refused."""
    path = tmp_path / "found.jsonl"
    first, second = ("FCOS", "tiny", 0, "a"), ("FCOS", "tiny", 1, "a")
    for run, error in ((first, "old"), (second, "full"), (first, "new")):
        failures.note(path, run, error, tmp_path / "log")
    assert {run: entry["error"] for run, entry in failures.load(path).items()} == {first: "new", second: "full"}
    failures.forget(path, first)
    assert list(failures.load(path)) == [second]
    failures.forget(path, second)
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]
    for wrong, message in (
        ("{", "is not JSON"),
        ("{}", "not a list of failed runs"),
        ('[{"name": 1}]', "objects with"),
    ):
        failures.beside(path).write_text(wrong)
        with pytest.raises(InputError, match=message):
            failures.load(path)


def test_a_plan_that_cannot_leave_anything_does_not_begin(tiny_set: Path, tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path / "plan.yaml", tiny_set))
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file cannot hold run folders: File exists"):
        train_plan(plan, Here(tmp_path / "file", jobs=1), say=lambda _: None)
    with pytest.raises(InputError, match=r"found\.jsonl could not be written: .* is no folder"):
        train_plan(replace(plan, records=tmp_path / "file/found.jsonl"), Here(tmp_path / "runs", jobs=1))
    assert not (tmp_path / "runs").exists()


def test_a_run_that_another_process_trains_is_left_out(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until that process and all that it began are gone."""
    plan = read_plan(write(tmp_path / "plan.yaml", tiny_set), seeds=[0]).only(["FCOS"])
    out = tmp_path / "runs"
    (run,) = plan.runs()
    (tmp_path / "python").write_text("#!/bin/sh\nexec sleep 600\n")
    (tmp_path / "python").chmod(0o755)
    (out / run.folder).mkdir(parents=True)
    (out / run.folder / "environment.json").touch()
    write_recipe(run, out)
    monkeypatch.setattr(process, "GONE", 0.1)
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", str(tmp_path / "python"))
        other = process.begin(out, run.folder, 1)
        assert not (out / run.folder).exists()
        (out / run.folder).mkdir()
        (out / run.folder / "environment.json").touch()
        said: list[str] = []
        assert train_plan(plan, Here(out), say=said.append)
        assert said[-1] == "another process trains FCOS, seed 0; it is left out."
        assert process.train(str(out), run.folder, 1, str(tmp_path)) == process.TAKEN
        assert ((out / run.folder / "environment.json").exists(), failures.load(plan.records)) == (True, {})
        other.end()
        process.begin(out, run.folder, 1).end()


def test_what_is_left_takes_the_median_of_what_is_recorded(tiny_set: Path, tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path / "plan.yaml", tiny_set), seeds=[0, 1, 2])
    usual = {"version": "0", "metrics": {"AP": 0.5}, "iterations": 1, "recipe_hash": "x", "machine": {}, "seed": 0}
    for number, (name, seconds) in enumerate((("tiny", 100), ("tiny", 700), ("tiny", 300), ("other", 9999))):
        records.append(plan.records, {**usual, "name": str(number), "set": name, "seconds": seconds})
    found = status(plan, tmp_path / "runs")
    assert (found.seconds, len(found.missing)) == (300, 6)
    assert found.seconds_left(jobs=4) == 600
    assert "left: about 10 min with --jobs 4; a recorded run on tiny took 5 min (median)" in words(found, 4)
    # A plan without records of its own takes those beside it.
    other = replace(plan, records=plan.records.with_name("other.jsonl"))
    assert "a recorded run on tiny of found.jsonl took 5 min" in words(status(other, tmp_path / "runs"), 4)
    # What is no record, or measured afterwards, does not count.
    (tmp_path / "race.jsonl").write_text('{"contestant": "x"}\n')
    records.append(tmp_path / "found.overlap.jsonl", {**usual, "name": "0", "set": "tiny", "seconds": 99999})
    assert "a recorded run on tiny of found.jsonl took 5 min" in words(status(other, tmp_path / "runs"), 4)
    alone = replace(plan, records=tmp_path / "alone" / "other.jsonl")
    assert "nothing is recorded on tiny" in words(status(alone, tmp_path / "runs"), 4)
    assert [duration(seconds) for seconds in (99, 5940, 36000)] == ["99 s", "99 min", "10.0 h"]


def test_a_run_that_ended_without_its_plan_is_not_trained_again(tiny_set: Path, tmp_path: Path) -> None:
    plan = read_plan(write(tmp_path / "plan.yaml", tiny_set), seeds=[0])
    first = tmp_path / "runs" / plan.runs()[0].folder
    first.mkdir(parents=True)
    (first / "checkpoint.pt").touch()
    assert [run.name for run in status(plan, tmp_path / "runs").cut] == ["FCOS"]
    (first / "record.json").write_text("{}")
    found = status(plan, tmp_path / "runs")
    assert [[run.name for run in group] for group in (found.ended, found.cut, found.ahead)] == [
        ["FCOS"],
        [],
        ["FCOS, IoU"],
    ]
    assert "  ended, not recorded yet: FCOS, seed 0\n" in words(found, 1)


def test_a_set_that_is_not_there_is_refused_before_any_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "plan.yaml", tmp_path / "nowhere")
    assert main(["study", "run", str(path), "--out", str(tmp_path / "runs")]) == 2
    said = capsys.readouterr()
    assert f"plan.yaml: data is '{tmp_path}/nowhere', and nothing is there" in said.err
    assert sorted(found.name for found in tmp_path.iterdir()) == ["plan.yaml"]
    # Nobody needs the set for what is recorded.
    plan = read_plan(path)
    for run in plan.runs():
        identity = dict(zip(records.IDENTITY, run.identity, strict=True))
        usual = {"version": "0", "metrics": {"AP": 0.5}, "iterations": 1, "machine": {}, "seconds": 1}
        records.append(plan.records, identity | usual)
    plan.require_set()


def test_what_is_recorded_can_be_run_again_into_other_records(
    tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "plan.yaml", tiny_set)
    plan = read_plan(path)
    for run in plan.runs():
        identity = dict(zip(records.IDENTITY, run.identity, strict=True))
        usual = {"version": "0", "metrics": {"AP": 0.5}, "iterations": 1, "machine": {}, "seconds": 1}
        records.append(plan.records, identity | usual)
    again = ["--records", str(tmp_path / "again.jsonl"), "--out", str(tmp_path / "again")]
    assert main(["study", "status", str(path), *again]) == 0
    assert "plan.yaml: 0 recorded, 0 failed, 0 ended, 0 cut, 4 missing" in capsys.readouterr().out
    other = read_plan(path, records=str(tmp_path / "again.jsonl"), seeds=[5])
    assert other.command(["FCOS"]) == (
        f"mmmc study run {path} --only FCOS --seeds '[5]' --records {tmp_path}/again.jsonl"
    )
    assert plan.command(["FCOS"]) == f"mmmc study run {path} --only FCOS"


def test_variants_of_several_plans(tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each name stands in one of them; a plan without any is left out."""
    first = write(tmp_path / "first.yaml", tiny_set)
    other = write(tmp_path / "other.yaml", tiny_set, PLAN.replace('"FCOS"', '"ATSS"').replace('"FCOS, IoU"', '"GFL"'))
    assert main(["study", "status", str(first), str(other), "--only", "FCOS", "GFL", "--seeds", "[0]"]) == 0
    said = capsys.readouterr().out
    assert "first.yaml: 0 recorded, 0 failed, 0 ended, 0 cut, 1 missing" in said
    assert "other.yaml: 0 recorded, 0 failed, 0 ended, 0 cut, 1 missing" in said
    assert main(["study", "status", str(first), str(other), "--only", "ATSS"]) == 0
    assert "first.yaml" not in capsys.readouterr().out
    assert main(["study", "status", str(first), str(other), "--only", "ATS"]) == 2
    assert f"{first}, {other}: there is no variant 'ATS'. Did you mean 'ATSS'?" in capsys.readouterr().err


def test_hours_on_paper() -> None:
    """A forward pass of the published detector is 214.7 billion multiply-adds at 800 × 1344 (docs/performance.md)."""
    recipe = load_recipe("fcos_r50_1x")
    by_hand = 3 * 2 * 214.7e9 * 90_000 * 16 / (0.25 * 989e12) / 3600
    hours = gpu_hours(recipe)
    assert hours == pytest.approx(by_hand, rel=0.01)
    assert gpu_hours(load_recipe("fcos_r50_2x")) == pytest.approx(2 * hours)
    assert gpu_hours(replace(recipe, train=replace(recipe.train, iterations=None))) is None


def test_shares_of_a_plan_are_whole_together(tiny_set: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "plan.yaml", tiny_set)
    shares = [read_plan(path, shard=(number, 3)).runs() for number in (1, 2, 3)]
    assert [len(share) for share in shares] == [2, 1, 1]
    assert sorted(run.folder for share in shares for run in share) == sorted(r.folder for r in read_plan(path).runs())
    assert {run.name for run in read_plan(path).only(["FCOS, IoU"]).runs()} == {"FCOS, IoU"}
