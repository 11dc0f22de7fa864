"""The race: what is run and recorded, how long contestants train, and what their predictions become."""

from __future__ import annotations

import json
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
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmarks.__main__ import main
from benchmarks.race import by_torchvision, by_yolo, environments, loop, ours, pictures, with_threads
from benchmarks.race.commands import parser, race_of
from benchmarks.race.contestants import CONTESTANTS, Contestant
from benchmarks.race.plan import stages
from benchmarks.race.records import load
from benchmarks.race.running import Cut, Failed, Race, in_process, run, scored, wait_for
from benchmarks.race.schedule import keeps, unit_seconds, units_within
from benchmarks.race.task import Task, Trained, write
from mmmc.errors import InputError
from mmmc.training.optim import lr_factor

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


def test_how_long_is_chosen() -> None:
    assert unit_seconds([9.0, 9.0, 9.0, 2.0, 4.0, 3.0]) == 3.0
    assert unit_seconds([9.0, 8.0, 7.0]) == 8.0  # too few to leave any out
    assert unit_seconds([9.0, 2.0, 4.0], warm=1) == 3.0
    assert units_within(300.0, 3.0) == 95  # 285 s of 300 are planned for
    assert units_within(1.0, 100.0) == 1
    assert [keeps(100.0, seconds, 1.0) for seconds in (88.0, 89.0, 105.0, 106.0)] == [False, True, True, False]
    assert keeps(100.0, 70.0, 25.0)  # another unit of this length would have been too much


def test_the_rate_falls_within_the_training() -> None:
    """torchvision's 26 epochs with steps after 16 and 22, here of 10 iterations each; a tenth of all is warm-up."""
    factors = [lr_factor(step, 260, by_torchvision.RESNET) for step in (0, 13, 26, 159, 160, 219, 220, 259)]
    assert factors == pytest.approx([0.001, 0.5005, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01])
    assert lr_factor(259, 260, by_torchvision.SSDLITE) < 1e-4


def test_epochs_and_labels_of_yolo(tiny_set: Path, tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("epoch, time, loss\n1, 10.5, 3\n2, 14.5, 2\n3, 18.0, 1\n")
    assert by_yolo.epoch_times(tmp_path / "results.csv") == [10.5, 4.0, 3.5]
    # Three with mosaics, of which the first warms up, and three without, of which the last validates.
    assert by_yolo.timed_epochs([30.0, 9.0, 11.0, 5.0, 7.0, 20.0]) == (10.0, 6.0)
    # 95 s are planned for: nine of 10 s; ten of 5 s and four of 10 s; one that is too long.
    assert [by_yolo.epochs_within(100.0, *each) for each in ((30.0, 10.0), (10.0, 5.0), (900.0, 300.0))] == [9, 14, 1]
    assert by_yolo.training_seconds([10.0, 9.0, 15.0]) == 28.0
    assert by_yolo.training_seconds([10.0]) == 10.0
    val = Task(tiny_set, 1.0, 0, 1, tmp_path).sets()[1]
    (tmp_path / f"{Path(val.names[1]).stem}.txt").write_text("1 0.5 0.25 0.25 0.125 0.75\n")
    assert val.size(1) == (64, 64)
    assert by_yolo.read_labels(tmp_path, val) == [
        {
            "image_id": val.image_id(1),
            "category_id": val.categories.ids[1],
            "bbox": [24.0, 12.0, 16.0, 8.0],
            "score": 0.75,
        }
    ]


def test_a_program_that_leaves_one_processor_alone_has_all_its_threads(tmp_path: Path) -> None:
    program = tmp_path / "program"
    program.write_text(
        "import os, sys, torch\n"
        "assert sys.argv[1:] == ['train', 'epochs=3'] and __name__ == '__main__'\n"
        "torch.set_num_threads(max(1, os.cpu_count() - 1))\n"
        "sys.exit(3)\n"
    )
    command = [sys.executable, with_threads.__file__, "5", str(tmp_path / "told.txt"), str(program)]
    done = subprocess.run([*command, "train", "epochs=3"], cwd=tmp_path)
    assert (done.returncode, (tmp_path / "told.txt").read_text()) == (3, "5")


def test_a_square_picture_is_as_large_for_everyone() -> None:
    """And one of BCCD, 480 × 640, is 240 × 320 as by the recipe."""
    torch.manual_seed(0)
    with torch.device("meta"):
        theirs = by_torchvision.resnet(by_torchvision.RESNETS["fcos"], 3).transform
    recipe = ours.recipe_of("small_mmmc")
    for height, width, seen in ((640, 640, (320, 320)), (480, 640, (240, 320))):
        picture = torch.zeros(3, height, width, dtype=torch.uint8)
        assert theirs([picture / 255])[0].image_sizes == [seen]
        assert recipe.resize(picture)[0].shape[1:] == seen
        assert recipe.augmentation.short == (320,)


class Sure(nn.Module):
    """Finds the same box in every picture; class 2 of its own count, in which the background is 0."""

    def forward(self, images: list[Tensor]) -> list[dict[str, Tensor]]:
        assert images[0].max() <= 1
        return [{"boxes": torch.tensor([[1.0, 2, 11, 22]]), "scores": torch.tensor([0.5]), "labels": torch.tensor([2])}]


def test_predictions_become_coco_results(tiny_set: Path, tmp_path: Path) -> None:
    val = Task(tiny_set, 1.0, 0, 1, tmp_path).sets()[1]
    val = replace(val, categories=replace(val.categories, ids=tuple(10 * id for id in val.categories.ids)))
    method = by_torchvision.method("ssdlite")
    results = loop.predict(method, Sure(), val)
    assert [one["image_id"] for one in results] == sorted(val.image_ids.tolist())
    assert results[0]["bbox"] == [1.0, 2.0, 10.0, 20.0]
    assert results[0]["category_id"] == val.categories.ids[1]


def test_ssdlite_of_torchvision_trains(tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two steps, with a timing of one; its results are those of the set."""
    monkeypatch.setattr(loop, "WARM", 0)
    monkeypatch.setattr(loop, "TIMED", 1)
    monkeypatch.setattr(loop, "units_within", lambda seconds, unit: 2 if seconds == 60 and unit > 0 else 0)
    method = replace(by_torchvision.method("ssdlite"), batch=2)
    built: list[nn.Module] = []
    kept = replace(method, build=lambda classes: built.append(method.build(classes)) or built[-1])
    trained = loop.train(kept, Task(tiny_set, 60.0, 0, 1, tmp_path))
    assert trained.iterations == 2
    assert trained.seconds > 0
    torch.manual_seed(0)
    before, after = method.build(2).state_dict(), built[-1].state_dict()
    assert not torch.equal(before["backbone.features.0.0.0.weight"], after["backbone.features.0.0.0.weight"])
    json.dumps(trained.settings)
    write(trained, MACHINE, tmp_path)
    assert scored(Task(tiny_set, trained.seconds, 0, trained.threads, tmp_path))["iterations"] == 2


def test_resnets_have_no_class_for_the_background() -> None:
    """So their labels are class indices; SSDlite has one, and its labels are one higher."""
    with torch.device("meta"):
        assert by_torchvision.resnet(by_torchvision.RESNETS["fcos"], 3).head.classification_head.num_classes == 3
    sample = pictures.Sample(torch.zeros(3, 8, 8, dtype=torch.uint8), torch.zeros(0, 4), torch.tensor([0, 2]))

    def model(_: list[Tensor], targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        return {"a": targets[0]["labels"].sum(), "b": torch.tensor(10)}

    assert by_torchvision.loss(model, [sample], background=1) == 14  # type: ignore[arg-type]
    assert by_torchvision.loss(model, [sample], background=0) == 12  # type: ignore[arg-type]


def test_boxes_follow_their_picture(tiny_set: Path, tmp_path: Path) -> None:
    train = Task(tiny_set, 1.0, 0, 1, tmp_path).sets()[0]
    flip = pictures.Pictures(train, v2.Compose([v2.RandomHorizontalFlip(p=1.0)]))[0]
    boxes = torch.from_numpy(train.objects(0).boxes)
    assert torch.equal(flip.boxes[:, 0], 64 - boxes[:, 2])
    first = next(pictures.batches(train, v2.Compose([v2.Identity()]), 100, seed=0))
    assert len(first) == len(train)  # a batch is never larger than the set


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
