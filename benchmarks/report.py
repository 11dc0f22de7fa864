"""The goals and the crowded pictures as tables, from the JSON files of the results."""

from __future__ import annotations

import argparse
import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.goals import Goal, goals, gpu_goals
from benchmarks.intervals import Estimate, median
from benchmarks.result import Result, quantity, read
from benchmarks.suite.assigners import COUNTS, PARTS, row_name
from benchmarks.suite.operators import ALL, OTHERS
from mmmc.errors import InputError
from mmmc.files import write_text

RESULTS = Path(__file__).parent / "results"
BEGIN, END = "<!-- {name}: {command} -->", "<!-- end of {name} -->"
"""Between these comments of a page stands a table; all else is written by hand."""


def main(arguments: Sequence[str]) -> int:
    """Print the tables, or put them into a page."""
    return put_of_results("report", __doc__, lambda folder: tables(results(folder)), arguments)


def put_of_results(
    verb: str, description: str | None, make: Callable[[Path], Mapping[str, str]], arguments: Sequence[str]
) -> int:
    """Print what a verb makes of the folder of JSON files, or put it into a page, as its command line says."""
    parser = argparse.ArgumentParser(f"python -m benchmarks {verb}", description=description)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="replace the tables of this page instead of printing")
    config = parser.parse_args(arguments)
    return put(make(config.results), config.into)


def put(made: Mapping[str, str], page: Path | None) -> int:
    """Print tables, or replace a page's former ones by them."""
    if page is None:
        print("\n\n".join(made.values()))
        return 0
    text = page.read_text(encoding="utf-8")
    for name, table in made.items():
        text = replaced(text, name, table, page)
    write_text(page, text)
    return 0


def between(name: str, table: str, command: str) -> str:
    """A table between its comments, which say what makes it."""
    return f"{BEGIN.format(name=name, command=command)}\n{table}\n{END.format(name=name)}"


def results(folder: Path) -> dict[str, Result]:
    """The committed results by their benchmark; those of smoke tests are refused.

    Raises:
        InputError: a file is no result, or does not bear the name of its benchmark.
    """
    found = {}
    for file in sorted(folder.glob("*.json")):
        result = read(file)
        if result.benchmark != file.stem or result.tiny:
            what = "a smoke test (--tiny)" if result.tiny else f"of the benchmark {result.benchmark!r}"
            raise InputError(f"{file} is {what}; allowed: a full measurement of {file.stem!r}.")
        found[result.benchmark] = result
    return found


def tables(found: Mapping[str, Result]) -> dict[str, str]:
    """The tables by name, each between its comments."""
    made = {"goals": goals_table(goals(PARTS), found), "gpu": gpu_table(found)}
    made["crowds"] = crowds_table(found.get("assigners"))
    made["methods"] = methods_table(found.get("methods"))
    made["runtimes"] = runtimes_table(found.get("runtimes"))
    made["operators"] = operators_table(found.get("operators"))
    return {name: between(name, text, "python -m benchmarks report") for name, text in made.items()}


def replaced(page: str, name: str, table: str, file: Path) -> str:
    """The page with this table in the place of its former state.

    Raises:
        InputError: the page has not exactly one place for it.
    """
    begin, end = re.escape(table.partition("\n")[0]), re.escape(END.format(name=name))
    changed, count = re.subn(f"{begin}\n.*?{end}", lambda _: table, page, flags=re.DOTALL)
    if count != 1:
        raise InputError(f"{file} holds {count} tables between the comments of {name!r}; allowed: one.")
    return changed


def goals_table(wanted: Sequence[Goal], found: Mapping[str, Result]) -> str:
    """A line for each goal."""
    lines = ["| what | goal | measured | interval of 95 % | | date | command |", "|---|---|---|---|---|---|---|"]
    for goal in wanted:
        result = found.get(goal.benchmark)
        figures = [] if result is None else goal.figures(result)
        if result is None or not figures:
            cells = ["not measured", "", "", "", f"`python -m benchmarks {goal.benchmark}`"]
        else:
            cells = [*_measured(goal, figures), result.date, f"`{result.command}`"]
        lines.append(f"| {' | '.join([goal.text, _bound(goal), *cells])} |")
    return "\n".join(lines)


def gpu_table(found: Mapping[str, Result]) -> str:
    """A line for each goal of a GPU, and which one it was."""
    result = found.get("gpu")
    table = goals_table(gpu_goals(), found)
    return table if result is None else f"{table}\n\n{', '.join(result.machine['devices'])}, {_made_by(result)}"


def crowds_table(result: Result | None) -> str:
    """A line for each assigner: time and memory by the number of objects, and whether the goals are met."""
    if result is None:
        return "Crowded pictures: not measured (`python -m benchmarks assigners`)."
    memory, growth = (goal for goal in goals(PARTS) if goal.benchmark == "assigners")
    head = [f"{count:,} objects" for count in COUNTS]
    lines = [
        f"| assigner | {' | '.join(head)} | ms per object | memory | growth |",
        f"|---|{'---:|' * (len(COUNTS) + 1)}---|---|",
    ]
    for name in PARTS:
        rows = [result.row(row_name(name, count)) for count in COUNTS]
        if any(row is None or not row.values for row in rows):
            lines.append(f"| `{name}` | not measured{' |' * (len(COUNTS) + 3)}")
            continue
        times = [median(row.values).median for row in rows if row is not None]
        cells = [
            f"{quantity(seconds, 's')}" + ("" if row is None or row.memory_mb is None else f", {row.memory_mb:,.0f} MB")
            for seconds, row in zip(times, rows, strict=True)
        ]
        each = [f"{1000 * seconds / count:.1f}" for seconds, count in zip(times, COUNTS, strict=True)]
        last = row_name(name, COUNTS[-1])
        verdicts = [_verdict(goal, last, dict(goal.figures(result)).get(last)) for goal in (memory, growth)]
        lines.append(f"| `{name}` | {' | '.join([*cells, f'{each[0]} → {each[-1]}', *verdicts])} |")
    lines += ["", _made_by(result)]
    return "\n".join(lines)


def methods_table(result: Result | None) -> str:
    """What a training step of each method costs, the cheapest first."""
    if result is None:
        return "Steps of all methods: not measured (`python -m benchmarks methods`)."
    ratios = {row.name: ratio for row in result.rows if (ratio := result.ratio(row)) is not None}
    lines = ["| recipe | a step, times that of `small` | interval of 95 % |", "|---|---:|---|"]
    for name, ratio in sorted(ratios.items(), key=lambda one: one[1].median):
        lines.append(f"| `{name}` | {ratio.median:.2f} | {ratio.low:.2f} – {ratio.high:.2f}{ratio.reserve} |")
    lines += ["", _made_by(result)]
    return "\n".join(lines)


def runtimes_table(result: Result | None) -> str:
    """A line for each detector: a picture by PyTorch, and by what runs exported files."""
    if result is None:
        return "Exported files: not measured (`python -m benchmarks runtimes`)."
    ways = list(dict.fromkeys(row.name.rpartition(", ")[2] for row in result.rows))
    lines = [f"| a picture | {' | '.join(ways)} |", f"|---|{'---:|' * len(ways)}"]
    for name in dict.fromkeys(row.name.rpartition(", ")[0] for row in result.rows):
        cells = []
        for row in (result.row(f"{name}, {way}") for way in ways):
            assert row is not None
            ratio = result.ratio(row)
            times = (
                "" if ratio is None else f", {ratio.median:.2f} × ({ratio.low:.2f} – {ratio.high:.2f}){ratio.reserve}"
            )
            cells.append(f"{quantity(median(row.values).median, 's')}{times}")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    lines += ["", _made_by(result)]
    return "\n".join(lines)


def operators_table(result: Result | None) -> str:
    """Operators of a training step, by the time that they take themselves."""
    if result is None:
        return "Operators of a step: not measured (`python -m benchmarks operators`)."
    step = result.row(ALL)
    assert step is not None
    whole = median(step.values).median
    lines = ["| MMMC, `small`: operator | calls | ms | share |", "|---|---:|---:|---:|"]
    for row in result.rows:
        seconds = median(row.values).median
        name = row.name if row.name in (OTHERS, ALL) else f"`{row.name}`"
        lines.append(
            f"| {name} | {row.note.removesuffix(' calls')} | {1000 * seconds:.0f} | {100 * seconds / whole:.0f} % |"
        )
    return "\n".join([*lines, "", f"{_made_by(result)} Profiled."])


def _made_by(result: Result) -> str:
    """By which command, when and where."""
    return f"`{result.command}`, {result.date}, {result.machine['cpu']}, torch {result.machine['torch']}."


def _measured(goal: Goal, figures: Sequence[tuple[str, Estimate]]) -> list[str]:
    """Figure, interval and verdict; of several rows those of the worst, with its name and how many met the goal."""
    name, figure = figures[0]
    interval = "–"
    if not math.isnan(figure.low):
        interval = f"{_number(goal, figure.low)} – {_number(goal, figure.high)}{figure.reserve}"
    told, verdict = _number(goal, figure.median), _verdict(goal, name, figure)
    if len(goal.rows) > 1:
        met, missing = sum(goal.met(row, one.median) for row, one in figures), len(goal.rows) - len(figures)
        which = name.split(",")[0].rpartition(": ")[2]
        told, verdict = f"{told} ({which})", f"{verdict}: {met} of {len(goal.rows)}"
        verdict += f", {missing} not measured" if missing else ""
    return [told, interval, verdict]


def _verdict(goal: Goal, row: str, figure: Estimate | None) -> str:
    bound = goal.bound_of(row)
    if figure is None or bound is None:
        return "–"
    said = "met" if goal.met(row, figure.median) else "**missed**"
    return said + (", within the interval" if figure.low < bound < figure.high else "")


def _bound(goal: Goal) -> str:
    return "–" if goal.bound is None else f"{'≥' if goal.least else '≤'} {_number(goal, goal.bound)}"


def _number(goal: Goal, value: float) -> str:
    if goal.unit == "%":
        return f"{100 * value:.3g} %"
    return (f"{value:,.0f} {goal.unit}" if value >= 100 else f"{value:.3g} {goal.unit}").rstrip()
