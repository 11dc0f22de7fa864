"""Training steps on the same pictures again and again."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import torch
from lightning_fabric import Fabric

from benchmarks.detectors import built
from benchmarks.memory import Peak
from benchmarks.timing import wait_for
from mmmc.assign import Assigner
from mmmc.recipe import Recipe
from mmmc.structures import Assignment, Batch, Points, Prediction, Target
from mmmc.training.memory import keep_freed_memory
from mmmc.training.optim import build_optimizer, take_step
from mmmc.training.step import backward_step

FABRIC = {"fp32": "32-true", "bf16": "bf16-mixed"}
"""Names that Fabric has for precisions."""


class Step:
    """A detector that takes a training step at each call, as `mmmc train` does.

    Args:
        recipe: of the detector.
        batch: what it is trained on; moved to the device once.
        classes: number of classes.
        device: where it is trained.
        precision: `fp32` or `bf16`.
        fabric: of a process among several; otherwise one is made for the device.
    """

    def __init__(
        self,
        recipe: Recipe,
        batch: Batch,
        classes: int,
        device: torch.device,
        *,
        precision: str = "fp32",
        fabric: Fabric | None = None,
    ) -> None:
        keep_freed_memory()
        self.recipe = recipe
        self.fabric = fabric or Fabric(accelerator=device.type, devices=1, precision=FABRIC[precision])  # type: ignore[arg-type]
        self.detector = built(recipe, classes, self.fabric.device).train()
        self.model = self.fabric.strategy.setup_module(self.detector)
        self.optimizer = build_optimizer(self.detector, recipe.optimizer, len(batch) * self.fabric.world_size)
        self.batch = batch.to(self.fabric.device)

    def __call__(self) -> None:
        """One step."""
        self.optimizer.zero_grad()
        backward_step(self.fabric, self.model, [self.batch], self.recipe)
        take_step(self.optimizer, self.detector.parameters(), self.recipe.optimizer.clip)


@dataclass(frozen=True)
class Clocked(Assigner):
    """An assigner whose calls are timed.

    Attributes:
        inner: the assigner.
        device: that is waited for before and after.
        seconds: of each call.
    """

    inner: Assigner
    device: torch.device
    seconds: list[float] = field(default_factory=list)

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        wait_for(self.device)
        began = time.perf_counter()
        assignment = self.inner(points, prediction, targets)
        wait_for(self.device)
        self.seconds.append(time.perf_counter() - began)
        return assignment


class AssignersShare:
    """The share of a training step that passes inside the assigner, measured anew at each call."""

    def __init__(self, recipe: Recipe, batch: Batch, classes: int, device: torch.device, **options: str) -> None:
        self.clock = Clocked(recipe.assigner, device)
        self.step = Step(replace(recipe, assigner=self.clock), batch, classes, device, **options)  # type: ignore[arg-type]

    def __call__(self) -> float:
        """The share of one step."""
        self.clock.seconds.clear()
        wait_for(self.clock.device)
        began = time.perf_counter()
        self.step()
        wait_for(self.clock.device)
        return sum(self.clock.seconds) / (time.perf_counter() - began)


def memory_of_steps(recipe: Recipe, batch: Batch, classes: int, device: torch.device, precision: str) -> float | None:
    """MB that a detector and two of its training steps need at most; on a CPU for a process of its own."""
    with Peak(device) as peak:
        step = Step(recipe, batch, classes, device, precision=precision)
        for _ in range(2):
            step()
    return peak.extra
