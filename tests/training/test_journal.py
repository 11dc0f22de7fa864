"""The lines of a run: when they are written, what they say, and which of them a resumed run keeps."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from rich.console import Console

from mmmc.assign import APS
from mmmc.errors import InputError
from mmmc.testing import make_scene
from mmmc.training.journal import Journal, keep_epochs, read_metrics
from mmmc.training.step import StepResult


def journal(path: Path, log_every: int) -> Journal:
    return Journal(Fabric(accelerator="cpu", devices=1), path, total=10, log_every=log_every, console=None)


def result(box: float, quality: float = 0.5, positives: int = 6, objects: int = 2) -> StepResult:
    return StepResult(
        watched={},
        losses={"box": torch.tensor(box), "quality": torch.tensor(quality)},
        positives=torch.tensor(positives),
        objects=objects,
        image_ids=[int(10 * box) if box == box else 7, 8],
    )


def test_a_line_every_few_steps_and_at_the_end_of_an_epoch(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    with journal(path, log_every=2) as lines:
        for epoch, first in ((0, 1), (1, 4)):
            lines.begin(epoch, first - 1)
            for step in range(first, first + 3):
                outcome = result(float(step), positives=step, objects=step % 3)
                lines.step(epoch, step, 0.1 * step, 4, outcome, last=step == first + 2)
    rows = read_metrics(path)
    assert [(row["epoch"], row["step"]) for row in rows] == [(1, 2), (1, 3), (2, 5), (2, 6)]
    assert [row["loss/box"] for row in rows] == [1.5, 3.0, 4.5, 6.0]
    assert [row["loss/quality"] for row in rows] == [0.5] * 4
    assert [row["loss"] for row in rows] == [2.0, 3.5, 5.0, 6.5]
    # Positives over objects of all steps of the line; without any object they are counted as if there were one.
    assert [row["positives_per_object"] for row in rows] == [3 / 3, 3 / 1, 9 / 3, 6 / 1]
    assert [row["lr"] for row in rows] == pytest.approx([0.2, 0.3, 0.5, 0.6])
    for row, steps in zip(rows, (2, 1, 2, 1), strict=True):
        assert row["images_per_second"] * row["seconds"] == pytest.approx(4 * steps)


def test_where_no_bar_can_be_drawn_each_epoch_and_each_minute_leaves_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(0, 10_000, 25))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    text = StringIO()
    fabric = Fabric(accelerator="cpu", devices=1)
    with Journal(fabric, tmp_path / "m.jsonl", total=10, log_every=1, console=Console(file=text, width=20)) as lines:
        for epoch, steps in ((0, range(1, 7)), (1, range(7, 11))):
            lines.begin(epoch, steps[0] - 1)
            for step in steps:
                lines.step(epoch, step, 0.1, 4, result(1.0), last=step == steps[-1])
        assert "epoch 2, iteration 10 of 10" in text.getvalue(), "it is there at once, not at the end"
    told = text.getvalue().splitlines()
    assert [line.split(":")[0] for line in told] == [
        f"epoch {epoch}, iteration {step} of 10" for epoch, step in ((1, 3), (1, 6), (2, 9), (2, 10))
    ]
    assert "loss 1.500 (box 1.000 quality 0.500) · 3.0 points an object · " in told[0]


def test_a_loss_that_is_not_finite_is_named_with_its_step_and_pictures(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = journal(path, log_every=3)
    lines.begin(1, 3)
    lines.step(1, 4, 0.1, 4, result(1.0), last=False)
    lines.step(1, 5, 0.1, 4, result(float("nan"), quality=float("inf")), last=False)
    message = r"The box and quality loss was not finite at iteration 5, epoch 2\. Pictures of this process: \[7, 8\]"
    with pytest.raises(FloatingPointError, match=message):
        lines.step(1, 6, 0.1, 4, result(2.0, quality=float("nan")), last=False)
    assert not path.exists()


def test_a_line_ends_where_the_losses_become_others(tmp_path: Path) -> None:
    """A warm start with a criterion of its own ends in the middle of a line."""
    path = tmp_path / "metrics.jsonl"
    lines = journal(path, log_every=4)
    lines.begin(0, 0)
    for step, outcome in enumerate((result(1.0), result(2.0)), 1):
        lines.step(0, step, 0.1 * step, 4, outcome, last=False)
    for step in (3, 4):
        outcome = replace(result(0.0), losses={"negative": torch.tensor(float(step))})
        lines.step(0, step, 0.1 * step, 4, outcome, last=step == 4)
    first, second = read_metrics(path)
    assert (first["step"], first["lr"], first["loss/box"], first["loss/quality"]) == (2, 0.2, 1.5, 0.5)
    assert (second["step"], second["lr"], second["loss"], second["loss/negative"]) == (4, 0.4, 3.5, 3.5)
    assert "loss/negative" not in first
    assert "loss/box" not in second


def test_only_the_process_whose_loss_was_not_finite_names_its_pictures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = journal(tmp_path / "metrics.jsonl", log_every=1)
    lines.begin(0, 0)
    monkeypatch.setattr(lines.fabric, "all_reduce", lambda values, **_: values * float("nan"))
    message = r"The box and quality loss was not finite at iteration 1, epoch 1, in another process, which names"
    with pytest.raises(FloatingPointError, match=message):
        lines.step(0, 1, 0.1, 4, result(1.0), last=False)


def test_a_line_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no/metrics\.jsonl could not be written"):
        journal(tmp_path / "no" / "metrics.jsonl", log_every=1).write({"kind": "val", "step": 1})


def test_epochs_that_were_not_finished_are_cut(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    lines = [json.dumps({"kind": kind, "epoch": epoch}) + "\n" for epoch in (1, 2, 3) for kind in ("train", "val")]
    path.write_text("".join(lines) + lines[-1][:12])
    keep_epochs(path, 2)
    assert path.read_text() == "".join(lines[:4])
    keep_epochs(path, 2)
    assert path.read_text() == "".join(lines[:4])
    keep_epochs(path, 0)
    assert path.read_text() == ""
    keep_epochs(tmp_path / "none.jsonl", 2)
    assert not (tmp_path / "none.jsonl").exists()


def test_an_assigner_that_met_what_is_not_finite_is_named_with_objects(tmp_path: Path) -> None:
    scene = make_scene(0, objects=(2, 1))
    scene.prediction.boxes[1] = torch.nan
    assignment = APS()(*scene)
    outcome = replace(result(1.0), assigned=[(assignment, scene.targets)])
    lines = journal(tmp_path / "metrics.jsonl", log_every=1)
    lines.begin(0, 0)
    message = r"The assigner met values that are not finite at iteration 1, epoch 1\..*picture 1: object 0 \(box loss\)"
    with pytest.raises(FloatingPointError, match=message):
        lines.step(0, 1, 0.1, 4, outcome, last=False)
