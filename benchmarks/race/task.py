"""What a contestant is told, and what it gives back, as values and as the files between two processes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mmmc.data.sets import CocoSet
from mmmc.evaluate import write_results
from mmmc.files import write_text
from mmmc.recipe import DataConfig
from mmmc.training.sets import open_sets


@dataclass(frozen=True)
class Task:
    """One training.

    Attributes:
        data: folder of the set.
        seconds: of training; what comes before and after it does not count.
        seed: of everything random.
        threads: of the process.
        out: an empty folder for whatever the contestant leaves.
        environment: the folder of its own Python environment; None if it needs none.
    """

    data: Path
    seconds: float
    seed: int
    threads: int
    out: Path
    environment: Path | None = None

    def sets(self) -> tuple[CocoSet, CocoSet]:
        """The pictures to train on and those that are scored."""
        return open_sets(DataConfig(path=str(self.data)))


@dataclass(frozen=True)
class Trained:
    """What came of it.

    Attributes:
        results: COCO results on the scored pictures.
        iterations: optimiser steps that were taken.
        seconds: that the training loop took, from the first step to the last.
        unit_seconds: of a step, or of an epoch where a training is a number of those, as `iterations` was chosen by.
        threads: that it computed with.
        settings: what decided the training, for readers.
        versions: of the packages that trained, by name.
    """

    results: list[dict[str, Any]]
    iterations: int
    seconds: float
    unit_seconds: float
    threads: int
    settings: Mapping[str, Any]
    versions: Mapping[str, str]


def write(trained: Trained, machine: Mapping[str, Any], folder: Path) -> None:
    """Leave `results.json`, COCO results, and `trained.json`, all else with the machine."""
    write_results(folder / "results.json", trained.results)
    rest = {key: value for key, value in asdict(trained).items() if key != "results"} | {"machine": dict(machine)}
    text = json.dumps(rest, ensure_ascii=False, allow_nan=False) + "\n"
    write_text(folder / "trained.json", text)
