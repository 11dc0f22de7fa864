"""What a run says of itself: a bar for people, JSON lines for programs, and loggers that were asked for."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import torch
from lightning_fabric import Fabric
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from mmmc.errors import InputError
from mmmc.files import json_lines, write_text
from mmmc.training.step import StepResult

Row = dict[str, Any]


MINUTE = 60


class Journal:
    """Collects steps and writes a line every few of them; only the first process writes and shows.

    Where no bar can be drawn, as in a file or in the log of a queue, a sentence tells each epoch's end and each minute.

    Args:
        fabric: for sums over processes, and its loggers.
        path: the JSON lines file.
        total: optimiser steps of the run.
        log_every: steps of a line.
        console: where the bar or the sentences are shown; quiet if None.
    """

    def __init__(self, fabric: Fabric, path: Path, total: int, log_every: int, console: Console | None) -> None:
        self.fabric = fabric
        self.path = path
        self.log_every = log_every
        self.console = console if fabric.is_global_zero else None
        self._waiting: list[StepResult] = []
        self._lr = 0.0
        self._since = time.perf_counter()
        self._told = time.monotonic()
        self._total = total
        self._drawn = self.console is not None and self.console.is_terminal
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[message]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=not self._drawn,
        )
        self._task = self._progress.add_task("train", total=total, epoch=0, message="")

    def __enter__(self) -> Journal:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, epoch: int, step: int) -> None:
        """An epoch begins; `step` optimiser steps were taken before."""
        self._waiting = []
        self._since = time.perf_counter()
        self._progress.update(self._task, completed=step, epoch=epoch + 1)

    def step(self, epoch: int, step: int, lr: float, pictures: int, result: StepResult, *, last: bool) -> None:
        """A step was taken. Every `log_every` of them, at an epoch's end and where the losses change, a line is made.

        Raises:
            FloatingPointError: a loss was not finite, or the assigner met a value that was not; names the first such
                step and its pictures, and terms or objects.
        """
        if self._waiting and _terms(self._waiting[-1]) != _terms(result):
            self._line(epoch, step - 1, self._lr, pictures)  # a warm start has ended, and its criterion with it
        self._waiting.append(result)
        self._lr = lr
        if len(self._waiting) == self.log_every or last:
            self._line(epoch, step, lr, pictures, last=last)
        self._progress.update(self._task, completed=step)

    def write(self, row: Row) -> None:
        """Append a line, and hand its numbers to the loggers.

        Raises:
            InputError: the file cannot be written, for instance because the disk is full.
        """
        if not self.fabric.is_global_zero:
            return
        try:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        except OSError as error:
            raise InputError(f"{self.path} could not be written: {error}.") from error
        numbers = {
            f"{row['kind']}/{name}": value
            for name, value in row.items()
            if isinstance(value, float) and math.isfinite(value)
        }
        self.fabric.log_dict(numbers, step=row["step"])

    def say(self, message: str) -> None:
        """A sentence above the bar."""
        if self.console is not None:
            # A line of a log is not broken where a terminal would end.
            self.console.print(message, highlight=False, markup=False, soft_wrap=not self._drawn)

    def _line(self, epoch: int, step: int, lr: float, pictures: int, *, last: bool = False) -> None:
        """Make a line of the waiting steps, of which this is the last."""
        row = self._collect(epoch, step, lr, pictures)
        self._waiting = []
        self._since = time.perf_counter()
        self.write(row)
        summary = _summary(row)
        self._progress.update(self._task, message=summary)
        now = time.monotonic()
        if not self._drawn and (last or now - self._told >= MINUTE):
            self._told = now
            self.say(f"epoch {epoch + 1}, iteration {step} of {self._total}: {summary}")

    def _collect(self, epoch: int, step: int, lr: float, pictures: int) -> Row:
        names, watched = list(self._waiting[0].losses), list(self._waiting[0].watched)
        values = torch.stack(
            [
                torch.stack(
                    [
                        *(value.double() for value in (*result.losses.values(), *result.watched.values())),
                        result.finite.double(),
                        result.positives.double(),
                    ]
                )
                for result in self._waiting
            ]
        )
        objects = values.new_tensor([[float(result.objects)] for result in self._waiting])
        # One reduction and one copy to the host for all steps of the line.
        mean = self.fabric.all_reduce(torch.cat([values, objects], dim=1), reduce_op="mean")
        assert isinstance(mean, torch.Tensor)
        rows = mean.tolist()
        for offset, numbers in enumerate(rows):
            bad = [name for name, value in zip(names, numbers, strict=False) if not math.isfinite(value)]
            if bad or numbers[-3] < 1:
                raise FloatingPointError(_not_finite(self._waiting[offset], bad, step - len(rows) + 1 + offset, epoch))
        terms = [sum(column) / len(rows) for column in zip(*rows, strict=True)]
        positives, count = sum(row[-2] for row in rows), sum(row[-1] for row in rows)
        seconds = time.perf_counter() - self._since
        return {
            "kind": "train",
            "epoch": epoch + 1,
            "step": step,
            "loss": sum(terms[: len(names)]),
            **{f"loss/{name}": term for name, term in zip(names, terms, strict=False)},
            **dict(zip(watched, terms[len(names) :], strict=False)),
            "lr": lr,
            "positives_per_object": positives / max(count, 1),
            "images_per_second": pictures * len(rows) / max(seconds, 1e-9),
            "seconds": seconds,
        }


def _terms(result: StepResult) -> tuple[str, ...]:
    return *result.losses, *result.watched


def _not_finite(result: StepResult, terms: Sequence[str], step: int, epoch: int) -> str:
    """What went wrong where, as far as this process knows: it may have been another's pictures."""
    what = f"The {' and '.join(terms)} loss was not finite" if terms else "The assigner met values that are not finite"
    if result.finite and all(value.isfinite() for value in result.losses.values()):
        return f"{what} at iteration {step}, epoch {epoch + 1}, in another process, which names its pictures."
    detail = ""
    try:
        for assignment, targets in result.assigned:
            assignment.check(targets)
    except FloatingPointError as error:
        detail = f" {error}"
    return (
        f"{what} at iteration {step}, epoch {epoch + 1}. Pictures of this process: {result.image_ids}.{detail} No "
        "weight was changed by this step. A lower optimizer.lr, a longer optimizer.warmup or optimizer.clip usually "
        "helps; then look at the boxes of these pictures."
    )


def keep_epochs(path: Path, epochs: int) -> None:
    """Cut lines of epochs that were begun and not finished, before a run goes on."""
    if path.is_file():
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        # A line that was cut in the middle by a kill belongs to an epoch that was not finished.
        kept = [line for line in lines if line.endswith("}\n") and json.loads(line)["epoch"] <= epochs]
        write_text(path, "".join(kept))


def read_metrics(path: Path) -> list[Row]:
    """All lines of a metrics file.

    Raises:
        InputError: the file cannot be read, or a line is not JSON.
    """
    return [row for _, row in json_lines(path)]


def _summary(row: Mapping[str, Any]) -> str:
    terms = " ".join(f"{name[5:]} {value:.3f}" for name, value in row.items() if name.startswith("loss/"))
    return (
        f"loss {row['loss']:.3f} ({terms}) · {row['positives_per_object']:.1f} points an object · "
        f"{row['images_per_second']:.1f} pictures/s"
    )
