"""The rows of a result as bars."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.intervals import median, quartiles
from benchmarks.result import Result, quantity
from mmmc.files import write_atomically

HEIGHT = 0.24
"""Inches of a row."""


def draw(result: Result, path: Path) -> None:
    """Milliseconds of all rows that are times, with quartiles, on a logarithmic axis; beside them ratio and memory."""
    rows = [row for row in result.rows if row.values and row.unit == "s"]
    figure = Figure(figsize=(12, 1.2 + HEIGHT * max(len(rows), 1)), layout="constrained")
    axes = figure.subplots()
    for place, row in enumerate(rows):
        found, (low, high) = 1000 * median(row.values).median, quartiles(row.values)
        colour = "#4477aa" if row.against else "#bbbbbb"
        axes.barh(place, found, color=colour, xerr=[[found - 1000 * low], [1000 * high - found]], ecolor="#222222")
        ratio = result.ratio(row)
        texts = [quantity(found / 1000, "s")]
        texts += [] if ratio is None else [f"× {ratio.median:.2f} ({ratio.low:.2f} – {ratio.high:.2f})"]
        texts += [] if row.memory_mb is None else [quantity(row.memory_mb, "MB")]
        axes.annotate(
            "   ".join(texts),
            (1000 * max(high, found / 1000), place),
            (6, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.set_yticks(range(len(rows)), [row.name for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xscale("log")
    axes.set_xlabel("ms (median, quartiles); × the row it is compared with")
    if rows:
        values = [1000 * median(row.values).median for row in rows]
        axes.set_xlim(min(values) / 3, max(values) * 300)  # room for the texts
    devices = ", ".join(result.machine["devices"]) or result.machine["cpu"]
    tiny = " · smoke test, sizes tell nothing" if result.tiny else ""
    axes.set_title(f"{result.command}\n{devices} · torch {result.machine['torch']} · {result.date}{tiny}", loc="left")
    write_atomically(path, lambda file: figure.savefig(file, dpi=100, format="png"))
