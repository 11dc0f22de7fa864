"""A table of the paper filled from records: ours beside what is printed, and the commands for what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mmmc.study.paper import PaperRow, PaperTable
from mmmc.study.plan import Plan, Run
from mmmc.study.speeds import Speeds, speed_of
from mmmc.study.table import Difference, Row, Spread, paired, spread, student

Record = Mapping[str, Any]


@dataclass(frozen=True)
class FilledRow:
    """A row with what was measured.

    Attributes:
        row: of the table.
        ours: seeds and values by column; no column where nothing is recorded.
        differences: to the base row by column: of fractions, or relative reductions of a loss.
        printed_differences: the same from the paper's figures: of its unit, or relative reductions.
        speed: pictures a second; None where none is known.
        tried: settings that were compared before these were taken; None where the plan does not say.
        missing: sentences about what is not recorded, each with the command that makes it.
    """

    row: PaperRow
    ours: Row
    differences: Mapping[str, Difference]
    printed_differences: Mapping[str, float]
    speed: float | None
    tried: int | None
    missing: tuple[str, ...]


@dataclass(frozen=True)
class FilledTable:
    """A table of the paper with our runs on one set.

    Attributes:
        table: its definition.
        set: what ours were scored on.
        caption: what it shows, and in what ours differ from the paper's.
        rows: in order.
    """

    table: PaperTable
    set: str
    caption: str
    rows: tuple[FilledRow, ...]

    @property
    def missing(self) -> tuple[str, ...]:
        """Sentences about what is not recorded, of all rows."""
        return tuple(sentence for row in self.rows for sentence in row.missing)

    @property
    def scale(self) -> int:
        """What a value is multiplied with where people read it."""
        return 1 if self.table.reduction else 100


def filled(table: PaperTable, plans: Sequence[Plan], speeds: Speeds | None = None) -> list[FilledTable]:
    """A table for each set that the plans score, with pictures a second where `speeds` has them.

    Raises:
        InputError: records or failures of a plan cannot be read.
    """
    sets = dict.fromkeys(plan.set for plan in plans)
    return [_filled(table, name, [plan for plan in plans if plan.set == name], speeds or {}) for name in sets]


def _filled(table: PaperTable, set_name: str, plans: Sequence[Plan], speeds: Speeds) -> FilledTable:
    recorded = {plan.path: plan.recorded() for plan in plans}
    missing: dict[str, list[str]] = {}
    used: list[tuple[Run, Record]] = []
    ours: dict[str, Row] = {}
    tried: dict[str, int | None] = {}
    fast: dict[str, float | None] = {}
    for row in table.rows:
        plan, name = _variant(row, plans)
        if plan is None:
            if not row.optional:
                wanted = " or ".join(repr(variant) for variant in row.variants)
                missing[row.name] = [f"{row.name}: no plan given has a variant {wanted}."]
                ours[row.name] = Row(set_name, row.name, (), {})
            continue
        found = []
        lacking: dict[str, list[Run]] = {}
        for run in (run for run in plan.runs() if run.name == name):
            record = recorded[plan.path].get(run.identity)
            lack = _lack(table, row, record)
            if record is None or lack:
                lacking.setdefault(lack, []).append(run)
            else:
                found.append((run, record))
        missing[row.name] = [_missing(row, plan, runs, lack) for lack, runs in lacking.items()]
        missing[row.name] += [sentence for pair in found for sentence in _blind(row, *pair)]
        used += found
        ours[row.name] = _values(table, row, set_name, found)
        tried[row.name] = plan.tried.get(name)
        fast[row.name] = speed_of(row.network, plan.recipes[name], speeds) if row.network else None
    by_name = {row.name: row for row in table.rows}
    rows = tuple(
        FilledRow(
            row,
            ours[row.name],
            *_compared(table, row, by_name, ours),
            speed=fast.get(row.name),
            tried=tried.get(row.name),
            missing=tuple(missing[row.name]),
        )
        for row in table.rows
        if row.name in ours
    )
    return FilledTable(table, set_name, _caption(table, set_name, plans, used), rows)


def _variant(row: PaperRow, plans: Sequence[Plan]) -> tuple[Plan | None, str]:
    for variant in row.variants:
        for plan in plans:
            if variant in plan.recipes:
                return plan, variant
    return None, ""


def _lack(table: PaperTable, row: PaperRow, record: Record | None) -> str:
    """What a record does not hold of what the row needs, as part of a sentence."""
    if record is None:
        return ""
    if row.measure is None:
        lacking = [name for name in table.columns if name not in record["metrics"]]
        return f" (the record lacks {', '.join(lacking)})" if lacking else ""
    looks = record.get("agreement")
    if not looks:
        return f" (the record says nothing of {row.measure}: it was made by an older version)"
    return "" if any(looks) else f" (no {row.measure}: the run did not look at labels, train.diagnose is 0)"


def _blind(row: PaperRow, run: Run, record: Record) -> list[str]:
    """Of a record of losses the moments that it does not know, as a sentence; no command makes them."""
    looks = record["agreement"] if row.measure is not None else []
    sixths = [str(sixth) for sixth, look in enumerate(looks, 1) if look is None]
    where = f"no {row.measure} at the end of sixth {', '.join(sixths)}"
    return [f"{row.name}, seed {run.seed}: {where}, for no epoch with a look at labels ends near."] if sixths else []


def _missing(row: PaperRow, plan: Plan, runs: Sequence[Run], lack: str) -> str:
    """Which runs are not there, or not whole, and the command that makes them."""
    seeds = [run.seed for run in runs]
    # A new folder, for the old ones still hold the old records.
    command = plan.command([runs[0].name], seeds, options=("--out", "NEW") if lack else ())
    first = f"remove its line from {plan.records}, then " if lack else ""
    return f"{row.name}, seed {', '.join(map(str, seeds))}{lack}: {first}{command}"


def _values(table: PaperTable, row: PaperRow, set_name: str, found: Sequence[tuple[Run, Record]]) -> Row:
    found = sorted(found, key=lambda pair: pair[0].seed)
    columns: dict[str, Spread] = {}
    for place, column in enumerate(table.columns if found else ()):
        columns[column] = spread([_value(record, row, place, column) for _, record in found])
    return Row(set_name, row.name, tuple(run.seed for run, _ in found), columns)


def _value(record: Record, row: PaperRow, place: int, column: str) -> Any:
    if row.measure is None:
        return record["metrics"][column]
    look = record["agreement"][place]
    return None if look is None else look[row.measure]


def _compared(
    table: PaperTable, row: PaperRow, by_name: Mapping[str, PaperRow], ours: Mapping[str, Row]
) -> tuple[dict[str, Difference], dict[str, float]]:
    """Differences to the base row by column: ours, and those of the printed figures."""
    mine = ours[row.name]
    if row.base is None or row.base not in ours:
        return {}, {}
    base, printed = ours[row.base], by_name[row.base].printed
    differences: dict[str, Difference] = {}
    for column in mine.metrics.keys() & base.metrics.keys():
        found = student([_change(table, *pair) for pair in paired(mine, base, column)])
        if found is not None:
            differences[column] = found
    both = [column for column in table.columns if column in row.printed and column in printed]
    told = {column: _change(table, row.printed[column], printed[column]) for column in both}
    return differences, told


def _change(table: PaperTable, mine: float, base: float) -> float:
    return (base - mine) / base if table.reduction else mine - base


def _caption(table: PaperTable, set_name: str, plans: Sequence[Plan], used: Sequence[tuple[Run, Record]]) -> str:
    rows = {variant for row in table.rows for variant in row.variants}
    recipes = [recipe for plan in plans for name, recipe in plan.recipes.items() if name in rows]
    lengths = sorted({record["iterations"] for _, record in used})
    if not lengths:
        lengths = sorted({recipe.train.iterations for recipe in recipes if recipe.train.iterations is not None})
    backbones = sorted({recipe.model.backbone.split(".")[0] for recipe in recipes})
    batches = sorted({recipe.train.batch_size for recipe in recipes})
    ours = (set_name, backbones, lengths, batches)
    paper = table.paper
    told = (paper.set, [paper.backbone], [paper.iterations], [paper.batch])
    differs = [
        what
        for what, mine, theirs in zip(("set", "backbone", "iterations", "batch"), ours, told, strict=True)
        if mine != theirs
    ]
    text = (
        f"{table.title}. Ours: {_setting(set_name, backbones, lengths, batches)}; mean ± standard deviation over "
        "seeds. "
        f"Paper: {_setting(paper.set, [paper.backbone], [paper.iterations], [paper.batch])}. "
    )
    text += f"Not the same: {', '.join(differs)}; compare differences, not figures." if differs else "The same setting."
    base = next((row.base for row in table.rows if row.base), None)
    if base and not table.reduction:
        text += f" Differences to “{base}” are paired by seed, with Student's 95 % interval."
    if table.reduction:
        text += (
            " Reductions are relative, paired by seed, with Student's 95 % interval; the paper's follow from its rows."
        )
    return f"{text} {table.note}".strip()


def _setting(name: str, backbones: Sequence[str], lengths: Sequence[int], batches: Sequence[int]) -> str:
    def words(values: Sequence[Any]) -> str:
        return " or ".join(f"{value:,}" if isinstance(value, int) else value for value in values)

    budget = f"{words(lengths)} iterations" if lengths else "iterations not recorded yet,"
    return f"{name}, {words(backbones)}, {budget} of {words(batches)} pictures"
