"""How many iterations fit into a time."""

from __future__ import annotations

import copy
import statistics
import time
from collections.abc import Iterable

import torch
from lightning_fabric import Fabric
from torch import nn

from mmmc.errors import InputError
from mmmc.recipe import Recipe
from mmmc.structures import Batch
from mmmc.training.step import backward_step

WARM = 3
"""Steps that are not timed: the first ones also start loaders and choose kernels."""

RESERVE = 0.9
"""Share of the time that is planned for; the rest is for saving and for steps slower than those timed."""


def iterations_within(
    seconds: float,
    fabric: Fabric,
    detector: nn.Module,
    recipe: Recipe,
    steps: Iterable[list[Batch]],
    *,
    steps_per_epoch: int,
    val_pictures: int,
) -> int:
    """Iterations that fit into `seconds` with their evaluations, from a few timed steps on a copy of the detector.

    Loading counts where a step waits for it.

    Raises:
        InputError: not even ten do.
    """
    began = last = time.perf_counter()
    probe = copy.deepcopy(detector)
    times: list[float] = []
    pictures = 0
    for parts in steps:
        backward_step(fabric, probe, [batch.to(fabric.device) for batch in parts], recipe)
        if fabric.device.type == "cuda":
            torch.cuda.synchronize(fabric.device)
        now = time.perf_counter()
        times.append(now - last)
        pictures += sum(len(batch) for batch in parts)
        last = now
    step = statistics.median(times[WARM:] or times)
    pictures_a_second = pictures / len(times) / step
    # Evaluation predicts without gradient: about a third of a step's work for each picture.
    evaluation = val_pictures / fabric.world_size / pictures_a_second / 3
    left = RESERVE * seconds - (time.perf_counter() - began) - evaluation
    every = recipe.train.evaluate_every * steps_per_epoch
    # All processes go by the clock of the first.
    total = int(fabric.broadcast(int(left / (step + (evaluation / every if every else 0)))))
    if total < 10:
        raise InputError(
            f"{seconds:.0f} seconds are too short: one iteration takes {step:.1f} s and the evaluation about "
            f"{evaluation:.0f} s here. Allow more time, or choose smaller pictures, batch or backbone."
        )
    return total
