"""What a benchmark found: rows of measured values, where and when, as one value and as one JSON file."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from benchmarks.intervals import Estimate, median, paired_ratio, quartiles
from mmmc.errors import InputError
from mmmc.files import write_text

FORM = 1
"""Of the JSON files."""


@dataclass(frozen=True)
class Row:
    """One rival, or why there is nothing to tell of it. Less is always better.

    Attributes:
        name: the only one of its result.
        values: one for each round.
        unit: `s`, `MB` (10⁶ bytes), or `1` for a share.
        against: name of the row whose values of the same rounds these are compared with; empty for none.
        memory_mb: what it needs at most beyond what was held before, where that was measured.
        note: what else is to be known.
        skipped: why there are no values.
        failed: whether that is a defect.
    """

    name: str
    values: tuple[float, ...] = ()
    unit: str = "s"
    against: str = ""
    memory_mb: float | None = None
    note: str = ""
    skipped: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Result:
    """The rows of one benchmark.

    Attributes:
        benchmark: its name.
        command: that measured it.
        date: of the measurement, `YYYY-MM-DD`.
        machine: what `machine` says.
        tiny: whether sizes were those of a smoke test, which tell nothing.
        rows: in their order.
    """

    benchmark: str
    command: str
    date: str
    machine: Mapping[str, Any]
    tiny: bool
    rows: tuple[Row, ...] = field(default_factory=tuple)

    def row(self, name: str) -> Row | None:
        """The row of this name; it may be one without values."""
        return next((row for row in self.rows if row.name == name), None)

    def ratio(self, row: Row, against: str = "") -> Estimate | None:
        """A row's values over those of another row of the same rounds: of the one that it is compared with, usually."""
        base = self.row(against or row.against)
        return paired_ratio(row.values, base.values) if row.values and base is not None and base.values else None


def machine() -> dict[str, Any]:
    """Where this process runs, without names of users, hosts or folders."""
    from mmmc.environment import environment

    around = environment()
    versions = {name: around["packages"][name] for name in ("torch", "torchvision")}
    return {key: around[key] for key in ("cpu", "cores", "threads", "devices", "system", "python")} | versions


def renamed(rows: Sequence[Row], prefix: str) -> list[Row]:
    """The rows with a prefix before their names."""
    return [
        replace(row, name=f"{prefix}{row.name}", against=f"{prefix}{row.against}" if row.against else "")
        for row in rows
    ]


def remembering(rows: Sequence[Row], memory_mb: Mapping[str, float | None]) -> list[Row]:
    """The rows with what each needed of memory, where it is known."""
    return [replace(row, memory_mb=memory_mb.get(row.name, row.memory_mb)) for row in rows]


def write(result: Result, path: Path) -> None:
    """Write the JSON file, a line for each row; medians, quartiles and ratios are written for readers only."""
    head = {"form": FORM} | {key: value for key, value in asdict(result).items() if key != "rows"}
    lines = ",\n  ".join(json.dumps(_line(result, row), ensure_ascii=False) for row in result.rows)
    text = json.dumps(head, ensure_ascii=False, indent=1).removesuffix("\n}")
    write_text(path, f'{text},\n "rows": [\n  {lines}\n ]\n}}\n')


def read(path: Path) -> Result:
    """The result that `write` was given.

    Raises:
        InputError: the file cannot be read or is no such result.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["form"] != FORM:
            raise InputError(f"{path}: form is {content['form']!r}; allowed: {FORM}.")
        known = {key.name for key in fields(Row)}
        lines = [{key: value for key, value in line.items() if key in known} for line in content["rows"]]
        rows = tuple(Row(**{**line, "values": tuple(line.get("values", ()))}) for line in lines)
        return Result(rows=rows, **{key.name: content[key.name] for key in fields(Result) if key.name != "rows"})
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path} is no result of `python -m benchmarks NAME --out FILE`: {error!r}.") from error


def table(result: Result) -> str:
    """The rows as lines for the screen."""
    lines = []
    for row in result.rows:
        if not row.values:
            lines.append(f"{row.name}: – ({row.skipped})")
            continue
        found, low, high = median(row.values), *quartiles(row.values)
        line = (
            f"{row.name}: {quantity(found.median, row.unit)} ({quantity(low, row.unit)} – {quantity(high, row.unit)})"
        )
        ratio = result.ratio(row)
        if ratio is not None:
            line += f", {ratio.median:.3g} × {row.against} ({ratio.low:.3g} – {ratio.high:.3g}){ratio.reserve}"
        line += f", {len(row.values)} rounds"
        line += "" if row.memory_mb is None else f", {row.memory_mb:.0f} MB"
        lines.append(line + (f"; {row.note}" if row.note else ""))
    return "\n".join(lines)


def quantity(value: float, unit: str) -> str:
    """A measured number for readers: three digits that mean something."""
    if unit == "s":
        return f"{1000 * value:.3g} ms" if value < 1 else f"{value:.3g} s"
    if unit == "MB":
        return f"{value:,.0f} MB"
    return f"{100 * value:.2g} %"


def _line(result: Result, row: Row) -> dict[str, Any]:
    line = {key: value for key, value in asdict(row).items() if value not in ((), "", None, False)}
    if row.values:
        line |= {"median": median(row.values).median, "quartiles": quartiles(row.values)}
        ratio = result.ratio(row)
        if ratio is not None:
            interval = [None if math.isnan(end) else end for end in (ratio.low, ratio.high)]
            line |= {"ratio": ratio.median, "interval": interval}
    return line
