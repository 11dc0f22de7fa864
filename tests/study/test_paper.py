"""The paper's tables filled: ours beside what is printed, and what is missing."""

from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from mmmc.cli import main
from mmmc.errors import InputError
from mmmc.recipe import digest
from mmmc.study import records
from mmmc.study.filled import filled
from mmmc.study.formats import FORMATS, as_csv, as_json, latex, markdown
from mmmc.study.paper import numbers, paper_table
from mmmc.study.plan import Plan, read_plan
from mmmc.study.speeds import read_speeds

STUDIES = Path(__file__).parents[2] / "studies"

TWO = """
data: {data}
recipe: small
records: found.jsonl
seeds: [0, 1, 2]
variants:
  "FCOS, GIoU quality": {{}}
  "+ RFA":
    model: {{rfa: {{class_position: 1, box_position: 1}}}}
"""

AP = {"FCOS, GIoU quality": (0.30, 0.31, 0.32), "+ RFA": (0.31, 0.33, 0.35)}
GAP = {"FCOS, GIoU quality": 0.2, "+ RFA": 0.15}


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    """Three seeds of two variants, all recorded."""
    (tmp_path / "plan.yaml").write_text(TWO.format(data=tmp_path / "cells"))
    plan = read_plan(tmp_path / "plan.yaml")
    for run in plan.runs():
        look = {"step": 5, "gap_focal": GAP[run.name], "sum_focal": 0.5, "gap_bce": 0.1, "sum_bce": 0.9}
        records.append(plan.records, record(plan, run.name, run.seed, agreement=[None, *[look] * 5]))
    return plan


def record(plan: Plan, name: str, seed: int, **changes: Any) -> dict[str, Any]:
    return {
        "name": name,
        "set": plan.set,
        "seed": seed,
        "recipe_hash": digest(plan.recipes[name]),
        "version": "0",
        "metrics": {"AP": AP[name][seed], "AP50": 0.5, "AP75": 0.4},
        "iterations": 540,
        "seconds": 1,
        "machine": {},
    } | changes


def forget(plan: Plan, name: str, seed: int) -> None:
    kept = [r for r in records.load(plan.records) if (r["name"], r["seed"]) != (name, seed)]
    plan.records.write_text("".join(json.dumps(r) + "\n" for r in kept))


def test_ours_stand_beside_the_papers(plan: Plan) -> None:
    """Gains of 1, 2 and 3 points: mean 2, deviation 1, t(2) = 4.303, so ± 4.303 / √3 = 2.48."""
    (table,) = filled(paper_table(2), [plan])
    text = markdown([table])
    assert (
        "| + RFA | 33.0 ± 2.0 (n = 3) | 50.0 ± 0.0 (n = 3) | 40.0 ± 0.0 (n = 3) | +2.0 [-0.5, +4.5] (n = 3) "
        "| 40.5 | 58.0 | 44.3 | +1.1 | 0, 1, 2 |"
    ) in text
    assert "Ours: cells, efficientnet_lite0, 540 iterations of 8 pictures" in text
    assert "Paper: coco, resnet50, 90,000 iterations of 16 pictures." in text
    assert "Not the same: set, backbone, iterations, batch" in text
    assert "+ APS: no plan given has a variant '+ APS'." in table.missing
    assert "boxes begin at 2 strides" not in text  # a row that is not the paper's, and no plan has it


def test_pictures_a_second_are_those_of_a_benchmark(
    plan: Plan, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of the plan's backbone, the median of all rounds; rows without RFA have FCOS's network."""
    rows = [
        {"name": "FCOS, efficientnet_lite0, fp32", "unit": "s", "values": [0.02, 0.05, 0.04]},
        {"name": "MMMC, efficientnet_lite0, fp32", "unit": "s", "values": [0.05]},
        {"name": "MMMC, resnet50, fp32", "unit": "s", "values": [1.0]},
        {"name": "share", "unit": "1", "values": []},
    ]
    file = tmp_path / "detector.json"
    file.write_text(json.dumps({"rows": rows}))
    (table,) = filled(paper_table(2), [plan], read_speeds(file))
    assert {row.row.name: row.speed for row in table.rows if row.ours.seeds} == {
        "FCOS, GIoU quality": 25,
        "+ RFA": 20,
    }
    assert [row.row.printed_speed for row in table.rows] == [14.7, 14.7, 14.6, 14.7, 14.6]
    text = markdown([table])
    assert "| seeds | pictures a second | paper's pictures a second |" in text
    assert "| 0, 1, 2 | 20.0 | 14.6 |" in text
    assert "| 0, 1, 2 | – | 14.6 |" in markdown(filled(paper_table(2), [plan]))
    assert json.loads(as_json([table]))[0]["rows"][2]["speed"] == 20
    assert list(csv.DictReader(io.StringIO(as_csv([table]))))[6]["speed"] == "20.0"
    command = ["study", "table", "2", "--plan", str(plan.path), "--speeds"]
    assert main([*command, str(file)]) == 0
    assert "| 0, 1, 2 | 20.0 | 14.6 |" in capsys.readouterr().out
    for content, says in (
        ("{}", "holds no seconds of rows"),
        ('{"rows": [{"name": "a", "unit": "s"}]}', "holds no sec"),
    ):
        file.write_text(content)
        assert main([*command, str(file)]) == 2
        assert says in capsys.readouterr().err
    assert main([*command, str(tmp_path / "no.json")]) == 2
    assert main(["study", "table", "1", *command[3:], str(file)]) == 2
    assert "the paper prints no pictures a second in Table 1" in capsys.readouterr().err


def test_a_deleted_record_is_named_with_its_command(plan: Plan) -> None:
    forget(plan, "+ RFA", 1)
    (table,) = filled(paper_table(2), [plan])
    assert f"+ RFA, seed 1: mmmc study run {plan.path} --only '+ RFA' --seeds '[1]'" in table.missing
    assert "| + RFA | 33.0 ± 2.8 (n = 2) |" in markdown([table])
    for seed in (0, 2):
        forget(plan, "+ RFA", seed)
    (table,) = filled(paper_table(2), [plan])
    text = markdown([table])
    assert "| + RFA | missing | missing | missing | – | 40.5 |" in text
    assert f"- + RFA, seed 0, 1, 2: `mmmc study run {plan.path} --only '+ RFA' --seeds '[0, 1, 2]'`" in text
    elsewhere = read_plan(plan.path, data=str(plan.path.parent / "other"))
    assert any("--data" in sentence for sentence in filled(paper_table(2), [elsewhere])[0].missing)


def test_a_run_has_one_record(plan: Plan) -> None:
    """Not two by a merge, of which one would count in silence."""
    text = plan.records.read_text()
    first = json.loads(text.splitlines()[0])
    plan.records.write_text(text + json.dumps(first | {"metrics": {"AP": 0.9}}) + "\n")
    with pytest.raises(InputError, match=rf"holds two records of '{re.escape(first['name'])}' on 'cells', seed 0"):
        filled(paper_table(2), [plan])


def test_losses_over_the_training(plan: Plan) -> None:
    (table,) = filled(paper_table(4), [plan])
    text = markdown([table])
    base = "| base, focal loss | – | 0.200 ± 0.000 (n = 3) |"
    assert base in text
    # From 0.2 to 0.15 is a quarter less.
    assert "| reduction, RFA, focal loss | – | 25.0 % [25.0, 25.0] (n = 3) |" in text
    assert "| -5.7 % (printed 1.3 %) |" in text
    # What the dash of the first sixth means is said for each run.
    first = "no gap_focal at the end of sixth 1, for no epoch with a look at labels ends near."
    assert f"base, focal loss, seed 2: {first}" in table.missing
    assert len(table.missing) == len(table.rows) * 3


def test_old_records_do_not_hold_the_losses(plan: Plan) -> None:
    for seed in (0, 1):
        records.append(plan.records, record(plan, "+ RFA", seed))
    records.append(plan.records, record(plan, "+ RFA", 2, agreement=[None] * 6))
    missing = "\n".join(filled(paper_table(5), [plan])[0].missing)
    assert (
        "RFA, focal loss, seed 0, 1 (the record says nothing of sum_focal: it was made by an older version)" in missing
    )
    assert "seed 2 (no sum_focal: the run did not look at labels, train.diagnose is 0)" in missing
    anew = f"mmmc study run {plan.path} --only '+ RFA' --seeds '[0, 1]' --out NEW"
    assert f"remove its line from {plan.records}, then {anew}" in missing


def test_formats_hold_the_same_numbers(plan: Plan) -> None:
    tables = filled(paper_table(2), [plan])
    row = json.loads(as_json(tables))[0]["rows"][2]
    assert (row["name"], row["seeds"], row["columns"]["AP"]["paper"]) == ("+ RFA", [0, 1, 2], 40.5)
    assert row["columns"]["AP"]["values"] == pytest.approx([31, 33, 35])
    assert row["columns"]["AP"]["difference"]["mean"] == pytest.approx(2)
    lines = [line for line in csv.DictReader(io.StringIO(as_csv(tables))) if line["row"] == "+ RFA"]
    assert [line["column"] for line in lines] == ["AP", "AP50", "AP75"]
    assert float(lines[0]["mean"]) == pytest.approx(33)
    assert (float(lines[0]["low"]), float(lines[0]["high"])) == pytest.approx((2 - 2.484, 2 + 2.484), abs=1e-3)
    text = latex(tables)
    assert r"+ RFA & 33.0 $\pm$ 2.0 (n = 3) &" in text
    assert text.count(r"\begin{tabular}{lrrrrrrrrrrr}") == 1


def test_settings_that_were_tried_have_a_column(plan: Plan) -> None:
    assert "tried" not in markdown(filled(paper_table(2), [plan]))
    plan.path.write_text(plan.path.read_text() + 'tried: {"+ RFA": 4}\n')
    tables = filled(paper_table(2), [read_plan(plan.path)])
    lines = {line.split(" | ")[0][2:]: line for line in markdown(tables).splitlines() if line.startswith("| ")}
    assert lines[""].endswith("| paper's pictures a second | settings tried |")
    assert lines["+ RFA"].endswith("| 0, 1, 2 | – | 14.6 | 4 |")
    assert lines["FCOS, GIoU quality"].endswith("| 0, 1, 2 | – | 14.7 | – |")
    told = {line["row"]: line["tried"] for line in csv.DictReader(io.StringIO(as_csv(tables)))}
    assert told == {"FCOS, centerness": "", "FCOS, GIoU quality": "", "+ RFA": "4", "+ APS": "", "+ RFA + APS": ""}


def test_sets_have_a_table_each(plan: Plan) -> None:
    other = read_plan(plan.path, data="elsewhere/signs")
    assert [table.set for table in filled(paper_table(2), [plan, other])] == ["cells", "signs"]


def test_the_command(plan: Plan, capsys: pytest.CaptureFixture[str]) -> None:
    for name in FORMATS:
        assert main(["study", "table", "2", "--plan", str(plan.path), "--format", name]) == 0
        assert "RFA" in capsys.readouterr().out
    assert numbers() == [1, 2, 3, 4, 5, 6, 7]
    with pytest.raises(InputError, match="no table 8; allowed: 1, 2, 3"):
        paper_table(8)
