"""How many iterations fit into a time, by a clock that the test turns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from mmmc.errors import InputError
from mmmc.structures import Batch
from mmmc.testing import make_target
from mmmc.training import timing
from mmmc.training.timing import iterations_within

from .tiny import tiny_recipe

PART = Batch(torch.zeros(2, 3, 32, 32, dtype=torch.uint8), [make_target([], (32, 32))] * 2)
"""Two of them are a step of four pictures."""


class FourProcesses(Fabric):
    world_size = 4


def fit(
    monkeypatch: pytest.MonkeyPatch, data: Path, seconds: float, evaluate_every: int, kind: type[Fabric] = Fabric
) -> int:
    """Eight steps are timed, half a second of loading and two of computing each; the first three take ten more."""
    now, taken = 0.0, 0

    def load() -> Iterator[list[Batch]]:
        nonlocal now
        for _ in range(8):
            now += 0.5
            yield [PART, PART]

    def compute(_fabric: Any, _model: Any, parts: list[Batch], _recipe: Any) -> None:
        nonlocal now, taken
        assert len(parts) == 2
        now += 12.0 if taken < 3 else 2.0
        taken += 1

    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now))
    monkeypatch.setattr(timing, "backward_step", compute)
    return iterations_within(
        seconds,
        kind(accelerator="cpu", devices=1),
        nn.Identity(),
        tiny_recipe(data, train={"evaluate_every": evaluate_every}),
        load(),
        steps_per_epoch=20,
        val_pictures=48,
    )


def test_loading_computing_and_evaluating_count(monkeypatch: pytest.MonkeyPatch, tiny_set: Path) -> None:
    # A step takes 2.5 s, so 1.6 pictures a second; evaluating 48 of them at a third of the work takes 10 s.
    # Timing took 50 s. Of 1000 s a tenth is kept in reserve: 900 - 50 - 10 = 840 are left.
    assert fit(monkeypatch, tiny_set, 1000, evaluate_every=0) == 336
    # An evaluation after every 20 steps costs half a second a step.
    assert fit(monkeypatch, tiny_set, 1000, evaluate_every=1) == 280


def test_processes_share_the_evaluation(monkeypatch: pytest.MonkeyPatch, tiny_set: Path) -> None:
    assert fit(monkeypatch, tiny_set, 1000, evaluate_every=0, kind=FourProcesses) == 339


def test_a_time_that_is_too_short_is_refused(monkeypatch: pytest.MonkeyPatch, tiny_set: Path) -> None:
    # 25 s are ten iterations.
    enough = (25 + 50 + 10) / 0.9
    assert fit(monkeypatch, tiny_set, enough + 0.1, evaluate_every=0) == 10
    message = r"94 seconds are too short: one iteration takes 2\.5 s and the evaluation about 10 s here"
    with pytest.raises(InputError, match=message):
        fit(monkeypatch, tiny_set, enough - 0.1, evaluate_every=0)
