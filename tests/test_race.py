"""The race: what is run and recorded, how long contestants train, and what their predictions become."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmarks.__main__ import main
from benchmarks.race import by_torchvision, by_yolo, loop, pictures
from benchmarks.race.commands import parser, race_of
from benchmarks.race.contestants import CONTESTANTS, Contestant
from benchmarks.race.records import load
from benchmarks.race.running import Failed, Race, in_process, run, scored
from benchmarks.race.schedule import unit_seconds, units_within
from benchmarks.race.task import Task, Trained, write
from mmmc.training.optim import lr_factor

FAKES = {name: Contestant(name.upper(), "random", "none", name) for name in ("good", "bad")}
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
        write(Trained(truth(task), 7, 59.5, 0.5, {"batch": 8}, {"torch": "2"}), MACHINE, task.out)

    return start


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
    assert (good["iterations"], good["seconds"], good["machine"]) == (7, 59.5, MACHINE)
    assert bad["error"] == "status 1: no luck"
    assert "metrics" not in bad
    assert any(line.startswith("failed: bad") for line in said)

    log.clear()
    assert run(race(tiny_set, tmp_path), start=fake(log), say=said.append)
    assert log == []
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


def test_results_of_other_pictures_are_a_failure(tiny_set: Path, tmp_path: Path) -> None:
    def stranger(_: str, __: Contestant, task: Task) -> None:
        results = [truth(task)[0] | {"image_id": 10**6}]
        write(Trained(results, 1, 1.0, 1.0, {}, {}), MACHINE, task.out)

    assert not run(race(tiny_set, tmp_path), start=stranger, say=lambda _: None)
    assert "image_id" in load(tmp_path / "race.jsonl")[0]["error"]
    with pytest.raises(Failed, match="no results"):
        scored(Task(tiny_set, 1.0, 0, 1, tmp_path))


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    task = Task(tmp_path / "nothing", 1.0, 0, 1, tmp_path)
    with pytest.raises(Failed, match=r"status 1: .*InputError.*nothing"):
        in_process("fcos-random", CONTESTANTS["fcos-random"], task)
    elsewhere = replace(CONTESTANTS["yolo"], environment="never-made")
    with pytest.raises(Failed, match="make race-env"):
        in_process("yolo", elsewhere, task)


def test_how_long_is_chosen() -> None:
    assert unit_seconds([9.0, 9.0, 9.0, 2.0, 4.0, 3.0]) == 3.0
    assert unit_seconds([9.0, 8.0, 7.0]) == 8.0  # too few to leave any out
    assert unit_seconds([9.0, 2.0, 4.0], warm=1) == 3.0
    assert units_within(300.0, 3.0) == 95  # 285 s of 300 are planned for
    assert units_within(1.0, 100.0) == 1


def test_the_rate_falls_within_the_training() -> None:
    """torchvision's 26 epochs with steps after 16 and 22, here of 10 iterations each; a tenth of all is warm-up."""
    factors = [lr_factor(step, 260, by_torchvision.RESNET) for step in (0, 13, 26, 159, 160, 219, 220, 259)]
    assert factors == pytest.approx([0.001, 0.5005, 1.0, 1.0, 0.1, 0.1, 0.01, 0.01])
    assert lr_factor(259, 260, by_torchvision.SSDLITE) < 1e-4


def test_epochs_and_labels_of_yolo(tiny_set: Path, tmp_path: Path) -> None:
    (tmp_path / "results.csv").write_text("epoch, time, loss\n1, 10.5, 3\n2, 14.5, 2\n3, 18.0, 1\n")
    assert by_yolo.epoch_times(tmp_path / "results.csv") == [10.5, 4.0, 3.5]
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
    assert scored(Task(tiny_set, 60.0, 0, 1, tmp_path))["iterations"] == 2


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
