"""A run that was killed and resumed equals, bit for bit, one that was never interrupted."""

from __future__ import annotations

import multiprocessing
import shutil
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmmc.checkpoint import load_checkpoint, load_weights, save_checkpoint
from mmmc.errors import InputError
from mmmc.recipe import Recipe, load_recipe, to_yaml
from mmmc.training import loop, start
from mmmc.training.folder import RunFolder
from mmmc.training.journal import read_metrics
from mmmc.training.loop import Run
from mmmc.training.sets import open_sets
from mmmc.training.state import read_state

from .tiny import STEPS, die_in_epoch, differences, run, tiny_mmmc, tiny_recipe

RANDOM = {"short": (48, 64), "crop": 0.5, "brightness": 0.2, "flip": 0.5}
AVERAGED: dict[str, dict[str, Any]] = {
    "augmentation": RANDOM,
    "optimizer": {"kind": "adamw", "lr": 1e-3, "schedule": "cosine", "warmup_kind": "linear", "clip": 5.0},
    "train": {"epochs": 4, "ema": 0.9},
}
ACCUMULATED: dict[str, dict[str, Any]] = {
    "augmentation": RANDOM,
    "model": {"frozen_norm": False},
    "train": {"epochs": 4, "accumulate": 2},
}


def metrics(folder: RunFolder) -> list[dict[str, Any]]:
    """All rows without what a clock says."""
    timed = ("seconds", "images_per_second")
    return [{name: value for name, value in row.items() if name not in timed} for row in read_metrics(folder.metrics)]


def content(folder: RunFolder) -> dict[str, Any]:
    """All that a run has learned and said."""
    state = load_checkpoint(folder.checkpoint)
    del state["progress"]["seconds"]
    weights = {which: load_weights(folder.weights(which)).state for which in ("best", "last")}
    return {"checkpoint": state, "metrics": metrics(folder), **weights}


@pytest.fixture(scope="module")
def uninterrupted(
    request: pytest.FixtureRequest, tiny_set: Path, start: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Recipe, RunFolder]:
    recipe = {
        "averaged": lambda: tiny_recipe(tiny_set, **AVERAGED),
        "accumulated": lambda: tiny_recipe(tiny_set, **ACCUMULATED),
        # The start by FCOS ends within the second epoch; the kill comes in the third.
        "mmmc": lambda: tiny_mmmc(tiny_set, **AVERAGED),
    }[request.param]()
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "whole")
    run(recipe, folder.path, init=start)
    return recipe, folder


FULL = pytest.mark.full


@pytest.mark.parametrize(
    ("uninterrupted", "workers"),
    [
        ("averaged", 0),
        ("accumulated", 0),
        ("mmmc", 2),
        pytest.param("averaged", 2, marks=FULL),
        pytest.param("accumulated", 2, marks=FULL),
        pytest.param("mmmc", 0, marks=FULL),
    ],
    indirect=["uninterrupted"],
)
def test_a_killed_run_goes_on_as_if_nothing_had_happened(
    uninterrupted: tuple[Recipe, RunFolder], workers: int, start: Path, tmp_path: Path
) -> None:
    recipe, whole = uninterrupted
    recipe = replace(recipe, train=replace(recipe.train, workers=workers))
    folder = RunFolder(tmp_path / "killed")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mmmc.training"])
    process = context.Process(target=die_in_epoch, args=(2, recipe, folder.path, start))
    process.start()
    process.join()
    assert process.exitcode == -signal.SIGKILL
    # It died in the middle of the third epoch, whose line is there and whose end is not.
    assert load_checkpoint(folder.checkpoint)["progress"]["epoch"] == 2
    assert (read_metrics(folder.metrics)[-1]["epoch"], read_metrics(folder.metrics)[-1]["step"]) == (3, 2 * STEPS + 1)

    scores = run(None, folder.path, resume=True)
    assert list(differences(content(whole), content(folder))) == []
    rows = metrics(whole)
    assert rows[-1]["AP"] == scores.AP > 0
    assert len({row["loss"] for row in rows if row["kind"] == "train"}) == 4 * STEPS
    assert [row["step"] for row in rows if row["kind"] == "train"] == list(range(1, 4 * STEPS + 1))


def give_scores(patch: pytest.MonkeyPatch, *values: float) -> None:
    """Let these be the AP of the next evaluations."""
    measured, given = loop.score, iter(values)
    patch.setattr(loop, "score", lambda *arguments: replace(measured(*arguments), AP=next(given)))


@pytest.fixture(scope="module")
def broken_off(tiny_set: Path, start: Path, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run of two epochs, the first of them the best, that ended between the last line and the last checkpoint."""
    folder = RunFolder(tmp_path_factory.mktemp("runs") / "broken off")
    save = Run._save_checkpoint

    def refuse_at_end(self: Run, *, finished: bool) -> None:
        if finished:
            raise KeyboardInterrupt
        save(self, finished=finished)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Run, "_save_checkpoint", refuse_at_end)
        give_scores(patch, 0.3, 0.2)
        with pytest.raises(KeyboardInterrupt):
            run(tiny_recipe(tiny_set, train={"ema": 0.9}), folder.path, init=start)
    return folder


def copy(folder: RunFolder, path: Path) -> RunFolder:
    return RunFolder(Path(shutil.copytree(folder.path, path / "run")))


def test_an_epoch_whose_end_was_not_saved_is_repeated(
    broken_off: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy(broken_off, tmp_path)
    before = {which: load_weights(folder.weights(which)).state for which in ("best", "last")}
    rows = metrics(folder)
    assert rows[-1]["kind"] == "val"
    assert list(differences(before["best"], before["last"])) != []
    give_scores(monkeypatch, 0.2)
    run(None, folder.path, resume=True)
    after = {which: load_weights(folder.weights(which)).state for which in ("best", "last")}
    assert list(differences(before, after)) == []
    progress = load_checkpoint(folder.checkpoint)["progress"]
    assert (progress["best"], progress["since_best"]) == (0.3, 1)
    assert metrics(folder) == rows
    with pytest.raises(InputError, match=r"is finished; there is nothing to resume"):
        run(None, folder.path, resume=True)


def test_a_folder_that_lacks_parts_is_not_resumed(broken_off: RunFolder, tmp_path: Path) -> None:
    folder = copy(broken_off, tmp_path)
    state = load_checkpoint(folder.checkpoint)

    recipe = folder.recipe.read_text()
    folder.recipe.write_text(recipe.replace("epochs: 2", "epochs: 9"))
    with pytest.raises(InputError, match=r"recipe\.yaml is not the recipe that the run began with"):
        run(None, folder.path, resume=True)
    folder.recipe.write_text(recipe[:-40])
    with pytest.raises(InputError, match=r"recipe\.yaml"):
        run(None, folder.path, resume=True)
    folder.recipe.write_text(recipe)

    other = {"names": ["lamp"], "ids": [1]}
    for changed, message in (
        ({**state, "categories": other}, r"other categories than when the run began"),
        ({name: value for name, value in state.items() if name != "optimizer"}, r"not whole: optimizer is missing"),
        ({**state, "model": {}}, r"checkpoint\.pt holds another model: .* is missing"),
        ({**state, "format": "mmmc 0"}, r"checkpoint\.pt is no checkpoint of mmmc"),
    ):
        save_checkpoint(folder.checkpoint, changed)
        with pytest.raises(InputError, match=message):
            run(None, folder.path, resume=True)
    folder.checkpoint.unlink()
    with pytest.raises(InputError, match=r"There is no checkpoint .*checkpoint\.pt"):
        run(None, folder.path, resume=True)
    folder.recipe.unlink()
    with pytest.raises(InputError, match=r"holds no run: there is no recipe\.yaml"):
        run(None, folder.path, resume=True)
    with pytest.raises(InputError, match=r"holds no run"):
        run(None, tmp_path / "nowhere", resume=True)


def test_a_run_whose_set_has_moved_says_where_to_name_it(broken_off: RunFolder, tiny_set: Path, tmp_path: Path) -> None:
    folder = copy(broken_off, tmp_path)
    whole = folder.recipe.read_text()
    folder.recipe.write_text(whole.replace(str(tiny_set), str(tmp_path / "gone")))
    message = r"gone: there is no such folder\. .* If the set has moved, name its place in .*recipe\.yaml \(`data`\)\.$"
    with pytest.raises(InputError, match=message):
        run(None, folder.path, resume=True)

    elsewhere = shutil.copytree(tiny_set, tmp_path / "elsewhere")
    folder.recipe.write_text(whole.replace(str(tiny_set), str(elsewhere)))
    run(None, folder.path, resume=True)
    assert load_checkpoint(folder.checkpoint)["finished"]


def test_a_run_does_not_go_on_with_other_data(
    broken_off: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = copy(broken_off, tmp_path)
    recipe = load_recipe(folder.recipe)
    train_set, val_set = open_sets(recipe.data)
    moved = replace(train_set, xywh=train_set.xywh + 1)
    for other in ((train_set.subset(range(8)), val_set), (train_set, train_set), (moved, val_set)):
        monkeypatch.setattr(start, "open_sets", lambda _, other=other: other)
        with pytest.raises(InputError, match=r"other pictures or objects than when the run began\. .*--init"):
            run(None, folder.path, resume=True)
    state = load_checkpoint(folder.checkpoint)
    del state["data"]  # as older versions wrote it
    save_checkpoint(folder.checkpoint, state)
    assert read_state(folder, recipe, train_set.categories, "other")["progress"] == state["progress"]


def test_what_was_refused_is_still_whole(broken_off: RunFolder, tiny_set: Path) -> None:
    """A folder with a run in it is left alone by a new one."""
    before = broken_off.checkpoint.read_bytes()
    with pytest.raises(InputError, match=r"holds another run\. .*--resume"):
        run(tiny_recipe(tiny_set), broken_off.path)
    assert broken_off.checkpoint.read_bytes() == before
    assert to_yaml(tiny_recipe(tiny_set, train={"ema": 0.9})) == broken_off.recipe.read_text()
