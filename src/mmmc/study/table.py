"""Tables of run records: mean and spread over seeds, and differences paired by seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmmc.errors import InputError, did_you_mean
from mmmc.markdown import markdown_table

METRICS, COMPARED = ("AP", "AP50", "AP75"), ("AP", "AP75")
"""What tables and comparisons show unless asked for others."""


@dataclass(frozen=True)
class Spread:
    """One metric over the seeds of a row, as fractions.

    Attributes:
        values: one for each seed; NaN where the metric is undefined.
        mean: their mean.
        sd: their sample standard deviation (n - 1); NaN for one seed.
    """

    values: tuple[float, ...]
    mean: float
    sd: float

    def __str__(self) -> str:
        """× 100: `49.1 ± 0.4 (n = 3)`."""
        if math.isnan(self.mean):
            return "–"
        sd = "" if math.isnan(self.sd) else f" ± {100 * self.sd:.1f}"
        return f"{100 * self.mean:.1f}{sd} (n = {len(self.values)})"


@dataclass(frozen=True)
class Row:
    """A variant on a set: its seeds, ascending, and each metric over them by name."""

    set: str
    name: str
    seeds: tuple[int, ...]
    metrics: dict[str, Spread]


def summary(records: Iterable[dict[str, Any]], metrics: Sequence[str] = METRICS) -> list[Row]:
    """One row for each set and variant, in the order in which they first come.

    Raises:
        InputError: a record lacks a metric, or a row would mix recipes or count a seed twice.
    """
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["set"], record["name"]), []).append(record)
    return [_row(*key, sorted(group, key=lambda record: record["seed"]), metrics) for key, group in groups.items()]


def markdown(rows: Sequence[Row]) -> str:
    """The rows as a Markdown table: metrics × 100 as mean ± standard deviation, and the seeds."""
    names = list(dict.fromkeys(name for row in rows for name in row.metrics))
    lines = []
    for row in rows:
        cells = [str(row.metrics[name]) if name in row.metrics else "–" for name in names]
        lines.append([row.set, row.name, *cells, ", ".join(map(str, row.seeds))])
    return markdown_table(["set", "name", *names, "seeds"], lines, f"ll{'r' * len(names)}l")


RESOLVED = (2, 3, 5, 10)
"""Numbers of seeds that `resolution` answers for."""

T_QUANTILES = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
"""Student's t at 0.975 for 1 to 9 degrees of freedom."""


def differences(rows: Sequence[Row], against: str) -> str:
    """What each variant gains over another in each metric, paired by seed, as a Markdown table.

    Each cell is the mean difference × 100 with Student's 95 % interval over the seeds that both have, and their number.

    Raises:
        InputError: no set has a variant of this name, or there are more pairs than the table of t values covers.
    """
    bases = _bases(rows, against)
    metrics = list(dict.fromkeys(metric for row in rows for metric in row.metrics))
    head = ["set", "name", *(f"{metric} − {against}" for metric in metrics)]
    lines = []
    for row in rows:
        if row.set in bases and row.name != against:
            lines.append([row.set, row.name, *(_difference(row, bases[row.set], metric) for metric in metrics)])
    return _compared(head, lines, rows, bases, against)


def resolution(rows: Sequence[Row], against: str) -> str:
    """What difference to a variant so many seeds can tell from none, as a Markdown table.

    By set and metric the standard deviation of a paired difference, pooled over all variants with two pairs or more,
    and half the width of Student's 95 % interval that it makes for `RESOLVED` seeds; all × 100. A true difference of
    that size is told about every second time with many seeds, and in two of three with two or three.

    Raises:
        InputError: no set has a variant of this name.
    """
    bases = _bases(rows, against)
    metrics = list(dict.fromkeys(metric for row in rows for metric in row.metrics))
    head = ["set", "of", "variants", "deviation of a difference", *(f"{n} seeds" for n in RESOLVED)]
    lines = []
    for set_name, base in bases.items():
        others = [row for row in rows if row.set == set_name and row is not base]
        for metric in metrics:
            found = [[mine - theirs for mine, theirs in paired(row, base, metric)] for row in others]
            found = [values for values in found if len(values) > 1]
            if found:
                squares = sum(float(np.var(values)) * len(values) for values in found)
                sd = math.sqrt(squares / sum(len(values) - 1 for values in found))
                halves = [f"{100 * T_QUANTILES[n - 2] * sd / math.sqrt(n):.1f}" for n in RESOLVED]
                lines.append([set_name, metric, str(len(found)), f"{100 * sd:.1f}", *halves])
    return _compared(head, lines, rows, bases, against)


def _bases(rows: Sequence[Row], against: str) -> dict[str, Row]:
    """Of each set the row that others are compared with."""
    bases = {row.set: row for row in rows if row.name == against}
    if not bases:
        raise InputError(f"There is no variant {against!r}.{did_you_mean(against, sorted({row.name for row in rows}))}")
    return bases


def _compared(
    head: Sequence[str], lines: Sequence[Sequence[str]], rows: Sequence[Row], bases: Mapping[str, Row], against: str
) -> str:
    """The lines as a Markdown table, and below it the sets that are not in it."""
    left = dict.fromkeys(row.set for row in rows if row.set not in bases)
    told = f"\nNot compared, for there is no {against!r}: {', '.join(left)}.\n" if left else ""
    return markdown_table(head, lines, "llr") + told


@dataclass(frozen=True)
class Difference:
    """Mean of paired differences, with Student's 95 % interval; both bounds are NaN for one pair.

    Attributes:
        n: number of pairs.
    """

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        """× 100: `+2.0 [-0.5, +4.5] (n = 3)`."""
        interval = "" if self.n == 1 else f" [{100 * self.low:+.1f}, {100 * self.high:+.1f}]"
        return f"{100 * self.mean:+.1f}{interval} (n = {self.n})"


def student(values: Sequence[float]) -> Difference | None:
    """Mean and interval of paired differences; None without any.

    Raises:
        InputError: more than the table of t values covers.
    """
    if not values:
        return None
    mean = float(np.mean(values))
    if len(values) == 1:
        return Difference(mean, math.nan, math.nan, 1)
    if len(values) - 1 > len(T_QUANTILES):
        raise InputError(f"There are {len(values)} pairs of seeds; allowed: at most {len(T_QUANTILES) + 1}.")
    half = T_QUANTILES[len(values) - 2] * float(np.std(values, ddof=1)) / math.sqrt(len(values))
    return Difference(mean, mean - half, mean + half, len(values))


def paired(row: Row, base: Row, metric: str) -> list[tuple[float, float]]:
    """Values of both rows for each seed that both have, and where both are defined."""
    theirs = dict(zip(base.seeds, base.metrics[metric].values, strict=True))
    mine = zip(row.seeds, row.metrics[metric].values, strict=True)
    pairs = [(value, theirs[seed]) for seed, value in mine if seed in theirs]
    return [pair for pair in pairs if not any(map(math.isnan, pair))]


def _difference(row: Row, base: Row, metric: str) -> str:
    found = student([mine - theirs for mine, theirs in paired(row, base, metric)])
    return "–" if found is None else str(found)


def _row(set_name: str, name: str, records: list[dict[str, Any]], metrics: Sequence[str]) -> Row:
    seeds = tuple(record["seed"] for record in records)
    recipes = sorted({record["recipe_hash"] for record in records})
    if len(recipes) > 1:
        raise InputError(
            f"The records of {name!r} on {set_name!r} are of {len(recipes)} recipes ({', '.join(recipes)}); "
            "a mean over them says nothing. Give each recipe its own name, or remove the outdated records."
        )
    if len(set(seeds)) < len(seeds):
        raise InputError(f"The records of {name!r} on {set_name!r} have a seed twice: {list(seeds)}.")
    for record in records:
        missing = [metric for metric in metrics if metric not in record["metrics"]]
        if missing:
            raise InputError(
                f"The record of {name!r} on {set_name!r}, seed {record['seed']}, lacks the metric {missing[0]!r}; "
                f"it has {', '.join(record['metrics'])}."
            )
    return Row(
        set_name,
        name,
        seeds,
        {metric: spread([record["metrics"][metric] for record in records]) for metric in metrics},
    )


def spread(given: Sequence[float | None]) -> Spread:
    """Of one metric's values, None where it is undefined."""
    values = tuple(math.nan if value is None else float(value) for value in given)
    sd = float(np.std(values, ddof=1)) if len(values) > 1 else math.nan
    return Spread(values, float(np.mean(values)), sd)
