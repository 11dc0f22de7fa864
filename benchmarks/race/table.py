"""The records as a Markdown table and as a picture."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from matplotlib.figure import Figure

from benchmarks.race.contestants import Contestant
from benchmarks.race.records import Record
from mmmc.files import write_atomically

SHOWN = ("AP", "AP50", "AP75", "APs", "APm", "APl")
HEAD = ["set", "minutes", "threads", "contestant", "begins with", "seeds", *SHOWN, "iterations", "seconds of training"]
EMPTY = "Not run yet (`python -m benchmarks race run`): there are no figures."


class Group(NamedTuple):
    """What is equal in records that are averaged: all of their identity but the seed."""

    set: str
    minutes: float
    threads: int
    contestant: str
    settings_hash: str


def grouped(found: Sequence[Record], contestants: Mapping[str, Contestant]) -> dict[Group, list[Record]]:
    """Records of all seeds of a group; within set, budget and threads the best mean AP first, failures last."""
    groups: dict[Group, list[Record]] = defaultdict(list)
    for record in found:
        if record["contestant"] in contestants:
            groups[Group(*(record[name] for name in Group._fields))].append(record)
    return dict(sorted(groups.items(), key=lambda item: (item[0][:3], -_ap(item[1]))))


def table(found: Sequence[Record], contestants: Mapping[str, Contestant]) -> str:
    """A line for each group: means over seeds, and AP's standard deviation where it has one.

    A contestant whose settings or versions changed between runs has several, each with the hash of them.
    """
    groups = grouped(found, contestants)
    if not groups:
        return EMPTY
    lines = [f"| {' | '.join(HEAD)} |", f"|---|---:|---:|---|---|---:|{'---:|' * (len(HEAD) - 6)}"]
    for key, group in groups.items():
        who = contestants[key.contestant]
        title = f"{who.title} ({key.settings_hash})" if _changed(key, groups) else who.title
        cells = [key.set, f"{key.minutes:g}", str(key.threads), title, who.weights]
        ended = _ended(group)
        if ended:
            cells += [str(len(ended)), *(_percent(ended, number) for number in SHOWN)]
            cells += [f"{statistics.mean(record[key] for record in ended):,.0f}" for key in ("iterations", "seconds")]
        else:
            cells += ["0", "failed", *[""] * (len(SHOWN) + 1)]
        lines.append(f"| {' | '.join(cells)} |")
    shown = [record for group in groups.values() for record in group]
    failed = [f"{contestants[record['contestant']].title}: {record['error']}" for record in shown if "error" in record]
    machines = [one["machine"]["cpu"] for one in _ended(shown)]
    for said, words in (("Failed: ", failed), ("", machines)):
        lines += [f"\n{said}{'; '.join(dict.fromkeys(words))}."] if words else []
    return "\n".join(lines)


def draw(found: Sequence[Record], contestants: Mapping[str, Contestant], path: Path) -> None:
    """AP over minutes of training, a panel for each set and a line for what differs in nothing but them, as a PNG."""
    groups = {key: group for key, group in grouped(found, contestants).items() if _ended(group)}
    places = sorted({key.set for key in groups}) or [""]
    figure = Figure(figsize=(7 * len(places), 5), layout="constrained")
    for axes, place in zip(figure.subplots(1, len(places), squeeze=False)[0], places, strict=True):
        lines: dict[Group, list[tuple[float, float]]] = defaultdict(list)
        for key, group in groups.items():
            if key.set == place:
                lines[key._replace(minutes=0)].append((key.minutes, 100 * _ap(group)))
        for key, points in lines.items():
            who = contestants[key.contestant]
            style = "-" if who.weights == "random" else "--"
            label = f"{who.title} ({who.weights}), {key.threads} threads"
            axes.plot(*zip(*sorted(points), strict=True), style, marker="o", label=label)
        axes.set_xlabel("minutes of training")
        axes.set_ylabel("AP")
        axes.set_title(place, loc="left")
        if axes.lines:
            axes.legend(fontsize=8)
    write_atomically(path, lambda file: figure.savefig(file, dpi=100, format="png"))


def _changed(key: Group, groups: Mapping[Group, list[Record]]) -> bool:
    """Whether there is a group that differs in the settings only."""
    return any(other != key and other._replace(settings_hash=key.settings_hash) == key for other in groups)


def _ended(group: Sequence[Record]) -> list[Record]:
    return [record for record in group if "error" not in record]


def _ap(group: Sequence[Record]) -> float:
    """Mean AP of the runs that ended, -1 of none; an AP that is not defined counts as 0."""
    ended = _ended(group)
    return statistics.mean(record["metrics"]["AP"] or 0.0 for record in ended) if ended else -1.0


def _percent(ended: Sequence[Record], number: str) -> str:
    values = [100 * record["metrics"][number] for record in ended if record["metrics"][number] is not None]
    if not values:
        return "–"
    spread = f" ± {statistics.stdev(values):.1f}" if number == "AP" and len(values) > 1 else ""
    return f"{statistics.mean(values):.1f}{spread}"
