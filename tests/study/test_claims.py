"""The paper's claims: numbers of records by hand, verdicts by one rule, and commands that make what is missing."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mmmc.cli import main
from mmmc.study import beside, records
from mmmc.study.claims import NOT_RUN, NOT_SEEN, OPEN, SEEN, Finding, claims, findings, verdict
from mmmc.study.paper import paper_table
from mmmc.study.plan import Plan, read_plan
from mmmc.study.table import Difference

STUDIES = Path(__file__).parents[2] / "studies"

PLANS = ("bccd_val", *(f"embedded_{part}" for part in ("table1", "table2", "table3", "table6", "backbone")))

NAMES = (
    *("FCOS, GIoU quality", "+ RFA", "RFA at 2", "MMMC (+ RFA + APS)", "MMMC, score align_only"),
    *("+ RFA, scale step alone", "+ RFA, spatial step alone"),
)


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Three seeds of some of the paper's variants, nothing recorded."""
    lines = ["data: cells", "recipe: small", "records: found.jsonl", "seeds: [0, 1, 2]", "variants:"]
    lines += [f'  "{name}": {{train: {{log_every: {number + 1}}}}}' for number, name in enumerate(NAMES)]
    (tmp_path / "plan.yaml").write_text("\n".join(lines))
    return read_plan(tmp_path / "plan.yaml")


def record(plan: Plan, name: str, values: Mapping[int, float], **rest: Any) -> None:
    """Records of a variant: its AP by seed."""
    for run in plan.runs():
        if run.name == name and run.seed in values:
            records.append(plan.records, told(run.identity, {"AP": values[run.seed]}) | rest)


def told(identity: tuple[str, str, int, str], metrics: Mapping[str, float]) -> dict[str, Any]:
    return {
        **dict(zip(records.IDENTITY, identity, strict=True)),
        "version": "0",
        "metrics": metrics,
        "iterations": 1,
        "seconds": 1,
        "machine": {},
    }


def found(plan: Plan, text: str, what: str = "") -> Finding:
    (finding,) = (one for one in findings([plan]) if one.claim.text == text and one.row.what == what)
    return finding


TOGETHER = "RFA and APS together add to FCOS"


@pytest.mark.parametrize(
    ("ours", "said", "wanted"),
    [
        # Gains of 1, 2 and 3: mean 2, deviation 1, t(2) = 4.303, so ± 4.303 / √3 = 2.48.
        ({0: 0.31, 1: 0.32, 2: 0.33}, "+2.0 [-0.5, +4.5] (n = 3)", OPEN),
        ({0: 0.33, 1: 0.34, 2: 0.35}, "+4.0 [+1.5, +6.5] (n = 3)", SEEN),
        ({0: 0.26, 1: 0.27, 2: 0.28}, "-3.0 [-5.5, -0.5] (n = 3)", NOT_SEEN),
        ({1: 0.34}, "+4.0 (n = 1)", OPEN),
        ({}, "None", NOT_RUN),
    ],
)
def test_a_gain_paired_by_seed(plan: Plan, ours: dict[int, float], said: str, wanted: str) -> None:
    record(plan, "FCOS, GIoU quality", dict.fromkeys(range(3), 0.30))
    record(plan, "MMMC (+ RFA + APS)", ours)
    finding = found(plan, TOGETHER)
    assert (str(finding.found), finding.verdict, finding.set) == (said, wanted, "cells")
    assert finding.again == f"mmmc study run {plan.path} --only 'MMMC (+ RFA + APS)' 'FCOS, GIoU quality'"


def test_synergy_is_what_both_gain_beyond_the_sum_of_each(plan: Plan) -> None:
    """By hand: (36 − 30) − (31 − 30) − (32 − 30) = 3, then 4 and 5."""
    for name, ap in (("+ RFA", 0.30), ("+ RFA, scale step alone", 0.31), ("+ RFA, spatial step alone", 0.32)):
        record(plan, name, dict.fromkeys(range(3), ap))
    record(plan, "MMMC (+ RFA + APS)", {0: 0.36, 1: 0.37, 2: 0.38})
    finding = found(plan, "Both steps of APS gain more together than the sum of what each gains alone")
    assert (str(finding.found), finding.verdict) == ("+4.0 [+1.5, +6.5] (n = 3)", SEEN)


def look(gap: float) -> dict[str, float]:
    return {"gap_focal": gap, "sum_focal": 2 * gap, "gap_bce": 0.1, "sum_bce": 0.1}


def test_a_loss_falls_by_its_mean_over_the_papers_five_looks(plan: Plan) -> None:
    """Reductions of 10, 20, 30, 20 and 10 %, 18 % on average; the last sixth does not count."""
    base, mine = [1.0] * 6, [0.9, 0.8, 0.7, 0.8, 0.9, 9.0]
    record(plan, "FCOS, GIoU quality", dict.fromkeys(range(3), 0.3), agreement=[look(value) for value in base])
    record(plan, "+ RFA", dict.fromkeys(range(3), 0.3), agreement=[look(value) for value in mine])
    finding = found(plan, "RFA lowers gap and sum of both losses by about 2 %", "gap")
    assert (str(finding.found), finding.verdict) == ("+18.0 [+18.0, +18.0] (n = 3)", SEEN)


def test_a_training_that_converges_lowers_its_loss(plan: Plan) -> None:
    """From 0.5 after a sixth to 0.4 at the end is a fall of 20 %: without the 5 % that not converging allows."""
    losses = [0.25, 9.0, 9.0, 9.0, 9.0, 0.2]
    record(plan, "MMMC, score align_only", dict.fromkeys(range(3), 0.3), agreement=[look(value) for value in losses])
    finding = found(plan, "Alignment alone does not converge", "fall of the sum of both losses")
    assert (str(finding.found), finding.verdict) == ("+20.0 [+20.0, +20.0] (n = 3)", NOT_SEEN)


def test_a_training_that_diverges_does_not_converge(plan: Plan) -> None:
    losses = [0.20, 9.0, 9.0, 9.0, 9.0, 0.24]
    record(plan, "MMMC, score align_only", dict.fromkeys(range(3), 0.3), agreement=[look(value) for value in losses])
    finding = found(plan, "Alignment alone does not converge", "fall of the sum of both losses")
    assert (str(finding.found), finding.verdict) == ("-20.0 [-20.0, -20.0] (n = 3)", SEEN)


def test_records_that_do_not_say_it_are_named(plan: Plan) -> None:
    """What is recorded is not trained again, so the bare command would do nothing."""
    for name in ("FCOS, GIoU quality", "+ RFA"):
        record(plan, name, {0: 0.3})
    finding = found(plan, "RFA lowers gap and sum of both losses by about 2 %", "gap")
    assert (finding.found, finding.verdict) == (None, NOT_RUN)
    assert finding.again == (
        f"remove their lines from {plan.records}, which do not say it, then mmmc study run {plan.path} --only '+ RFA' "
        "'FCOS, GIoU quality' --out NEW"
    )


def test_labels_are_told_beside_the_plans_records(plan: Plan) -> None:
    what = "overlap with ATSS's labels, aligned less misaligned third of the objects"
    text = "Labels differ from those of ATSS and PAA where the tasks are misaligned, and not where they are aligned"
    assert found(plan, text, what).again == (
        f"mmmc study overlap {plan.path} --only 'MMMC (+ RFA + APS)' --assigners "
        "'atss(square_strides=4),paa(square_strides=4)'"
    )
    for run in plan.runs():
        if run.name == "MMMC (+ RFA + APS)":
            whole = told(run.identity, {"AP": 0.4}) | {"agreement": []}
            beside.keep(plan, beside.OVERLAP, whole, {"atss_drop": 0.1, "paa_drop": None}, {})
    assert {path.name for path in plan.path.parent.iterdir()} == {"plan.yaml", "found.overlap.jsonl", ".lock"}
    assert str(found(plan, text, what).found) == "+10.0 [+10.0, +10.0] (n = 3)"
    other = found(plan, text, what.replace("ATSS", "PAA"))
    # The training is sound, and is measured anew.
    assert (other.found, other.again) == (None, found(plan, text, what).again)
    assert other.again.startswith("mmmc study overlap ")
    # Of other rules it says nothing of the claim; of those that the command names it does.
    for line, wanted in (("atss(topk=3)", None), ("atss(square_strides=4)", "+20.0 [+20.0, +20.0] (n = 3)")):
        for run in plan.runs():
            if run.name == "MMMC (+ RFA + APS)":
                whole = told(run.identity, {"AP": 0.4})
                others = beside.rules(line, run.recipe)
                beside.keep(plan, beside.OVERLAP, whole, {"atss_drop": 0.2}, others)
        difference = found(plan, text, what).found
        assert (None if difference is None else str(difference)) == wanted


@pytest.mark.parametrize(
    ("low", "high", "wanted"),
    [(-0.9, -0.2, SEEN), (-0.1, 0.05, SEEN), (-0.1, 0.06, OPEN), (0.06, 0.2, NOT_SEEN), (math.nan, math.nan, OPEN)],
)
def test_the_rule_of_verdicts_below_a_bound(low: float, high: float, wanted: str) -> None:
    found = Difference((low + high) / 2, low, high, 1 if math.isnan(low) else 3)
    assert verdict(found, below=0.05) == wanted


@pytest.mark.parametrize(
    ("low", "high", "within", "wanted"),
    [
        (0.001, 0.5, None, SEEN),
        (-0.001, 0.5, None, OPEN),
        (-0.5, 0.001, None, OPEN),
        (-0.5, -0.001, None, NOT_SEEN),
        (math.nan, math.nan, None, OPEN),
        (-0.004, 0.005, 0.005, SEEN),
        (0.001, 0.004, 0.005, SEEN),  # not 0, but next to nothing
        (-0.006, 0.004, 0.005, OPEN),
        (-0.004, 0.006, 0.005, OPEN),
        (0.006, 0.009, 0.005, NOT_SEEN),
        (-0.009, -0.006, 0.005, NOT_SEEN),
        (math.nan, math.nan, 0.005, OPEN),
    ],
)
def test_the_rule_of_verdicts(low: float, high: float, within: float | None, wanted: str) -> None:
    assert verdict(Difference((low + high) / 2, low, high, 1 if math.isnan(low) else 3), within) == wanted
    assert verdict(None, within) == NOT_RUN


def test_printed_gains_follow_from_the_papers_tables() -> None:
    """Of AP: each row's from the one table that prints all of its variants."""
    printed = [
        {variant: row.printed["AP"] for row in paper_table(number).rows if row.printed for variant in row.variants}
        for number in (2, 3, 6, 1)
    ]
    checked = 0
    for row in (row for claim in claims() for row in claim.rows if not row.unit):
        for table in printed:
            sides = [
                [[table[name] for name in term if name in table] for term in side] for side in (row.plus, row.minus)
            ]
            if all(term for side in sides for term in side):
                by_hand = sum(term[0] for term in sides[0]) - sum(term[0] for term in sides[1])
                assert row.printed == pytest.approx(by_hand), row
                checked += 1
                break
        else:
            assert row.printed in (None, 3.1), row
    assert checked == 3 + 1 + 3 + 2 + 1


def test_aps_is_compared_with_boxes_that_begin_as_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMMC_DATA", "data")
    plan = read_plan(STUDIES / "coco_table2.yaml")
    for text in ("APS adds to FCOS", TOGETHER):
        finding = found(plan, text)
        assert "'FCOS, GIoU quality, boxes begin at 2 strides'" in finding.again
        names = [name for name in plan.recipes if name in shlex.split(finding.again)]
        assert {plan.recipes[name].model.box_bias for name in names} == {2.0}


def test_every_claim_has_a_plan_and_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a record: the commands train what each claim is about, all of it and nothing else."""
    monkeypatch.setenv("MMMC_DATA", "data")
    plans = [read_plan(STUDIES / f"{name}.yaml") for name in PLANS]
    told = findings(plans)
    assert {finding.row for finding in told if finding.set} == {row for claim in claims() for row in claim.rows}
    for finding in told:
        words = shlex.split(finding.again.rpartition(", then ")[2])
        (plan,) = (plan for plan in plans if str(plan.path) == words[3])
        terms = finding.row.plus + finding.row.minus
        assert words[4] == "--only"
        names = words[5 : 5 + len(set(terms))]
        assert set(names) <= plan.recipes.keys()
        assert all(set(names) & set(term) for term in terms), finding.again


def test_the_command(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    record(plan, "FCOS, GIoU quality", dict.fromkeys(range(3), 0.30))
    record(plan, "MMMC (+ RFA + APS)", {0: 0.33, 1: 0.34, 2: 0.35})
    assert main(["study", "claims", "--plan", str(plan.path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert (
        "| 3 | RFA and APS together add to FCOS | Table 2: 41.7, against 39.4 with the same quality branch |  | +2.3 "
        f"| cells | +4.0 [+1.5, +6.5] (n = 3) | **seen** | `mmmc study run {plan.path} --only 'MMMC (+ RFA + APS)' "
        "'FCOS, GIoU quality'` |"
    ) in lines
    assert ("|  |  |  | position 3 against 1 | +0.0 |  | – | not run yet | no plan given has its variants |") in lines
    assert any("| cells | – | not run yet | `mmmc study run" in line for line in lines)
    assert main(["study", "claims"]) == 2
