"""What a training is set up with before its first step: detector, loaders, and who looks at the labels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from rich.console import Console
from torch import nn

from mmmc.data.coco import CocoSet
from mmmc.data.loading import EvalLoader, TrainLoader
from mmmc.data.sets import Categories
from mmmc.model import Detector
from mmmc.recipe import Recipe
from mmmc.training.initial import initialize
from mmmc.training.probe import Probe


@dataclass(frozen=True)
class Setup:
    """The parts of a training.

    Attributes:
        detector: on its device, with its first weights.
        model: the same as the strategy of the processes wraps it.
        loader: batches to train on.
        val_loader: batches to score.
        probe: looks at the labels after each epoch, in the first process alone.
    """

    detector: Detector
    model: nn.Module
    loader: TrainLoader
    val_loader: EvalLoader
    probe: Probe | None


def set_up(
    fabric: Fabric,
    recipe: Recipe,
    train_set: CocoSet,
    val_set: CocoSet,
    *,
    load_backbone: bool = True,
    init: Path | None = None,
    console: Console | None = None,
) -> Setup:
    """Build all parts and bring them to the device.

    Args:
        fabric: devices and processes, launched.
        recipe: what to do.
        train_set: pictures to train on.
        val_set: pictures to score.
        load_backbone: begin with the backbone's weights that the recipe names; a resumed run has its own.
        init: weights to begin with instead, see `mmmc.train`.
        console: told what was taken from them.

    Raises:
        InputError: weights are missing or do not fit.
    """
    config = recipe.train
    # Everything random before the first step is drawn here: the new layers of the detector.
    torch.manual_seed(config.seed)
    detector = _detector(fabric, recipe, train_set.categories, load_backbone, init, console)
    options: dict[str, Any] = {
        "pad_value": detector.backbone.normalize.padding,
        "workers": config.workers,
        "rank": fabric.global_rank,
        "world": fabric.world_size,
        "pin_memory": fabric.device.type == "cuda",
    }
    loader = TrainLoader(
        train_set,
        recipe.augmentation,
        seed=config.seed,
        batch_size=config.batch_size,
        micro=config.accumulate,
        **options,
    )
    share = max(1, config.batch_size // (fabric.world_size * config.accumulate))
    val_loader = EvalLoader(val_set, recipe.resize, batch_size=share, **options)
    # One process looks for all.
    alone = {**options, "rank": 0, "world": 1}
    probe = Probe(fabric, train_set, recipe, alone) if fabric.is_global_zero else None
    # Not `fabric.setup`: its wrapper would open every output to convert it, and refuses a frozen dataclass.
    fabric.to_device(fabric.strategy.precision.convert_module(detector))
    return Setup(detector, fabric.strategy.setup_module(detector), loader, val_loader, probe)


def _detector(
    fabric: Fabric,
    recipe: Recipe,
    categories: Categories,
    load_backbone: bool,
    init: Path | None,
    console: Console | None,
) -> Detector:
    detector = Detector(recipe.model, len(categories), load_backbone=load_backbone)
    if init is not None:
        report = initialize(detector, recipe.model, init, categories)
        if console and fabric.is_global_zero:
            console.print(str(report), highlight=False, markup=False)
    # Convolutions on a CPU and on a GPU's tensor cores are faster with channels last.
    return detector.to(memory_format=torch.channels_last)
