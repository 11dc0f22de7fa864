"""A detector that trains for an epoch in a blink, and processes that train it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from benchmarks.suite.processes import become_rank
from mmmc.assign import APS, FCOS
from mmmc.checkpoint import Weights, save_weights
from mmmc.data.sets import Categories
from mmmc.data.transforms import Augmentation, Resize
from mmmc.evaluate import Scores
from mmmc.model import Detector, ModelConfig, RFAConfig
from mmmc.postprocess import Postprocess
from mmmc.recipe import DataConfig, OptimizerConfig, Recipe, TrainConfig, WarmStart
from mmmc.training import train
from mmmc.training.journal import Journal

STEPS = 3
"""Steps of an epoch: 12 pictures, 4 at a time."""


def tiny_recipe(folder: Path, **changes: dict[str, Any]) -> Recipe:
    """A recipe for the tiny set, with other options by section."""
    recipe = Recipe(
        data=DataConfig(path=str(folder)),
        model=ModelConfig(backbone="test_resnet", weights="none", frozen_stages=1, channels=16, groups=4, depth=1),
        augmentation=Augmentation(short=(64,), long=96),
        resize=Resize(64, 96),
        optimizer=OptimizerConfig(lr=0.01, lr_batch=4),
        train=TrainConfig(epochs=2, batch_size=4, workers=0, log_every=1, loggers=()),
        # After so few steps no class is likely; a score of 0 would hide every difference.
        postprocess=Postprocess(threshold=0.0),
    )
    return replace(
        recipe, **{section: replace(getattr(recipe, section), **options) for section, options in changes.items()}
    )


def shrunk(recipe: Recipe, folder: Path, **model: Any) -> Recipe:
    """Two steps of a published recipe with its own head, losses and optimiser, on a small backbone and pictures."""
    tiny = tiny_recipe(folder)
    return replace(
        recipe,
        data=tiny.data,
        model=replace(recipe.model, backbone="test_resnet", weights="none", frozen_stages=1, **model),
        augmentation=tiny.augmentation,
        resize=tiny.resize,
        train=replace(recipe.train, iterations=2, batch_size=2, workers=0, loggers=(), diagnose=0),
    )


def tiny_mmmc(folder: Path, **changes: dict[str, Any]) -> Recipe:
    """The same with RFA, and with APS after a start by FCOS."""
    recipe = tiny_recipe(folder, **changes)
    rfa = RFAConfig(class_position=1, box_position=1)
    return replace(
        recipe,
        model=replace(recipe.model, rfa=rfa),
        assigner=APS(),
        warm_start=WarmStart(FCOS(range_strides=4.0), share=0.4),
    )


def lively(detector: Detector, seed: int = 0) -> Detector:
    """The detector with a head whose boxes overlap objects, so that all losses and scores say something."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(seed)
        detector.head.class_logits.weight.normal_(std=0.2)
        detector.head.class_logits.bias.fill_(-1.0)
        detector.head.box_distances.weight.normal_(std=0.1)
        detector.head.box_distances.bias.fill_(1.2)
        detector.head.box_quality.weight.normal_(std=0.1)
    return detector


def save_lively(recipe: Recipe, categories: Categories, path: Path) -> None:
    """Weights to begin with, in which nothing is at its trivial start."""
    torch.manual_seed(0)
    detector = lively(Detector(recipe.model, len(categories)))
    save_weights(path, Weights(detector.state_dict(), recipe, categories))


def run(recipe: Recipe | None, out: Path, **options: Any) -> Scores:
    """Train here, on the CPU, without a word."""
    return train(recipe, out, **{"accelerator": "cpu", "devices": 1, "quiet": True, **options})


def die_in_epoch(epoch: int, recipe: Recipe, out: Path, init: Path) -> None:
    """Train, and be killed after the first step of this epoch has been logged."""
    step = Journal.step

    def log_and_die(self: Journal, now: int, *args: Any, **options: Any) -> None:
        step(self, now, *args, **options)
        if now == epoch:
            os.kill(os.getpid(), signal.SIGKILL)

    Journal.step = log_and_die  # type: ignore[method-assign]
    run(recipe, out, init=init)


def train_as_rank(rank: int, world: int, port: int, runs: list[tuple[Recipe, Path]], init: Path) -> None:
    """Train as one of several processes that were started from outside, as torchrun does."""
    become_rank(rank, world, port)
    for recipe, out in runs:
        run(recipe, out, init=init, devices=world)
    torch.distributed.destroy_process_group()


def differences(one: Any, other: Any, name: str = "") -> Iterator[str]:
    """Where two nests of dictionaries, lists, tensors and plain values are not equal to the last bit."""
    if isinstance(one, Tensor):
        if not (isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)):
            yield name
    elif isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for key in one:
            yield from differences(one[key], other[key], f"{name}/{key}")
    elif isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        for index, (left, right) in enumerate(zip(one, other, strict=True)):
            yield from differences(left, right, f"{name}/{index}")
    elif one != other:
        yield name
