"""`mmmc study overlap`: runs of a plan, measured into a file beside its records."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml

from mmmc.assign import ATSS
from mmmc.cli import main
from mmmc.recipe import load_recipe
from mmmc.study import beside, records
from mmmc.study.plan import read_plan


def test_a_finished_run_is_measured_beside_the_records(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe = yaml.safe_load((tiny_run / "recipe.yaml").read_text())
    data = recipe.pop("data")
    content = {"data": data["path"], "recipe": "small", "records": "found.jsonl", "seeds": [0], "common": recipe}
    (tmp_path / "plan.yaml").write_text(yaml.safe_dump({**content, "variants": {"A": None}}))
    plan = read_plan(tmp_path / "plan.yaml")
    (run,) = plan.runs()
    assert run.recipe == load_recipe(tiny_run / "recipe.yaml")
    command = ["study", "overlap", str(plan.path), "--out", str(tmp_path / "runs"), "--device", "cpu"]
    assert main(command) == 2
    assert capsys.readouterr().err == (
        f"mmmc: {tmp_path / 'runs' / run.folder} holds no finished run. It is trained by: mmmc study run {plan.path} "
        f"--only A --seeds '[0]' --out {tmp_path / 'runs'}\n"
    )
    shutil.copytree(tiny_run, tmp_path / "runs" / run.folder)
    # The set has moved since, and the plan says where to.
    copied = tmp_path / "runs" / run.folder / "recipe.yaml"
    copied.write_text(copied.read_text().replace(data["path"], "gone"))
    assert main([*command, "--assigners", "atss(square_strides=2),paa"]) == 0
    said = capsys.readouterr().out
    assert "A, tiny, seed 0" in said
    assert "overlap with paa" in said
    (record,) = records.load(tmp_path / "found.overlap.jsonl")
    assert beside.load(plan, beside.OVERLAP) == {run.identity: record}
    assert 0 <= record["metrics"]["atss_aligned"] <= 1
    assert {"paa_drop", "gap_middle", "objects"} <= record["metrics"].keys()
    assert record["rules"]["atss"] == repr(ATSS(square_strides=2.0))
    # Another call adds to it; two rules of one class would have one name.
    assert main([*command, "--assigners", "fcos"]) == 0
    (both,) = records.load(tmp_path / "found.overlap.jsonl")
    assert record["metrics"].items() < both["metrics"].items()
    assert both["rules"].keys() == {"atss", "paa", "fcos"}
    capsys.readouterr()
    assert main([*command, "--assigners", "atss(topk=3),atss"]) == 2
    assert "names atss twice; allowed: each class once in a call" in capsys.readouterr().err
    # A run whose folder is gone does not hold up the others; what is recorded is trained again into other records.
    records.append(plan.records, record | {"seed": 1, "metrics": {"AP": 0.5}})
    assert main([*command, "--seeds", "[1, 0]"]) == 2
    said = capsys.readouterr()
    assert "A, tiny, seed 0" in said.out
    assert f"--seeds '[1]' --records {tmp_path / 'runs' / 'again.jsonl'} --out {tmp_path / 'runs'}" in said.err
    plan.records.unlink()
    # A record of the training stays what it is, and is none of these.
    assert "AP" not in record["metrics"]
    assert not plan.records.exists()
