"""MMMC and FCOS of this package, by their recipes as they come with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

from benchmarks.race.pictures import SIDE
from benchmarks.race.schedule import TIMED, WARM, unit_seconds, units_within
from benchmarks.race.task import Task, Trained
from mmmc.evaluate import to_results
from mmmc.predictor import load
from mmmc.recipe import DataConfig, Recipe, digest, load_recipe
from mmmc.training import train as train_recipe
from mmmc.training.journal import read_metrics

RANDOM = " from random weights"


def train(variant: str, task: Task) -> Trained:
    """Time a few steps, choose the number of iterations, train and predict."""
    recipe = recipe_of(variant)
    recipe = replace(recipe, data=DataConfig(path=str(task.data)))
    times = step_times(trained(recipe, task, WARM + TIMED, task.out / "timing"))
    step = unit_seconds(times)
    iterations = units_within(task.seconds, step)
    rows = trained(recipe, task, iterations, task.out / "run")
    val = task.sets()[1]
    predictor = load(task.out / "run", weights="last")
    found = predictor([val.file(index) for index in range(len(val))])
    results = to_results((replace(one, image_id=val.image_id(one.image_id)) for one in found), val.categories.ids)
    return Trained(
        results=results,
        iterations=iterations,
        seconds=sum(step_times(rows)),
        unit_seconds=step,
        threads=torch.get_num_threads(),
        settings=settings(variant),
        versions={name: version(name) for name in ("torch", "mmmc")},
    )


def settings(variant: str) -> Mapping[str, Any]:
    """What decides a training."""
    recipe = recipe_of(variant)
    return {
        "recipe": variant,
        "recipe_hash": digest(recipe),
        "batch": recipe.train.batch_size,
        "size": f"longer side {SIDE}",
    }


def recipe_of(variant: str) -> Recipe:
    """A recipe of the package; from random weights nothing is frozen, for there is nothing to keep."""
    recipe = load_recipe(variant.removesuffix(RANDOM))
    # The recipe's shorter side of 256 binds only where pictures are nearly square; there others see more of them.
    recipe = replace(
        recipe,
        resize=replace(recipe.resize, short=SIDE, long=SIDE),
        augmentation=replace(recipe.augmentation, short=(SIDE,), long=SIDE),
    )
    if variant.endswith(RANDOM):
        recipe = replace(recipe, model=replace(recipe.model, weights="none", frozen_stages=0, frozen_norm=False))
    # Nothing is looked at on the way: that is no training.
    return replace(recipe, train=replace(recipe.train, evaluate_every=0, diagnose=0, loggers=()))


def trained(recipe: Recipe, task: Task, iterations: int, out: Path) -> list[dict[str, Any]]:
    """Train so long, and return the lines of the run's journal."""
    config = replace(recipe.train, iterations=iterations, seed=task.seed, log_every=1)
    train_recipe(replace(recipe, train=config), out, accelerator="cpu", devices=1, quiet=True)
    return read_metrics(out / "metrics.jsonl")


def step_times(rows: list[dict[str, Any]]) -> list[float]:
    """Seconds of each step with its loading; evaluation and saving are not among them."""
    return [row["seconds"] for row in rows if row["kind"] == "train"]
