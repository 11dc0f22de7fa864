"""Records of finished runs that are measured afterwards, in a file beside the plan's own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

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


def keep(plan: Plan, kind: str, record: Mapping[str, Any], metrics: Mapping[str, float | None]) -> None:
    """Add a run's record with these metrics in the place of its own."""
    kept = {name: value for name, value in record.items() if name != "agreement"}
    records.append(file_of(plan, kind), {**kept, "metrics": dict(metrics)})
