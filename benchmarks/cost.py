"""What RFA and APS cost, which the paper calls nothing: a table of docs/reproduction.md."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmarks.intervals import Estimate
from benchmarks.report import between, put_of_results, results
from benchmarks.scaling import CLASSES, SIZE
from mmmc.model.cost import cost
from mmmc.recipe import load_recipe
from mmmc.study.claims import verdict
from mmmc.study.table import Difference

MARGIN = 0.02
"""What is called nothing; the paper's own figure is 0.7 %."""

EXACT = "exact"
"""What is counted and not measured has no interval."""

RECIPES = ("fcos_r50_1x", "mmmc_r50_1x")

ROWS = (
    (
        "time of a picture, MMMC against FCOS, ResNet-50, 800 × 1333, float32",
        "detector",
        "MMMC, resnet50, fp32",
        14.7 / 14.6,
    ),
    ("the same, bfloat16", "detector", "MMMC, resnet50, bf16", 14.7 / 14.6),
    ("time of a training step of `small`, with APS against FCOS", "step", "FCOS + APS, small", None),
    ("the same, with RFA against FCOS", "step", "FCOS + RFA, small", None),
)
"""What is measured, by which benchmark, in which of its rows, and what the paper prints."""


def main(arguments: Sequence[str]) -> int:
    """Print the table, or put it into a page."""
    command = "python -m benchmarks cost"
    return put_of_results("cost", __doc__, lambda folder: {"cost": between("cost", table(folder), command)}, arguments)


def table(folder: Path) -> str:
    """A line for each thing that it may cost."""
    found = results(folder)
    parameters, macs = (Estimate(ratio, ratio, ratio) for ratio in _on_paper())
    lines = [
        "| what | printed | measured | verdict | again |",
        "|---|---:|---:|---|---|",
        _line("parameters of MMMC over FCOS's, ResNet-50", None, parameters, EXACT, "mmmc info mmmc_r50_1x"),
        _line("the same: multiply-adds", None, macs, EXACT, "mmmc info mmmc_r50_1x"),
    ]
    for what, benchmark, name, printed in ROWS:
        result = found.get(benchmark)
        row = None if result is None else result.row(name)
        ratio = None if result is None or row is None else result.ratio(row)
        where = "" if result is None else f"{result.machine['cpu']}, {result.machine['threads']} threads"
        lines.append(_line(what, printed, ratio, where, f"python -m benchmarks {benchmark}"))
    return "\n".join(lines)


def _on_paper() -> tuple[float, float]:
    """Parameters and multiply-adds of MMMC over FCOS's, as exact as counting is."""
    parts = [cost(load_recipe(name).model, CLASSES, SIZE) for name in RECIPES]
    sums = [[sum(getattr(part, what) for part in of) for of in parts] for what in ("parameters", "macs")]
    return sums[0][1] / sums[0][0], sums[1][1] / sums[1][0]


def _line(what: str, printed: float | None, ratio: Estimate | None, where: str, command: str) -> str:
    told, found = "–", None
    if ratio is not None:
        found = Difference(ratio.median - 1, ratio.low - 1, ratio.high - 1, 2)
        interval = "" if where == EXACT else f" [{_percent(ratio.low)}, {_percent(ratio.high)}]{ratio.reserve}"
        told = f"{_percent(ratio.median)} %{interval} ({where})"
    cells = [what, "–" if printed is None else f"{_percent(printed)} %", told, verdict(found, MARGIN)]
    return f"| {' | '.join([*cells, f'`{command}`'])} |"


def _percent(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f}"
