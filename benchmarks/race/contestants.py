"""Who races. Each is a function that trains and predicts, in the Python environment that it needs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

from benchmarks.race.environments import ENVIRONMENTS, requirements
from benchmarks.race.task import Task, Trained

OWN_PACKAGES = ("torch", "torchvision", "mmmc")
"""Whose versions decide a training in the environment of this package."""


@dataclass(frozen=True)
class Contestant:
    """One that trains.

    Attributes:
        title: for readers.
        weights: what the backbone begins with, `ImageNet` or `random`.
        module: of `benchmarks.race`, whose function `train` does it and whose `settings` say by what.
        variant: which of that module's contestants.
        environment: name of its environment; empty for that of this package.
        inside: whether the process that trains runs in that environment; otherwise only its command line is called.
    """

    title: str
    weights: str
    module: str
    variant: str
    environment: str = ""
    inside: bool = False

    def folder(self) -> Path | None:
        """Of its environment."""
        return ENVIRONMENTS / self.environment if self.environment else None

    def train(self) -> Callable[[Task], Trained]:
        """The function that trains it."""
        return partial(self._module().train, self.variant)

    def settings(self) -> Mapping[str, Any]:
        """What decides its training, apart from the task."""
        return self._module().settings(self.variant)

    def settings_hash(self) -> str:
        """Eight hexadecimal digits of its settings and of the versions of its packages: runs of others are others."""
        packages: Any = {name: version(name) for name in OWN_PACKAGES}
        if self.environment:
            packages = requirements(self.environment).read_text(encoding="utf-8")
        decides = json.dumps([self.settings(), packages], sort_keys=True)
        return hashlib.sha256(decides.encode()).hexdigest()[:8]

    def _module(self) -> ModuleType:
        return import_module(f"benchmarks.race.{self.module}")


CONTESTANTS = {
    "mmmc": Contestant("MMMC, `small_mmmc`", "ImageNet", "ours", "small_mmmc"),
    "fcos": Contestant("FCOS, `small`", "ImageNet", "ours", "small"),
    "mmmc-random": Contestant("MMMC, `small_mmmc`", "random", "ours", "small_mmmc from random weights"),
    "fcos-random": Contestant("FCOS, `small`", "random", "ours", "small from random weights"),
    "torchvision-fcos": Contestant("torchvision FCOS R50", "random", "by_torchvision", "fcos"),
    "torchvision-retinanet": Contestant("torchvision RetinaNet R50", "random", "by_torchvision", "retinanet"),
    "torchvision-ssdlite": Contestant("torchvision SSDlite320", "random", "by_torchvision", "ssdlite"),
    "yolo": Contestant("YOLO26n (AGPL, called from outside)", "random", "by_yolo", "yolo26n.yaml", "ultralytics"),
    "rt-detr": Contestant("RT-DETR R18", "random", "by_transformers", "rt-detr", "transformers", inside=True),
    "d-fine": Contestant("D-FINE-N", "random", "by_transformers", "d-fine", "transformers", inside=True),
}
