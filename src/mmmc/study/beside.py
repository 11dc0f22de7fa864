"""Records of finished runs that are measured afterwards, in a file beside the plan's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmmc.assign import Assigner
from mmmc.errors import InputError
from mmmc.recipe import Recipe
from mmmc.recipe.naming import named_assigners
from mmmc.study import records
from mmmc.study.plan import Identity, Plan

OVERLAP = "overlap"
"""Kind of records: how labels overlap, `mmmc.misalignment.overlap`."""


def file_of(plan: Plan, kind: str) -> Path:
    """Where they lie."""
    return plan.records.with_suffix(f".{kind}.jsonl")


def load(plan: Plan, kind: str) -> dict[Identity, dict[str, Any]]:
    """All of a kind, by run; none where there is no file."""
    path = file_of(plan, kind)
    return {records.identity(record): record for record in records.load(path)} if path.exists() else {}


def keep(
    plan: Plan,
    kind: str,
    record: Mapping[str, Any],
    metrics: Mapping[str, float | None],
    rules: Mapping[str, Assigner],
) -> None:
    """Add a run's record with these metrics in the place of its own, and with the rules that they are of.

    What is known of the same training by other rules stays.
    """
    kept = {name: value for name, value in record.items() if name not in ("agreement", "metrics")}
    new = {**kept, "metrics": {**metrics}, "rules": {name: repr(rule) for name, rule in rules.items()}}

    def merged(older: dict[str, Any]) -> dict[str, Any]:
        if any(older.get(name) != value for name, value in kept.items()):
            return new
        return new | {name: {**older.get(name, {}), **new[name]} for name in ("metrics", "rules")}

    records.append(file_of(plan, kind), new, merge=merged)


def rules(line: str, recipe: Recipe) -> dict[str, Assigner]:
    """The assigners that a line names (`named_assigners`), by the names that metrics have for them.

    Raises:
        InputError: the line cannot be used, or names a class twice, whose metrics would have one name.
    """
    found = [named.assigner for named in named_assigners(line, recipe)]
    names = [type(rule).__name__.lower() for rule in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"--assigners {line!r} names {name} twice; allowed: each class once in a call.")
    return dict(zip(names, found, strict=True))


def of_rules(record: Mapping[str, Any], rules: Mapping[str, Assigner]) -> dict[str, Any]:
    """The record without what was measured by rules of these classes with other options.

    A record that does not say its rules is older than that, and taken to be of these.
    """
    said = record.get("rules", {})
    others = {name for name, rule in rules.items() if said.get(name, repr(rule)) != repr(rule)}
    metrics = {name: value for name, value in record["metrics"].items() if name.rpartition("_")[0] not in others}
    return {**record, "metrics": metrics}
