"""Every method that comes with the package trains in the same loop, resumes exactly, and in two processes as in one."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmmc.checkpoint import load_checkpoint, load_weights
from mmmc.recipe import Recipe, load_recipe, recipe_names
from mmmc.training.folder import RunFolder
from mmmc.training.journal import read_metrics
from mmmc.training.loop import Run

from .test_processes import in_two_processes
from .tiny import differences, run, shrunk, tiny_recipe

METHODS = [name for name in recipe_names() if name.startswith("small")]
PUBLISHED = [name for name in recipe_names() if name.endswith(("_1x", "_2x"))]


def tiny_method(name: str, folder: Path, **train: object) -> Recipe:
    """What is the method's own of a recipe, on the tiny detector."""
    tiny, recipe = tiny_recipe(folder, train=train), load_recipe(name)
    own = {
        field: getattr(recipe.model, field)
        for field in ("box_form", "box_bias", "box_bins", "class_prior", "rfa", "part")
    }
    return replace(
        tiny,
        model=replace(tiny.model, **own),
        assigner=recipe.assigner,
        # The switch comes within the second of three epochs of three steps.
        warm_start=replace(recipe.warm_start, share=0.4),
        criterion=recipe.criterion,
        postprocess=replace(recipe.postprocess, threshold=0.0),
    )


class Cut(Exception):
    """A run breaks off."""


@pytest.mark.parametrize("name", METHODS)
def test_a_method_resumes_exactly(
    name: str, tiny_set: Path, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tiny_method(name, tiny_set, epochs=3, ema=0.9)
    whole, cut = RunFolder(tmp_path / "whole"), RunFolder(tmp_path / "cut")
    run(recipe, whole.path, init=start)
    train_epoch = Run._train_epoch

    def break_off(self: Run, epoch: int) -> None:
        if epoch == 2:
            raise Cut
        train_epoch(self, epoch)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "_train_epoch", break_off)
        with pytest.raises(Cut):
            run(recipe, cut.path, init=start)
    run(None, cut.path, resume=True)
    one, other = (load_checkpoint(folder.checkpoint) for folder in (whole, cut))
    for state in (one, other):
        del state["progress"]["seconds"]
    assert list(differences(one, other)) == []
    losses = [row["loss"] for row in read_metrics(whole.metrics) if row["kind"] == "train"]
    assert len(set(losses)) == len(losses) == 9


@pytest.mark.full
def test_two_processes_equal_one_for_every_method(tiny_set: Path, start: Path, tmp_path: Path) -> None:
    """In float64, three steps of each."""
    recipes = {name: tiny_method(name, tiny_set, iterations=3, precision="64-true") for name in METHODS}
    for name, recipe in recipes.items():
        run(recipe, tmp_path / "one" / name, init=start)
    in_two_processes([(recipe, tmp_path / "two" / name) for name, recipe in recipes.items()], start)
    wrong = []
    for name in METHODS:
        one, two = (load_weights(RunFolder(tmp_path / count / name).weights("last")).state for count in ("one", "two"))
        for key, value in one.items():
            error = float((two[key] - value).norm() / value.norm().clamp(min=1e-12))
            if not error < 1e-9:
                wrong.append((name, key, error))
    assert not wrong


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_settings_train(name: str, tiny_set: Path, tmp_path: Path) -> None:
    """Two steps each, with the recipe's own head, losses and optimiser, on a small backbone and small pictures."""
    run(shrunk(load_recipe(name), tiny_set), tmp_path / "run")
    rows = [row for row in read_metrics(RunFolder(tmp_path / "run").metrics) if row["kind"] == "train"]
    assert rows
    assert rows[-1]["loss"] > 0
