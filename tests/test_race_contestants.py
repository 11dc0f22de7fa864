"""Contestants of the race: how long they train, how they read pictures, and what their predictions become."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmarks.race import by_torchvision, by_yolo, loop, ours, pictures, with_threads
from benchmarks.race.running import scored
from benchmarks.race.schedule import keeps, unit_seconds, units_within
from benchmarks.race.task import Task, write
from mmmc.training.optim import lr_factor


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
    write(trained, {"cpu": "a processor"}, tmp_path)
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
