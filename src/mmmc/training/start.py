"""How a training begins: the folder, the data, the machine; new, or where it was cut."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch
from lightning_fabric import Fabric
from lightning_fabric.utilities.exceptions import MisconfigurationException
from rich.console import Console

from mmmc.errors import InputError
from mmmc.evaluate import Scores
from mmmc.recipe import Recipe, load_recipe
from mmmc.training.folder import RunFolder
from mmmc.training.loggers import build_loggers
from mmmc.training.loop import Run
from mmmc.training.sets import open_sets
from mmmc.training.setup import set_up
from mmmc.training.timing import iterations_within


def train(
    recipe: Recipe | None,
    out: str | Path,
    *,
    resume: bool = False,
    init: str | Path | None = None,
    time_budget: float | None = None,
    accelerator: str = "auto",
    devices: int | str = "auto",
    nodes: int = 1,
    quiet: bool = False,
) -> Scores:
    """Train a detector and leave a run folder.

    Args:
        recipe: what to do; with `resume` it is read from the folder, and None is expected.
        out: the run folder. It must not hold anything, unless `resume`.
        resume: go on after the last finished epoch. The result equals, bit for bit, that of a run never interrupted
            on the same machine with the same number of threads; on a GPU but for the last places, for its sums have
            no fixed order.
        init: weights to begin with: a run folder or weights file of ours, or torchvision's FCOS trained on COCO.
        time_budget: seconds. A few steps are timed and the number of iterations is chosen so that training,
            with its evaluations, fits; the schedule of the learning rate shrinks with it.
        accelerator: `cpu`, `cuda`, or `auto`, which is `cuda` where there is one.
        devices: how many of them on each node.
        nodes: machines that work together.
        quiet: no progress bar.

    Returns:
        The scores of the last epoch's (averaged) weights.

    Raises:
        InputError: anything in recipe, data or folder that cannot be used.
        FloatingPointError: a loss was not finite; names the term and the pictures.
    """
    folder = RunFolder(Path(out))
    recipe = _resumed_recipe(folder) if resume else recipe
    if recipe is None:
        raise InputError("A new run needs a recipe.")
    if not resume:
        folder.require_free()
    fabric = _machine(recipe, folder, accelerator, devices, nodes)
    # The other processes of this training run these lines too; the first one speaks for all.
    with folder.alone() if fabric.is_global_zero else nullcontext():
        try:
            train_set, val_set = open_sets(recipe.data)
        except InputError as error:
            if not resume:
                raise
            where = f"If the set has moved, name its place in {folder.recipe} (`data`)."
            raise InputError(f"{error} {where}") from error
        # With several processes the others begin here, after the same checks.
        fabric.launch()
        console = None if quiet else Console(stderr=True)
        deadline = None if time_budget is None else time.perf_counter() + time_budget
        if resume:
            setup = set_up(fabric, recipe, train_set, val_set, load_backbone=False)
            run = Run(fabric, recipe, folder, train_set, val_set, setup, deadline=deadline, console=console)
            run.resume()
            return run()
        with folder.creating(fabric.is_global_zero):
            start = None if init is None else Path(init)
            setup = set_up(fabric, recipe, train_set, val_set, init=start, console=console)
            if time_budget is not None:
                iterations = iterations_within(
                    time_budget,
                    fabric,
                    setup.detector,
                    recipe,
                    islice(setup.loader.epoch(0), 8),
                    steps_per_epoch=setup.loader.steps_per_epoch,
                    val_pictures=len(val_set),
                )
                recipe = replace(recipe, train=replace(recipe.train, iterations=iterations))
            run = Run(fabric, recipe, folder, train_set, val_set, setup, deadline=deadline, console=console)
            run.begin()
        return run()


def _resumed_recipe(folder: RunFolder) -> Recipe:
    folder.require()
    return load_recipe(folder.recipe)


def _machine(recipe: Recipe, folder: RunFolder, accelerator: str, devices: int | str, nodes: int) -> Fabric:
    """The devices and processes to train on, not yet started."""
    if accelerator == "cuda" and not torch.cuda.is_available():
        raise InputError("There is no CUDA device that PyTorch can use here. Allowed: accelerator cpu, or auto.")
    loggers = build_loggers(recipe.train.loggers, folder.path)
    if accelerator == "auto":
        # Fabric would take Apple's GPU first, which knows no float64.
        accelerator = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        return Fabric(
            accelerator=accelerator,
            devices=devices,
            num_nodes=nodes,
            precision=recipe.train.precision,
            loggers=loggers,
        )
    except (ValueError, RuntimeError, MisconfigurationException) as error:
        asked = f"accelerator {accelerator!r}, devices {devices!r}, nodes {nodes!r}"
        raise InputError(f"This machine cannot be used with {asked}: {error}") from error
