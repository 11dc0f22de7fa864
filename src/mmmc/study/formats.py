"""A filled table as Markdown, CSV, LaTeX or JSON."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from mmmc.markdown import markdown_table
from mmmc.study.filled import FilledRow, FilledTable
from mmmc.study.table import Difference, Spread

MISSING = "missing"


def markdown(tables: Sequence[FilledTable]) -> str:
    """For people: caption, table, and what is missing."""
    parts = []
    for table in tables:
        head, rows = _cells(table)
        parts.append(f"**Table {table.table.number}, {table.set}.** {table.caption}\n")
        parts.append(markdown_table(head, rows, "lr"))
        if table.missing:
            parts.append(missing_list(table.missing))
    return "\n".join(parts)


def missing_list(sentences: Sequence[str]) -> str:
    """What is not recorded, as Markdown: sentences that end with a command."""
    return "Missing:\n\n" + "".join(f"- {_code(sentence)}\n" for sentence in sentences)


def latex(tables: Sequence[FilledTable]) -> str:
    """Floats for `booktabs`; what is missing stands in comments."""
    parts = []
    for table in tables:
        head, rows = _cells(table)
        body = [*(" & ".join(map(_tex, line)) + r" \\" for line in rows)]
        lines = [
            *(f"% missing: {sentence}" for sentence in table.missing),
            r"\begin{table}",
            rf"\caption{{{_tex(table.caption)}}}",
            rf"\begin{{tabular}}{{l{'r' * (len(head) - 1)}}}",
            r"\toprule",
            " & ".join(map(_tex, head)) + r" \\",
            r"\midrule",
            *body,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
        ]
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def as_json(tables: Sequence[FilledTable]) -> str:
    """For programs: all numbers with all digits, None where there is none."""
    return json.dumps([_plain(table) for table in tables], indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def as_csv(tables: Sequence[FilledTable]) -> str:
    """For programs: a line for each row and column of the paper's table; ours × 100 where AP is meant."""
    names = ["table", "set", "row", "column", "n", "mean", "sd", "base", "difference", "low", "high", "pairs", "paper"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, "paper_difference", "tried", "speed", "paper_speed", "missing"])
    for table in tables:
        for row in _plain(table)["rows"]:
            for column, cell in row["columns"].items():
                difference = cell["difference"] or dict.fromkeys(("mean", "low", "high", "n"))
                writer.writerow(
                    [
                        *(table.table.number, table.set, row["name"], column),
                        *(len(row["seeds"]), cell["mean"], cell["sd"], row["base"]),
                        *(difference[name] for name in ("mean", "low", "high", "n")),
                        *(cell["paper"], cell["paper_difference"], row["tried"], row["speed"], row["paper_speed"]),
                        "; ".join(row["missing"]),
                    ]
                )
    return text.getvalue()


FORMATS: dict[str, Callable[[Sequence[FilledTable]], str]] = {
    "markdown": markdown,
    "csv": as_csv,
    "latex": latex,
    "json": as_json,
}


def _cells(table: FilledTable) -> tuple[list[str], list[list[str]]]:
    """Head and rows as text."""
    columns = table.table.columns
    if table.table.reduction:
        head = ["", *columns, *(f"paper's {column}" for column in columns[:-1]), "seeds"]
        return head, [line for row in table.rows for line in _loss_lines(table, row)]
    first, base = columns[0], next((row.row.base for row in table.rows if row.row.base), "")
    gain = f"{first} − {base}"
    head = ["", *columns, gain, *(f"paper's {column}" for column in columns), f"paper's {gain}", "seeds"]
    rows = [_ap_line(table, row, first) for row in table.rows]
    if table.table.has_speed:
        head += ["pictures a second", "paper's pictures a second"]
        for line, row in zip(rows, table.rows, strict=True):
            line += [_printed(row.speed, 1), _printed(row.row.printed_speed, 1)]
    if any(row.tried for row in table.rows):
        head.append("settings tried")
        for line, row in zip(rows, table.rows, strict=True):
            line.append("–" if row.tried is None else str(row.tried))
    return head, rows


def _ap_line(table: FilledTable, row: FilledRow, first: str) -> list[str]:
    printed_gain = row.printed_differences.get(first)
    return [
        row.row.name,
        *(_value(table, row, column) for column in table.table.columns),
        str(row.differences[first]) if first in row.differences else "–",
        *(_printed(row.row.printed.get(column), 1) for column in table.table.columns),
        "–" if printed_gain is None else f"{printed_gain:+.1f}",
        _seeds(row),
    ]


def _loss_lines(table: FilledTable, row: FilledRow) -> list[list[str]]:
    columns = table.table.columns
    lines = [
        [
            row.row.name,
            *(_value(table, row, column) for column in columns),
            *(_printed(row.row.printed.get(column), 3) for column in columns[:-1]),
            _seeds(row),
        ]
    ]
    if row.row.base is None:
        return lines
    correct, printed = row.printed_differences, row.row.printed_reduction
    reductions = (_percent(row.differences.get(column)) for column in columns)
    told = [
        f"{100 * correct[column]:.1f} % (printed {printed[column]:.1f} %)" if column in correct else "–"
        for column in columns[:-1]
    ]
    return [*lines, [f"reduction, {row.row.name}", *reductions, *told, _seeds(row)]]


def _value(table: FilledTable, row: FilledRow, column: str) -> str:
    found = row.ours.metrics.get(column)
    if found is None:
        return MISSING
    if table.scale == 100:
        return str(found)
    if math.isnan(found.mean):
        return "–"
    sd = "" if math.isnan(found.sd) else f" ± {found.sd:.3f}"
    return f"{found.mean:.3f}{sd} (n = {len(found.values)})"


def _percent(found: Difference | None) -> str:
    if found is None:
        return "–"
    interval = "" if found.n == 1 else f" [{100 * found.low:.1f}, {100 * found.high:.1f}]"
    return f"{100 * found.mean:.1f} %{interval} (n = {found.n})"


def _printed(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _seeds(row: FilledRow) -> str:
    return ", ".join(map(str, row.ours.seeds)) or "–"


def _code(sentence: str) -> str:
    """The command at a sentence's end as code."""
    what, found, command = sentence.partition("mmmc study run")
    return f"{what}`{found}{command}`" if found else sentence


def _tex(text: str) -> str:
    signs = {"−": "$-$", "±": r"$\pm$", "×": r"$\times$", "–": "--", "|": r"\textbar{}", "“": "``", "”": "''"}
    special = {sign: f"\\{sign}" for sign in "&%$#_{}"}
    special |= {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"}
    return "".join({**special, **signs}.get(character, character) for character in text)


def _plain(table: FilledTable) -> dict[str, Any]:
    return {
        "table": table.table.number,
        "set": table.set,
        "caption": table.caption,
        "paper": asdict(table.table.paper),
        "rows": [
            {
                "name": row.row.name,
                "base": row.row.base,
                "measure": row.row.measure,
                "seeds": list(row.ours.seeds),
                "tried": row.tried,
                "speed": row.speed,
                "paper_speed": row.row.printed_speed,
                "missing": list(row.missing),
                "columns": {column: _column(table, row, column) for column in table.table.columns},
            }
            for row in table.rows
        ],
    }


def _column(table: FilledTable, row: FilledRow, column: str) -> dict[str, Any]:
    ours: Spread | None = row.ours.metrics.get(column)
    difference = row.differences.get(column)
    scale = table.scale
    return {
        "values": [] if ours is None else [_none(scale * value) for value in ours.values],
        "mean": None if ours is None else _none(scale * ours.mean),
        "sd": None if ours is None else _none(scale * ours.sd),
        "difference": None
        if difference is None
        else {
            "mean": scale * difference.mean,
            "low": _none(scale * difference.low),
            "high": _none(scale * difference.high),
            "n": difference.n,
        },
        "paper": row.row.printed.get(column),
        "paper_difference": None
        if column not in row.printed_differences
        else round(row.printed_differences[column], 6),
        "paper_printed_reduction": row.row.printed_reduction.get(column),
    }


def _none(value: float) -> float | None:
    return None if math.isnan(value) else value
