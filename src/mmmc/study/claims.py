"""The paper's claims as data, and what records say of each: a number a seed, its interval, a verdict by one rule."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import yaml

from mmmc.study.beside import load, of_rules, rules
from mmmc.study.plan import Plan
from mmmc.study.table import Difference, student

FILE = resources.files("mmmc") / "study" / "claims.yaml"

LOOKS = 5
"""Moments of a training that the paper prints losses of: its first five sixths."""

SEEN, NOT_SEEN, OPEN, NOT_RUN = "seen", "not seen", "cannot be told", "not run yet"
"""Verdicts."""

Record = Mapping[str, Any]

Recorded = Mapping[tuple[str, int], Record]
"""By variant and seed."""


@dataclass(frozen=True)
class ClaimRow:
    """One number that a claim is about; where it comes from is told in `claims.yaml`.

    Attributes:
        what: it is of, where a claim has several.
        plus: variants that are added, each with its alternatives.
        minus: variants that are taken away.
        printed: what the paper's figures give, × 100; None where it prints none.
        metric: of the records.
        reduction: a loss, of whose relative reduction the row is.
        fall: a loss, of whose relative fall over the training the row is.
        beside: kind of records beside the plan's; empty for the plan's own.
        options: of the command that makes those records.
        within: the claim is that the number is not farther from 0; None where it is another.
        below: the claim is that the number is not above this; None where it is another. Without either the claim is
            that it lies above 0.
    """

    what: str
    plus: tuple[tuple[str, ...], ...]
    minus: tuple[tuple[str, ...], ...]
    printed: float | None
    metric: str
    reduction: str
    fall: str
    beside: str
    options: tuple[str, ...]
    within: float | None
    below: float | None

    @property
    def unit(self) -> str:
        """Of the number, × 100: AP, or percent of a loss or of a set of labels."""
        return " %" if self.reduction or self.fall or self.beside else ""


@dataclass(frozen=True)
class Claim:
    """What the paper says.

    Attributes:
        text: in our words.
        paper: where it stands, and with which figures.
        rows: the numbers that it is about.
    """

    text: str
    paper: str
    rows: tuple[ClaimRow, ...]


@dataclass(frozen=True)
class Finding:
    """What the runs of one plan say of a row.

    Attributes:
        claim: whose row it is.
        row: of the claim.
        set: that the runs were scored on; empty where no plan has the variants.
        found: mean over seeds with Student's 95 % interval, a fraction; None without a seed that all variants have.
        verdict: one of four.
        again: the command that makes what is missing, and skips what is not; empty where no plan has the variants.
    """

    claim: Claim
    row: ClaimRow
    set: str
    found: Difference | None
    verdict: str
    again: str


def claims() -> list[Claim]:
    """All claims, in the paper's order of importance."""
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return [Claim(entry["claim"], entry["paper"], tuple(map(_row, entry["rows"]))) for entry in content]


def findings(plans: Sequence[Plan]) -> list[Finding]:
    """For each row of each claim what is known on each set: of a set's plans the first that has all variants tells.

    Raises:
        InputError: records cannot be read.
    """
    known: dict[tuple[str, str, tuple[str, ...]], Recorded] = {}
    told = []
    for claim in claims():
        for row in claim.rows:
            able = {plan.set: plan for plan in reversed(plans) if _names(row.plus + row.minus, plan) is not None}
            for name in dict.fromkeys(plan.set for plan in plans if plan.set in able):
                plan = able[name]
                key = (str(plan.path), row.beside, row.options)
                if key not in known:
                    known[key] = _recorded(plan, row)
                told.append(_finding(claim, row, plan, known[key]))
            if not able:
                told.append(Finding(claim, row, "", None, NOT_RUN, ""))
    return told


def verdict(found: Difference | None, within: float | None = None, below: float | None = None) -> str:
    """By the interval: where it lies wholly, there the truth is taken to lie; a single seed has none.

    A claim that a number is above 0 is seen where all of the interval is, and not seen where all of it is below. A
    claim that it is next to nothing is seen where all of the interval is `within` that of 0, and not seen where all of
    it is farther away. A claim that it is next to nothing or less is seen where all of the interval is `below` or less,
    and not seen where all of it is above.
    """
    if found is None:
        return NOT_RUN
    if math.isnan(found.low):
        return OPEN
    if within is not None:
        inside = -within <= found.low and found.high <= within
        outside = found.low > within or found.high < -within
    elif below is not None:
        inside, outside = found.high <= below, found.low > below
    else:
        inside, outside = found.low > 0, found.high < 0
    return SEEN if inside else NOT_SEEN if outside else OPEN


def _row(content: Mapping[str, Any]) -> ClaimRow:
    def variants(key: str) -> tuple[tuple[str, ...], ...]:
        return tuple(tuple(entry.split(" | ")) for entry in content.get(key, ()))

    claimed = {name: value / 100 for name, value in content.get("claimed", {}).items()}
    return ClaimRow(
        what=content.get("what", ""),
        plus=variants("plus"),
        minus=variants("minus"),
        printed=content.get("printed"),
        metric=content.get("metric", "AP"),
        reduction=content.get("reduction", ""),
        fall=content.get("fall", ""),
        beside=content.get("beside", ""),
        options=tuple(shlex.split(content.get("options", ""))),
        within=claimed.get("within"),
        below=claimed.get("below"),
    )


def _names(terms: Sequence[Sequence[str]], plan: Plan) -> list[str] | None:
    """Of each term the first alternative that the plan has; None if it lacks one."""
    found = [next((name for name in names if name in plan.recipes), None) for names in terms]
    return None if None in found else [name for name in found if name is not None]


def _recorded(plan: Plan, row: ClaimRow) -> Recorded:
    """What is known of a plan's runs, of the kind that lies beside its records, or of the trainings themselves."""
    known = load(plan, row.beside) if row.beside else plan.recorded()
    runs = {(run.name, run.seed): (run.recipe, known[run.identity]) for run in plan.runs() if run.identity in known}
    if not row.beside:
        return {run: record for run, (_, record) in runs.items()}
    _, assigners = row.options
    return {run: of_rules(record, rules(assigners, recipe)) for run, (recipe, record) in runs.items()}


def _finding(claim: Claim, row: ClaimRow, plan: Plan, known: Recorded) -> Finding:
    names = _names(row.plus + row.minus, plan)
    assert names is not None
    values, silent = [], False
    for seed in plan.seeds:
        found = [known[name, seed] for name in names if (name, seed) in known]
        if len(found) == len(names):
            value = _value(row, found[: len(row.plus)], found[len(row.plus) :])
            values += [] if value is None else [value]
            silent |= value is None
    told = student(values)
    different = list(dict.fromkeys(names))
    again = plan.command(different, action=row.beside or "run", options=row.options)
    if silent and not row.beside:
        # What is recorded is not trained again, and the old folders hold the old records.
        anew = plan.command(different, options=("--out", "NEW"))
        again = f"remove their lines from {plan.records}, which do not say it, then {anew}"
    return Finding(claim, row, plan.set, told, verdict(told, row.within, row.below), again)


def _value(row: ClaimRow, plus: Sequence[Record], minus: Sequence[Record]) -> float | None:
    """A seed's number, a fraction; None where a record does not say it."""
    if row.reduction:
        mine, base = (_losses(record, row.reduction) for record in (plus[0], minus[0]))
        pairs = [(m, b) for m, b in zip(mine[:LOOKS], base[:LOOKS], strict=True) if m is not None and b is not None]
        return sum(1 - m / b for m, b in pairs) / LOOKS if len(pairs) == LOOKS else None
    if row.fall:
        losses = _losses(plus[0], row.fall)
        first, last = losses[0], losses[-1]
        return None if first is None or last is None else 1 - last / first
    values = [[record["metrics"].get(row.metric) for record in side] for side in (plus, minus)]
    return None if any(None in side for side in values) else sum(values[0]) - sum(values[1])


def _losses(record: Record, name: str) -> list[float | None]:
    """At the end of each sixth; None where nobody looked."""
    looks = record.get("agreement") or [None] * (LOOKS + 1)
    return [None if look is None else look[name] for look in looks]
