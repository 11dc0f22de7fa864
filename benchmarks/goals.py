"""What mmmc is to cost at most: each goal with the row of a benchmark that tells whether it is met."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.intervals import Estimate, median
from benchmarks.result import Result, Row
from benchmarks.suite.deformable import MAPS
from mmmc.errors import InputError

Kind = Literal["faster", "rate", "ratio", "efficiency", "value", "memory", "memory ratio", "failures"]

FIGURES: dict[Kind, Callable[[Result, Row, str], Estimate | None]] = {
    "faster": lambda result, row, against: _inverse(result.ratio(row, against)),
    "rate": lambda result, row, against: _inverse(result.ratio(row, against)),
    "ratio": lambda result, row, against: result.ratio(row, against),
    "efficiency": lambda result, row, against: _inverse(result.ratio(row, against), 0.5),
    "value": lambda _, row, __: median(row.values) if row.values else None,
    "memory": lambda _, row, __: _single(row.memory_mb),
    "memory ratio": lambda result, row, against: _memory_ratio(row, result.row(against)),
    "failures": lambda _, row, __: _single(float(row.failed) if row.values or row.failed else None),
}
"""What a goal looks at: how many times faster a row is than the one that it is compared with (`faster`), pictures a
second over its pictures a second (`rate`), time over its time (`ratio`), that as the efficiency of two processes,
the median itself, the memory, that over the other's, or 1 where the row is a defect and 0 where it is not."""


@dataclass(frozen=True)
class Goal:
    """A bound on one figure.

    Attributes:
        text: what it is of.
        benchmark: that measures it.
        rows: whose figures are looked at; of several the worst counts.
        kind: what of a row is looked at.
        bound: what it may be: at most, or for `faster`, `rate` and `efficiency` at least; None if no goal is set.
        unit: of bound and figure, for readers.
        against: the row that it is compared with, where it is another one than in the result.
        exceptions: bounds of single rows.
    """

    text: str
    benchmark: str
    rows: tuple[str, ...]
    kind: Kind
    bound: float | None
    unit: str = ""
    against: str = ""
    exceptions: tuple[tuple[str, float], ...] = ()

    @property
    def least(self) -> bool:
        """Whether more is better."""
        return self.kind in ("faster", "rate", "efficiency")

    def bound_of(self, row: str) -> float | None:
        """The bound of this row."""
        return dict(self.exceptions).get(row, self.bound)

    def figures(self, result: Result) -> list[tuple[str, Estimate]]:
        """Of each row that was measured, the worst first, by figure over bound.

        Raises:
            InputError: the result has no such row, as if the benchmark had changed since.
        """
        found = []
        for name in self.rows:
            row = result.row(name)
            # The rows of a part are named after it; one that was left out has a row for all of them.
            left_out = any(other.skipped and name.startswith(f"{other.name}: ") for other in result.rows)
            if row is None and len(self.rows) == 1 and not left_out and "--only" not in result.command:
                raise InputError(f"The result of {self.benchmark!r} has no row {name!r}; measure it again.")
            # Of several, one that came in since the measurement counts as not met.
            figure = None if row is None else FIGURES[self.kind](result, row, self.against)
            if figure is not None:
                found.append((name, figure))
        return sorted(found, key=lambda one: one[1].median / (self.bound_of(one[0]) or 1), reverse=not self.least)

    def met(self, row: str, figure: float) -> bool:
        """Whether a figure keeps the bound of its row."""
        bound = self.bound_of(row)
        return bound is None or (operator.ge if self.least else operator.le)(figure, bound)


def _inverse(ratio: Estimate | None, factor: float = 1.0) -> Estimate | None:
    return None if ratio is None else ratio.inverse().times(factor)


def _single(value: float | None) -> Estimate | None:
    """What was seen once."""
    return None if value is None else Estimate(value, math.nan, math.nan)


def _memory_ratio(row: Row, base: Row | None) -> Estimate | None:
    if row.memory_mb is None or base is None or base.memory_mb is None:
        return None
    return _single(row.memory_mb / base.memory_mb)


def _rfa(precision: str, way: str, bound: float) -> Goal:
    text = f"RFA with its offset convolution against a plain 3×3, {precision}: {way}"
    return Goal(text, "deformable", (f"RFA, {way}, {precision}, {next(iter(MAPS))}",), "ratio", bound, "×")


def _beside_autocast(what: str) -> Goal:
    """No goal, but what like is to like: its bf16 is autocast, as ours."""
    theirs = f"{what}, torchvision, bf16"
    return Goal(
        "the same: our bf16 than its bf16", "torchvision", (f"{what}, mmmc, bf16",), "faster", None, "×", theirs
    )


def goals(assigners: tuple[str, ...]) -> list[Goal]:
    """All goals; those of crowded pictures for these assigners."""
    rows = f"fp32, {next(iter(MAPS))}"
    crowd = tuple(f"{name}, 1000 objects" for name in assigners)
    forward, both = "forward", "forward and backward"
    small, r50 = "`small`, batch 8", "R50, 512 px"
    first = Goal(
        "RFA by weighted rows, times faster than torchvision's operator: forward",
        "deformable",
        (f"rows, forward, {rows}",),
        "faster",
        6,
        "×",
    )
    steps = Goal(f"training step of MMMC over FCOS's: {r50}", "step", ("MMMC, r50",), "ratio", 1.20, "×")
    share = Goal(
        f"APS's share of a training step, 20 objects a picture: {small}",
        "step",
        ("APS's share, small",),
        "value",
        0.03,
        "%",
    )
    rate = Goal(
        "pictures a second of MMMC over FCOS's, R50, 800 × 1333, fp32",
        "detector",
        ("MMMC, resnet50, fp32",),
        "rate",
        0.95,
        "×",
    )
    against = Goal(
        "inference, times faster than torchvision's FCOS: fp32",
        "torchvision",
        ("inference, mmmc, fp32",),
        "faster",
        1.3,
        "×",
    )
    begin = Goal("`import mmmc`, a fresh process", "start", ("import mmmc",), "value", 0.15, "s")
    reader = Goal("a COCO-sized JSON is read and checked: time", "coco_reader", ("seconds",), "value", 20, "s")
    many = Goal(
        "every assigner, 1,000 objects: extra memory (OTA: 600 MB)",
        "assigners",
        crowd,
        "memory",
        300,
        "MB",
        exceptions=(("OTA, 1000 objects", 600),),
    )
    return [
        first,
        replace(first, text=f"the same: {both}", rows=(f"rows, {both}, {rows}",), bound=5),
        *(
            _rfa(precision, way, bound)
            for precision in ("fp32", "bf16")
            for way, bound in ((forward, 1.4), (both, 2.0))
        ),
        rate,
        replace(rate, text="the same, bf16", rows=("MMMC, resnet50, bf16",)),
        steps,
        replace(steps, text=f"the same: {small}", rows=("MMMC, small",)),
        share,
        replace(share, text=f"the same: {r50}, batch 2", rows=("APS's share, r50",)),
        Goal("mixtures of 512 objects, times faster than scikit-learn", "mixture", ("batched",), "faster", 50, "×"),
        many,
        replace(
            many,
            text="every assigner: time with 1,000 objects over that with 10",
            kind="ratio",
            bound=100,
            unit="×",
            exceptions=(),
        ),
        against,
        replace(against, text="the same: our bf16 than its fp32", rows=("inference, mmmc, bf16",), bound=2),
        _beside_autocast("inference"),
        replace(
            against,
            text="training step, times faster than torchvision's FCOS: fp32",
            rows=("training step, mmmc, fp32",),
        ),
        replace(against, text="the same: our bf16 than its fp32", rows=("training step, mmmc, bf16",), bound=1.8),
        _beside_autocast("training step"),
        Goal(
            "COCO's measure of 5,000 pictures, times faster than pycocotools", "evaluation", ("mmmc",), "faster", 8, "×"
        ),
        Goal(
            "pictures of one loading worker over what `small` trains on",
            "loader",
            ("loader, one worker",),
            "rate",
            2,
            "×",
        ),
        reader,
        replace(reader, text="the same: memory of the process", rows=("memory of the process",), bound=1500, unit="MB"),
        Goal(
            "`mmmc diagnose` of 5,000 pictures from files, 100 detections and 300 boxes before NMS each",
            "diagnose",
            ("seconds",),
            "value",
            120,
            "s",
        ),
        begin,
        replace(begin, text="`mmmc --help`, a fresh process", rows=("mmmc --help",), bound=0.4),
        Goal("efficiency of two processes, `small`", "processes", ("2 processes",), "efficiency", None, "%"),
    ]


def gpu_goals() -> list[Goal]:
    """Those that only a GPU can show, by the rows of the benchmark `gpu`."""
    batch, theirs = "batch 16, bf16", "torchvision's FCOS"
    rate = Goal(
        "pictures a second of MMMC over FCOS's, R50, 800 × 1333, bf16: batch 1",
        "gpu",
        ("inference: MMMC, batch 1, bf16",),
        "rate",
        0.97,
        "×",
    )
    step = Goal(
        f"training step of MMMC over FCOS's: R50, 800 × 1333, {batch}",
        "gpu",
        (f"training: MMMC, {batch}",),
        "ratio",
        1.10,
        "×",
    )
    memory = replace(
        step,
        text=f"peak memory of that step over that of {theirs}",
        kind="memory ratio",
        bound=None,
        against=f"training: {theirs}, {batch}",
    )
    return [
        rate,
        replace(rate, text="the same: batch 16", rows=(f"inference: MMMC, {batch}",)),
        step,
        replace(step, text=f"the same, over {theirs}", bound=1.0, against=f"training: {theirs}, {batch}"),
        replace(
            step,
            text="APS's share of that step",
            rows=(f"training: APS's share, {batch}",),
            kind="value",
            bound=0.03,
            unit="%",
        ),
        Goal(
            "methods whose training step waits for the device: `small`, bf16",
            "gpu",
            tuple(f"waits: {name}" for name in ("FCOS", "FCOS + RFA", "FCOS + APS", "MMMC")),
            "failures",
            0,
        ),
        replace(
            step,
            text="that step with RFA's matrix products in TF32 over itself with them in float32",
            rows=(f"products: MMMC, TF32, {batch}",),
            bound=None,
        ),
        memory,
        replace(
            memory,
            text=f"peak memory of the inference of 16 pictures over that of {theirs}",
            rows=(f"inference: MMMC, {batch}",),
            against=f"inference: {theirs}, {batch}",
        ),
        *(
            replace(rate, text=f"pictures a second of {name} by {how} over eager ones", rows=(row,), bound=None)
            for name in ("FCOS", "MMMC")
            for how, row in (
                ("`torch.compile`", f"compiled: {name}, torch.compile"),
                ("a CUDA graph", f"replayed: {name}, CUDA graph"),
            )
        ),
    ]
