"""The records as a Markdown table and as a picture."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.race.contestants import Contestant
from benchmarks.race.records import Record
from mmmc.files import write_atomically

SHOWN = ("AP", "AP50", "AP75", "APs", "APm", "APl")
HEAD = ["set", "minutes", "contestant", "begins with", "seeds", *SHOWN, "iterations", "seconds of training"]
EMPTY = "Not run yet (`python -m benchmarks race run`): there are no figures."

Group = tuple[str, float, str]


def grouped(found: Sequence[Record], contestants: Mapping[str, Contestant]) -> dict[Group, list[Record]]:
    """Records of all seeds by set, budget and contestant; within a budget the best mean AP first, failures last."""
    groups: dict[Group, list[Record]] = defaultdict(list)
    for record in found:
        if record["contestant"] in contestants:
            groups[record["set"], record["minutes"], record["contestant"]].append(record)
    return dict(sorted(groups.items(), key=lambda item: (item[0][:2], -_ap(item[1]))))


def table(found: Sequence[Record], contestants: Mapping[str, Contestant]) -> str:
    """A line for each set, budget and contestant: means over seeds, and AP's standard deviation where it has one."""
    groups = grouped(found, contestants)
    if not groups:
        return EMPTY
    lines = [f"| {' | '.join(HEAD)} |", f"|---|---:|---|---|---:|{'---:|' * (len(HEAD) - 5)}"]
    for (place, minutes, name), group in groups.items():
        who = contestants[name]
        cells = [place, f"{minutes:g}", who.title, who.weights]
        ended = [record for record in group if "error" not in record]
        if ended:
            cells += [str(len(ended)), *(_percent(ended, number) for number in SHOWN)]
            cells += [f"{statistics.mean(record[key] for record in ended):,.0f}" for key in ("iterations", "seconds")]
        else:
            cells += ["0", "failed", *[""] * (len(SHOWN) + 1)]
        lines.append(f"| {' | '.join(cells)} |")
    shown = [record for group in groups.values() for record in group]
    failed = [f"{contestants[record['contestant']].title}: {record['error']}" for record in shown if "error" in record]
    machines = [f"{one['machine']['cpu']}, {one['threads']} threads" for one in _ended(shown)]
    for said, words in (("Failed: ", failed), ("", machines)):
        lines += [f"\n{said}{'; '.join(dict.fromkeys(words))}."] if words else []
    return "\n".join(lines)


def draw(found: Sequence[Record], contestants: Mapping[str, Contestant], path: Path) -> None:
    """AP over minutes of training, a panel for each set and a line for each contestant, as a PNG."""
    groups = {key: group for key, group in grouped(found, contestants).items() if _ended(group)}
    places = sorted({key[0] for key in groups}) or [""]
    figure = Figure(figsize=(7 * len(places), 5), layout="constrained")
    for axes, place in zip(figure.subplots(1, len(places), squeeze=False)[0], places, strict=True):
        for name, who in contestants.items():
            points = sorted((key[1], 100 * _ap(group)) for key, group in groups.items() if key[::2] == (place, name))
            if points:
                style = "-" if who.weights == "random" else "--"
                axes.plot(*zip(*points, strict=True), style, marker="o", label=f"{who.title} ({who.weights})")
        axes.set_xlabel("minutes of training")
        axes.set_ylabel("AP")
        axes.set_title(place, loc="left")
        if axes.lines:
            axes.legend(fontsize=8)
    write_atomically(path, lambda file: figure.savefig(file, dpi=100, format="png"))


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
