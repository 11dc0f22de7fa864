"""The loop for contestants that are modules of PyTorch: timing, training, prediction."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from itertools import islice
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.transforms import v2

from benchmarks.race.pictures import Sample, batches
from benchmarks.race.schedule import TIMED, WARM, unit_seconds, units_within
from benchmarks.race.task import Task, Trained
from mmmc.data.pictures import read_picture
from mmmc.data.sets import CocoSet
from mmmc.evaluate import to_results
from mmmc.recipe import OptimizerConfig
from mmmc.structures import Detections
from mmmc.training.optim import EMA, build_optimizer, lr_factor, set_lr, take_step

Found = tuple[Tensor, Tensor, Tensor]
"""Boxes `x1 y1 x2 y2` in the picture's pixels, scores and class indices."""


@dataclass(frozen=True)
class Method:
    """How a contestant trains and predicts.

    Attributes:
        build: the model with random weights, for so many classes.
        loss: of a batch, a scalar.
        detect: boxes in one 8-bit picture `3 H W`; the model is in evaluation mode.
        augment: random changes of training pictures.
        batch: pictures of a step.
        optimizer: its authors' choice, as this package's recipes say it.
        size: of the pictures, for readers.
        source: where the authors say so, for readers.
        ema: decay of the averaged weights that are scored; None for none.
        packages: whose versions are to be known.
    """

    build: Callable[[int], nn.Module]
    loss: Callable[[nn.Module, list[Sample]], Tensor]
    detect: Callable[[nn.Module, Tensor], Found]
    augment: v2.Transform
    batch: int
    optimizer: OptimizerConfig
    size: str
    source: str
    ema: float | None = None
    packages: tuple[str, ...] = ("torch", "torchvision")


def train(method: Method, task: Task) -> Trained:
    """Time a few steps on a model that is thrown away, choose the number of iterations, train and predict."""
    pictures, val = task.sets()
    times = _Training(method, pictures, task.seed, WARM + TIMED)()
    step = unit_seconds(times)
    iterations = units_within(task.seconds, step)
    training = _Training(method, pictures, task.seed, iterations)
    seconds = sum(training())
    return Trained(
        results=predict(method, training.scored, val),
        iterations=iterations,
        seconds=seconds,
        unit_seconds=step,
        threads=torch.get_num_threads(),
        settings=settings(method),
        versions={name: version(name) for name in method.packages},
    )


def settings(method: Method) -> Mapping[str, Any]:
    """What decides a training by a method."""
    return {
        "batch": method.batch,
        "size": method.size,
        "source": method.source,
        "ema": method.ema,
        "optimizer": asdict(method.optimizer),
        "augment": [repr(transform) for transform in method.augment.transforms],
    }


class _Training:
    """A model and what moves it; called, it trains for `total` steps and returns the seconds of each."""

    def __init__(self, method: Method, pictures: CocoSet, seed: int, total: int) -> None:
        torch.manual_seed(seed)
        self.method, self.total = method, total
        self.model = method.build(len(pictures.categories)).train()
        self.batches = batches(pictures, method.augment, method.batch, seed)
        self.optimizer = build_optimizer(self.model, method.optimizer, method.batch)
        self.ema = None if method.ema is None else EMA(self.model, method.ema)

    def __call__(self) -> list[float]:
        times = []
        last = time.perf_counter()
        for step, batch in enumerate(islice(self.batches, self.total)):
            set_lr(self.optimizer, lr_factor(step, self.total, self.method.optimizer))
            self.optimizer.zero_grad()
            self.method.loss(self.model, batch).backward()
            take_step(self.optimizer, self.model.parameters(), self.method.optimizer.clip)
            if self.ema is not None:
                self.ema.update(self.model)
            now = time.perf_counter()
            times.append(now - last)
            last = now
        return times

    @property
    def scored(self) -> nn.Module:
        """The weights that predict: averaged, if they are averaged."""
        return self.model if self.ema is None else self.ema.model


@torch.no_grad()
def predict(method: Method, model: nn.Module, val: CocoSet) -> list[dict[str, Any]]:
    """COCO results on all pictures of a set."""
    model.eval()
    found = []
    for index in range(len(val)):
        found.append(Detections(*method.detect(model, read_picture(val.file(index))), val.image_id(index)))
    return to_results(found, val.categories.ids)
