"""What a run leaves, when it ends, and how it stops."""

from __future__ import annotations

import json
import math
import shutil
import socket
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning_fabric.accelerators import MPSAccelerator

from mmmc.checkpoint import load_checkpoint, load_weights
from mmmc.errors import InputError
from mmmc.evaluate import Scores
from mmmc.files import in_place
from mmmc.recipe import DataConfig, digest, load_recipe
from mmmc.training import loop, setup, start
from mmmc.training.folder import RunFolder
from mmmc.training.journal import read_metrics
from mmmc.training.loop import Run
from mmmc.training.sets import open_sets
from mmmc.training.start import _machine

from .tiny import STEPS, differences, run, tiny_recipe


def evaluated(folder: RunFolder) -> list[int]:
    """Epochs that were scored."""
    return [row["epoch"] for row in read_metrics(folder.metrics) if row["kind"] == "val"]


def trained(folder: RunFolder) -> int:
    """Steps that were taken."""
    return max(row["step"] for row in read_metrics(folder.metrics) if row["kind"] == "train")


def test_names_in_brackets_are_no_markup(
    tiny_set: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(setup, "initialize", lambda *_: "left as initialised: class '[/x]'")
    recipe = tiny_recipe(tiny_set, train={"iterations": 1, "diagnose": 0})
    run(recipe, tmp_path / "run", init=start, quiet=False)
    assert "class '[/x]'" in capsys.readouterr().err


def test_pictures_of_another_size_than_was_trained_on_are_told(
    tiny_set: Path, start: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = tiny_recipe(tiny_set, train={"iterations": 1, "diagnose": 0}, resize={"short": 96})
    run(recipe, tmp_path / "run", init=start, quiet=False)
    said = " ".join(capsys.readouterr().err.split())
    assert "shorter side of 96 px (resize.short), which none has that is trained on: those have 64 to 64 px" in said


def test_a_run_folder_holds_all_to_repeat_it(tiny_set: Path, start: Path, tmp_path: Path) -> None:
    data, folder = shutil.copytree(tiny_set, tmp_path / "cells"), RunFolder(tmp_path / "run")
    annotations = data / "annotations/instances_train.json"
    content = json.loads(annotations.read_text())
    content["annotations"][1]["bbox"][2] = 0
    annotations.write_text(json.dumps(content))
    train: dict[str, Any] = {"epochs": 1, "ema": 0.9, "seed": 3, "loggers": ("tensorboard",)}
    recipe = tiny_recipe(data, train=train, data={"bad_boxes": "drop"})
    scores = run(recipe, folder.path, init=start)

    assert load_recipe(folder.recipe) == recipe
    (repair,) = (json.loads(line) for line in folder.repairs.read_text().splitlines())
    assert (repair["annotation"], repair["action"]) == (content["annotations"][1]["id"], "dropped")
    environment = folder.environment.read_text()
    assert json.loads(environment)["packages"].keys() >= {"mmmc", "torch", "torchvision", "timm"}
    assert all(place not in environment for place in (str(Path.home()), str(Path.cwd()), str(tmp_path)))
    assert socket.gethostname() not in json.loads(environment).values()

    record = json.loads(folder.record.read_text())
    assert (record["name"], record["set"], record["seed"]) == ("run", "cells", 3)
    assert (record["iterations"], record["recipe_hash"]) == (STEPS, digest(recipe))
    assert record["metrics"] == scores.numbers()
    assert record["metrics"]["AP"] == read_metrics(folder.metrics)[-1]["AP"] > 0
    assert 0 < record["seconds"] < 600

    # What is scored and saved are the averaged weights.
    state, last = load_checkpoint(folder.checkpoint), load_weights(folder.weights("last"))
    assert list(differences(state["ema"]["model"], last.state)) == []
    assert list(differences(state["model"], last.state)) != []
    assert (last.recipe, last.categories) == (recipe, open_sets(recipe.data)[0].categories)
    assert list((folder.path / "tensorboard").glob("events.*"))


def test_nothing_is_listed_where_nothing_was_dropped(tiny_set: Path, tmp_path: Path) -> None:
    """And without an average the weights themselves are saved."""
    folder = RunFolder(tmp_path / "run")
    run(tiny_recipe(tiny_set, train={"epochs": 1}), folder.path)
    assert not folder.repairs.exists()
    state = load_checkpoint(folder.checkpoint)
    assert state["ema"] is None
    assert list(differences(state["model"], load_weights(folder.weights("last")).state)) == []


@pytest.mark.parametrize(("every", "epochs"), [(2, [2, 3]), (0, [3])])
def test_epochs_that_are_scored(every: int, epochs: list[int], tiny_set: Path, tmp_path: Path) -> None:
    run(tiny_recipe(tiny_set, train={"epochs": 3, "evaluate_every": every}), tmp_path / "run")
    assert evaluated(RunFolder(tmp_path / "run")) == epochs


def test_it_ends_when_nothing_gets_better_and_keeps_the_best(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = RunFolder(tmp_path / "run")
    measured, save = loop.score, Run._save
    given = iter([math.nan, 0.3, 0.2, 0.3])

    def score(*arguments: Any) -> Scores:
        return replace(measured(*arguments), AP=next(given))

    def save_and_copy(self: Run, final: Scores | None) -> None:
        save(self, final)
        shutil.copy(folder.weights("last"), tmp_path / f"epoch{self.progress.epoch}.safetensors")

    monkeypatch.setattr(loop, "score", score)
    monkeypatch.setattr(Run, "_save", save_and_copy)
    scores = run(tiny_recipe(tiny_set, train={"epochs": 9, "early_stop": 2}), folder.path)
    assert evaluated(folder) == [1, 2, 3, 4]
    assert scores.AP == 0.3
    assert load_checkpoint(folder.checkpoint)["finished"]
    assert json.loads(folder.record.read_text())["iterations"] == trained(folder) == 4 * STEPS
    best = load_weights(folder.weights("best")).state
    second, fourth = (load_weights(tmp_path / f"epoch{epoch}.safetensors").state for epoch in (2, 4))
    assert list(differences(best, second)) == []
    assert list(differences(best, fourth)) != []


def test_a_time_becomes_iterations(tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(start, "iterations_within", lambda *_, **__: STEPS + 1)
    folder = RunFolder(tmp_path / "run")
    run(tiny_recipe(tiny_set, optimizer={"schedule": "cosine"}), folder.path, time_budget=600)
    assert load_recipe(folder.recipe).train.iterations == trained(folder) == STEPS + 1
    rates = [row["lr"] for row in read_metrics(folder.metrics) if row["kind"] == "train"]
    # The schedule shrinks with it: 0.01 times the cosine at 0, 1/4, 2/4 and 3/4.
    assert rates == pytest.approx([0.01, 0.0085355, 0.005, 0.0014645], rel=1e-4)


def test_when_the_time_is_over_the_epoch_is_the_last(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, train_epoch = 0.0, Run._train_epoch

    def train_for_a_minute(self: Run, epoch: int) -> None:
        nonlocal now
        train_epoch(self, epoch)
        now += 60

    for module in (loop, start):
        monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(start, "iterations_within", lambda *_, **__: 9 * STEPS)
    monkeypatch.setattr(Run, "_train_epoch", train_for_a_minute)
    folder = RunFolder(tmp_path / "run")
    run(tiny_recipe(tiny_set, train={"evaluate_every": 0}), folder.path, time_budget=100)
    assert (trained(folder), evaluated(folder)) == (2 * STEPS, [2])
    assert load_checkpoint(folder.checkpoint)["finished"]
    assert json.loads(folder.record.read_text())["seconds"] == 120


def test_what_a_kill_left_unfinished_goes_with_the_next_training(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    with in_place(folder.checkpoint) as unfinished:
        unfinished.touch()
    folder.checkpoint.rename(unfinished)  # as a kill leaves it
    folder.recipe.touch()
    with folder.alone():
        assert {*tmp_path.iterdir()} == {folder.recipe, folder.lock}


def test_what_is_refused_leaves_no_folder(tiny_set: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs" / "new"
    with pytest.raises(InputError, match=r"0 seconds are too short"):
        run(tiny_recipe(tiny_set), out, time_budget=0.01)
    with pytest.raises(InputError, match=r"batch_size = 4 cannot be dealt to 1 processes in 3 parts"):
        run(tiny_recipe(tiny_set, train={"accumulate": 3}), out)
    with pytest.raises(InputError, match=r"needs a recipe"):
        run(None, out)
    assert not out.exists()
    out.mkdir(parents=True)
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"new holds something else\. Name a new folder"):
        run(tiny_recipe(tiny_set), out)
    assert [path.name for path in out.iterdir()] == ["notes.txt"]


def test_where_a_process_trains_no_other_does(tiny_set: Path, tmp_path: Path) -> None:
    """Two that begin at the same time both find the folder free."""
    folder = RunFolder(tmp_path / "run")
    with folder.alone():
        folder.require_free()
        with pytest.raises(InputError, match=r"run: another process trains here\. Name a new folder, or wait"):
            run(tiny_recipe(tiny_set), folder.path)
        assert [*folder.path.iterdir()] == [folder.lock]
        folder.describe(tiny_recipe(tiny_set))
        with pytest.raises(InputError, match=r"run: another process trains here"):
            run(None, folder.path, resume=True)
    assert {path.name for path in folder.path.iterdir()} == {"recipe.yaml", "environment.json"}
    with RunFolder(tmp_path / "nothing").alone():
        pass
    assert not (tmp_path / "nothing").exists()


def test_a_loss_that_is_not_finite_ends_the_run_and_spoils_nothing(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second step of the second epoch takes a step to nowhere; the third finds itself there."""
    factor = loop.lr_factor
    monkeypatch.setattr(loop, "lr_factor", lambda step, *rest: 1e38 if step == STEPS + 1 else factor(step, *rest))
    folder = RunFolder(tmp_path / "run")
    recipe = tiny_recipe(tiny_set, train={"log_every": 10, "ema": 0.9})
    indices: list[Any] = []
    train_epoch = Run._train_epoch

    def note_indices(self: Run, epoch: int) -> None:
        indices.append(self.loader.indices(epoch))
        train_epoch(self, epoch)

    monkeypatch.setattr(Run, "_train_epoch", note_indices)
    with pytest.raises(FloatingPointError) as caught:
        run(recipe, folder.path)
    train_set, _ = open_sets(DataConfig(path=str(tiny_set)))
    pictures = [train_set.image_id(i) for i in indices[1][2].flatten().tolist()]
    message = str(caught.value)
    assert "class and box and quality loss was not finite at iteration 6, epoch 2" in message
    assert f"Pictures of this process: {pictures}" in message

    state = load_checkpoint(folder.checkpoint)
    assert (state["progress"]["epoch"], state["finished"]) == (1, False)
    assert all(value.isfinite().all() for value in load_weights(folder.weights("last")).state.values())
    assert not folder.record.exists()

    # With another learning rate it goes on from there.
    monkeypatch.undo()
    run(None, folder.path, resume=True)
    assert trained(folder) == 2 * STEPS


def test_auto_takes_no_device_that_lacks_float64(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(MPSAccelerator, "is_available", lambda: True)
    fabric = _machine(load_recipe("small", {"train": {"loggers": []}}), RunFolder(tmp_path), "auto", 1, 1)
    assert fabric.device.type == ("cuda" if torch.cuda.is_available() else "cpu")
