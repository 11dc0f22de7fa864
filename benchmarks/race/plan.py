"""The stages of the race. Whom the later ones are about, the records of the first one say."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from benchmarks.race.contestants import Contestant
from benchmarks.race.records import identity, load
from benchmarks.race.running import Race

OURS = ("mmmc-random", "fcos-random")
"""Those of this package that are in all stages: from random weights, as everyone."""

BEST = 3
"""How many others are."""

MORE_SEEDS = (1, 2)


def stages(first: Race, elsewhere: Path) -> Iterator[Race]:
    """One seed of all; more seeds of ours and the best others; these on another set, with one seed.

    Each stage is to be run before the next one is asked for. Where the first one left a run without a record there is
    no next one, for nobody knows the best.

    Args:
        first: the first stage.
        elsewhere: folder of the other set.
    """
    yield first
    recorded = {identity(record) for record in load(first.records)}
    if any(identity(wanted) not in recorded for wanted in first.all()):
        return
    chosen = finalists(first)
    yield replace(first, contestants=chosen, seeds=MORE_SEEDS)
    yield replace(first, contestants=chosen, data=elsewhere)


def finalists(first: Race) -> Mapping[str, Contestant]:
    """Ours and the others with the best mean AP over all budgets and seeds; who failed at one is not among those."""
    known = {identity(record): record for record in load(first.records)}
    found: dict[str, list[float]] = {name: [] for name in first.contestants if first.contestants[name].module != "ours"}
    for wanted in first.all():
        record = known[identity(wanted)]
        if "error" in record:
            found.pop(wanted["contestant"], None)
        elif wanted["contestant"] in found:
            found[wanted["contestant"]].append(record["metrics"]["AP"] or 0.0)
    best = sorted(found, key=lambda name: statistics.mean(found[name]), reverse=True)[:BEST]
    return {name: who for name, who in first.contestants.items() if name in (*OURS, *best)}
