"""Two processes do what one does: the same weights, losses and scores."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.suite.processes import free_port
from mmmc.checkpoint import load_weights
from mmmc.recipe import Recipe, to_yaml
from mmmc.training.folder import RunFolder
from mmmc.training.journal import read_metrics

from .tiny import run, tiny_mmmc, tiny_recipe, train_as_rank

# Pictures of one size, frozen BatchNorm, SGD without clipping.
FIVE_STEPS: dict[str, Any] = {"iterations": 5, "precision": "64-true"}


def assert_same_run(one: Path, other: Path) -> None:
    """Weights, losses and scores of two runs in float64 agree within 1e-9."""
    expected, found = (load_weights(RunFolder(path).weights("last")).state for path in (one, other))
    assert expected["head.class_logits.weight"].dtype == torch.float64
    for name, value in expected.items():
        error = (found[name] - value).norm() / value.norm().clamp(min=1e-12)
        assert error < 1e-9, f"{name}: {error}"
    rows, found_rows = (read_metrics(RunFolder(path).metrics) for path in (one, other))
    assert len(rows) == len(found_rows)
    for row, found_row in zip(rows, found_rows, strict=True):
        assert row.keys() == found_row.keys()
        for name in row.keys() - {"kind", "seconds", "images_per_second"}:
            assert found_row[name] == pytest.approx(row[name], rel=1e-9), name
    # The scores can tell: they are neither 0 nor those of a set that was scored twice or by half.
    assert 0 < rows[-1]["AP"] < rows[-1]["AP50"] < rows[-1]["AR100"] < 1


Build = Callable[..., Recipe]


@pytest.fixture(
    scope="module",
    params=[pytest.param(tiny_recipe, id="fcos", marks=pytest.mark.full), pytest.param(tiny_mmmc, id="mmmc")],
)
def build(request: pytest.FixtureRequest) -> Build:
    """What makes the recipe, from the folder and changes."""
    return request.param


@pytest.fixture(scope="module")
def one(build: Build, tiny_set: Path, start: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("one") / "run"
    run(build(tiny_set, train=FIVE_STEPS), path, init=start)
    moved = load_weights(RunFolder(path).weights("last")).state
    began = load_weights(start).state
    assert (moved["fpn.pyramid.inner_blocks.0.0.weight"] - began["fpn.pyramid.inner_blocks.0.0.weight"]).norm() > 1e-4
    return path


def test_two_processes_started_by_the_command_line(
    one: Path, build: Build, tiny_set: Path, start: Path, tmp_path: Path
) -> None:
    recipe = tmp_path / "tiny.yaml"
    recipe.write_text(to_yaml(build(tiny_set, train=FIVE_STEPS)))
    command = [sys.executable, "-m", "mmmc", "train", "--recipe", str(recipe), "--out", str(tmp_path / "run")]
    command += ["--init", str(start), "--devices", "2", "--accelerator", "cpu", "--quiet", "true"]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert done.returncode == 0, done.stderr
    assert_same_run(one, tmp_path / "run")
    # Only the first of them speaks.
    assert done.stdout.count("Weights, metrics and pictures") == 1


def test_two_processes_started_from_outside(
    one: Path, build: Build, tiny_set: Path, start: Path, tmp_path: Path
) -> None:
    """As torchrun does; with each share cut into parts as well, and in float32."""
    single = build(tiny_set, train={"iterations": 1})
    parts = build(tiny_set, train={**FIVE_STEPS, "accumulate": 2})
    in_two_processes([(parts, tmp_path / "parts"), (single, tmp_path / "two")], start)
    assert_same_run(one, tmp_path / "parts")

    run(single, tmp_path / "one", init=start)
    expected, found = (read_metrics(RunFolder(tmp_path / name).metrics)[0] for name in ("one", "two"))
    losses = [name for name in expected if name.startswith("loss")]
    assert len(losses) == 4
    for name in losses:
        assert found[name] == pytest.approx(expected[name], rel=1e-5), name


def in_two_processes(runs: list[tuple[Recipe, Path]], start: Path) -> None:
    port = free_port()
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["mmmc.training"])
    ranks = [context.Process(target=train_as_rank, args=(rank, 2, port, runs, start)) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join()
    assert [process.exitcode for process in ranks] == [0, 0]
