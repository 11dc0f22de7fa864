"""The race: what is run and recorded, and what comes next."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.race import environments
from benchmarks.race.commands import parser, race_of
from benchmarks.race.contestants import CONTESTANTS, Contestant
from benchmarks.race.plan import stages
from benchmarks.race.records import load
from benchmarks.race.running import Cut, Failed, Race, in_process, run, scored, wait_for
from benchmarks.race.task import Task, Trained, write
from mmmc.errors import InputError

FAKES = {name: Contestant(name.upper(), "random", "by_yolo", name) for name in ("good", "bad")}
MACHINE = {"cpu": "a processor"}


def race(folder: Path, out: Path, **changes: Any) -> Race:
    """Two contestants and two budgets on a set."""
    return replace(Race(FAKES, folder, (1.0, 2.0), (0,), 2, out / "race.jsonl", out / "runs"), **changes)


def truth(task: Task) -> list[dict[str, Any]]:
    """The objects of the scored pictures, as somebody would report them who is sure."""
    objects = task.sets()[1].to_coco()["annotations"]
    return [{key: one[key] for key in ("image_id", "category_id", "bbox")} | {"score": 1.0} for one in objects]


def fake(log: list[tuple[str, float]]) -> Callable[[str, Contestant, Task], None]:
    """Finds everything, or ends with an error, and writes down when it was its turn."""

    def start(name: str, _: Contestant, task: Task) -> None:
        log.append((name, task.seconds))
        assert list(task.out.iterdir()) == []
        if name == "bad":
            raise Failed("status 1: no luck")
        write(well_trained(task), MACHINE, task.out)

    return start


def well_trained(task: Task, **changes: Any) -> Trained:
    """What a contestant leaves that did as it was told."""
    told = Trained(truth(task), 7, 0.95 * task.seconds, 0.5, task.threads, {"batch": 8}, {"torch": "2"})
    return replace(told, **changes)


def test_one_failure_does_not_stop_the_others_and_nothing_is_run_twice(tiny_set: Path, tmp_path: Path) -> None:
    log: list[tuple[str, float]] = []
    said: list[str] = []
    assert not run(race(tiny_set, tmp_path), start=fake(log), say=said.append)
    assert log == [("good", 60), ("bad", 60), ("good", 120), ("bad", 120)]
    good, bad = load(tmp_path / "race.jsonl")[:2]
    assert good["metrics"]["AP"] == pytest.approx(1.0)
    assert (good["contestant"], good["set"], good["minutes"], good["seed"], good["threads"]) == (
        *("good", tiny_set.name),
        *(1.0, 0, 2),
    )
    assert (good["iterations"], good["seconds"], good["machine"]) == (7, 57.0, MACHINE)
    assert bad["error"] == "status 1: no luck"
    assert "metrics" not in bad
    assert any(line.startswith("failed: bad") for line in said)

    log.clear()
    assert not run(race(tiny_set, tmp_path), start=fake(log), say=said.append)
    assert log == []
    assert run(race(tiny_set, tmp_path, contestants={"good": FAKES["good"]}), start=fake(log), say=said.append)
    run(race(tiny_set, tmp_path, minutes=(1.0,)), retry=True, start=fake(log), say=said.append)
    assert log == [("bad", 60)]
    run(race(tiny_set, tmp_path, minutes=(1.0,), threads=1), start=fake(log), say=said.append)
    assert len(log) == 3
    assert len(load(tmp_path / "race.jsonl")) == 6


def test_a_run_that_was_cut_starts_anew(tiny_set: Path, tmp_path: Path) -> None:
    def cut(_: str, __: Contestant, task: Task) -> None:
        (task.out / "half.txt").write_text("begun")
        raise KeyboardInterrupt

    alone = race(tiny_set, tmp_path, contestants={"good": FAKES["good"]}, minutes=(1.0,))
    with pytest.raises(KeyboardInterrupt):
        run(alone, start=cut, say=lambda _: None)
    assert load(tmp_path / "race.jsonl") == []
    log: list[tuple[str, float]] = []
    assert run(alone, start=fake(log), say=lambda _: None)
    assert log == [("good", 60)]


def test_one_race_at_a_time(tiny_set: Path, tmp_path: Path) -> None:
    def another(*_: object) -> None:
        with pytest.raises(InputError, match="another race runs there, and two at a time tell nothing of time"):
            run(one, start=fake([]), say=lambda _: None)
        raise KeyboardInterrupt

    one = race(tiny_set, tmp_path, contestants={"good": FAKES["good"]}, minutes=(1.0,))
    with pytest.raises(KeyboardInterrupt):
        run(one, start=another, say=lambda _: None)


def test_other_settings_are_another_run(tiny_set: Path, tmp_path: Path) -> None:
    """Two contestants of one name, of which one has another model."""
    log: list[tuple[str, float]] = []
    for model in ("good", "better", "good"):
        changed = {"good": replace(FAKES["good"], variant=model)}
        run(race(tiny_set, tmp_path, contestants=changed, minutes=(1.0,)), start=fake(log), say=lambda _: None)
    assert log == [("good", 60), ("good", 60)]
    assert len({record["settings_hash"] for record in load(tmp_path / "race.jsonl")}) == 2


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"results": [{"image_id": 10**6, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 1.0}]}, "image_id"),
        ({"seconds": 64.0}, "it trained for 64 s; allowed: 54 to 63"),
        ({"seconds": 53.0}, "it trained for 53 s"),
        ({"threads": 1}, "it trained with 1 threads, not with 2"),
    ],
)
def test_who_does_not_as_told_has_failed(changes: dict[str, Any], error: str, tiny_set: Path, tmp_path: Path) -> None:
    def start(_: str, __: Contestant, task: Task) -> None:
        write(well_trained(task, **changes), MACHINE, task.out)

    assert not run(race(tiny_set, tmp_path, minutes=(1.0,)), start=start, say=lambda _: None)
    assert error in load(tmp_path / "race.jsonl")[0]["error"]


def test_who_leaves_nothing_has_failed(tiny_set: Path, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="no results"):
        scored(Task(tiny_set, 1.0, 0, 1, tmp_path))


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    task = Task(tmp_path / "nothing", 1.0, 0, 1, tmp_path)
    with pytest.raises(Failed, match=r"status 1: .*InputError.*nothing"):
        in_process("fcos-random", CONTESTANTS["fcos-random"], task)


def test_a_missing_environment_is_nobodys_result(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is known before the first run begins, as long as a run needs it."""
    monkeypatch.setattr(environments, "ENVIRONMENTS", tmp_path)
    log: list[tuple[str, float]] = []
    both = race(tiny_set, tmp_path, contestants=FAKES | {"yolo": CONTESTANTS["yolo"]}, minutes=(1.0,))
    with pytest.raises(InputError, match=r"lacks ultralytics.*make race-env"):
        run(both, start=fake(log), say=lambda _: None)
    assert (log, load(both.records)) == ([], [])
    made = tmp_path / "ultralytics" / environments.MADE_OF
    made.parent.mkdir()
    made.write_text("other requirements")
    assert not environments.is_ready("ultralytics")
    made.write_text(environments._made_of("ultralytics"))
    run(both, start=fake(log), say=lambda _: None)
    assert [name for name, _ in log] == ["good", "bad", "yolo"]
    made.unlink()
    run(both, start=fake(log), say=lambda _: None)
    assert len(log) == 3


def test_a_run_that_is_ended_from_outside_is_not_recorded(tiny_set: Path, tmp_path: Path) -> None:
    ends_itself = [sys.executable, "-c", f"import os; os.kill(os.getpid(), {int(signal.SIGTERM)})"]

    def start(name: str, _: Contestant, task: Task) -> None:
        if name == "bad":
            wait_for(ends_itself, os.environ, task.out / "log.txt", limit=60)
        write(well_trained(task), MACHINE, task.out)

    said: list[str] = []
    assert not run(race(tiny_set, tmp_path, minutes=(1.0,)), start=start, say=said.append)
    assert [record["contestant"] for record in load(tmp_path / "race.jsonl")] == ["good"]
    assert "cut: bad, tiny, 1 min, seed 0: ended by SIGTERM".replace("tiny", tiny_set.name) in said
    with pytest.raises(Cut):
        wait_for(ends_itself, os.environ, tmp_path / "log.txt", limit=60)


def test_a_run_that_hangs_is_ended_with_all_that_it_began(tmp_path: Path) -> None:
    child = tmp_path / "child.txt"
    hangs = (
        f"import subprocess, time; p = subprocess.Popen(['sleep', '600']); open({str(child)!r}, 'w').write(str(p.pid))"
    )
    began = time.monotonic()
    with pytest.raises(Failed, match="had not ended after 3 s"):
        wait_for([sys.executable, "-c", f"{hangs}; time.sleep(600)"], os.environ, tmp_path / "log.txt", limit=3)
    assert time.monotonic() - began < 60
    state = Path("/proc", child.read_text(), "stat")
    assert not state.exists() or state.read_text().split()[2] == "Z"


def test_the_end_of_the_parent_is_watched_for_before_pytorch_is_loaded() -> None:
    code = "import sys; import benchmarks.race.work; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def staged(folder: Path, out: Path) -> Race:
    """All contestants; those that need an environment are said to need none."""
    everyone = {name: replace(who, environment="") for name, who in CONTESTANTS.items()}
    return race(folder, out, contestants=everyone, minutes=(1.0,))


def test_the_race_goes_on_with_the_best(tiny_set: Path, tmp_path: Path) -> None:
    """The less a contestant finds the worse it is; one that failed is not among the best, whatever it might be."""
    order = ["yolo", "rt-detr", "torchvision-fcos", "d-fine", "torchvision-retinanet", "torchvision-ssdlite"]
    log: list[tuple[str, str, int]] = []

    def start(name: str, _: Contestant, task: Task) -> None:
        log.append((name, task.data.name, task.seed))
        if name == "yolo":
            raise Failed("no luck")
        known = truth(task)
        write(well_trained(task, results=known[order.index(name) if name in order else 0 :]), MACHINE, task.out)

    elsewhere = tmp_path / "elsewhere"
    elsewhere.symlink_to(tiny_set)
    for _ in range(2):  # the second time all is recorded
        for stage in stages(staged(tiny_set, tmp_path), elsewhere):
            run(stage, start=start, say=lambda _: None)
    five = ["mmmc-random", "fcos-random", "torchvision-fcos", "rt-detr", "d-fine"]
    assert [name for name, _, _ in log[:10]] == list(CONTESTANTS)
    assert log[10:20] == [(name, tiny_set.name, seed) for seed in (1, 2) for name in five]
    assert log[20:] == [(name, "elsewhere", 0) for name in five]


def test_nobody_knows_the_best_while_runs_are_missing(tiny_set: Path, tmp_path: Path) -> None:
    assert len(list(stages(staged(tiny_set, tmp_path), tiny_set))) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--minutes", "0"], "--minutes is 0.0; allowed: numbers above 0"),
        (["--seeds", "-1"], "--seeds is -1"),
        (["--seeds", "1", "0", "1"], "--seeds is 1 0 1; allowed: each once"),
        (["--threads", "0"], "--threads is 0"),
        (["--data", "/nowhere"], "--data is /nowhere; allowed: a folder that holds bccd"),
    ],
)
def test_bad_options(given: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["race", "run", *given]) == 2
    assert message in capsys.readouterr().err


def test_what_is_asked_for_is_run(tmp_path: Path) -> None:
    (tmp_path / "deeppcb").mkdir()
    words = "run --minutes 0.2 5 --seeds 0 1 --only yolo fcos --set deeppcb --data"
    asked = race_of(parser().parse_args([*words.split(), str(tmp_path)]))
    runs = [(run["minutes"], run["seed"], run["contestant"]) for run in asked.all()]
    assert runs[:3] == [(0.2, 0, "fcos"), (0.2, 0, "yolo"), (0.2, 1, "fcos")]
    assert len(runs) == 8
