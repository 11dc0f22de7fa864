"""Whatever record is gone: tables and figures name what is missing and say how it is made, and leave no hole."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mmmc.cli import main
from mmmc.label_measures import AGREEMENT, SIXTHS
from mmmc.study import figures
from mmmc.study.filled import FilledTable, filled
from mmmc.study.formats import as_csv, as_json, latex, markdown
from mmmc.study.paper import PaperTable, numbers, paper_table
from mmmc.study.plan import Plan, Run, read_plan

STUDIES = Path(__file__).parents[2] / "studies"


def recorded(table: PaperTable, plan: Plan, run: Run) -> dict[str, Any]:
    """A whole record of a run."""
    look = dict.fromkeys(AGREEMENT, 0.5) if any(row.measure for row in table.rows) else {}
    return {
        "name": run.name,
        "set": plan.set,
        "seed": run.seed,
        "recipe_hash": run.identity[3],
        "version": "0",
        "metrics": {} if look else dict.fromkeys(table.columns, 0.4),
        "agreement": [look or None] * SIXTHS,
        "iterations": 90_000,
        "seconds": 1,
        "machine": {},
    }


def without(table: PaperTable, plan: Plan, gone: Run | None) -> FilledTable:
    """The table from records of all runs but one."""
    kept = [recorded(table, plan, run) for run in plan.runs() if run != gone]
    plan.records.write_text("".join(json.dumps(record) + "\n" for record in kept))
    (found,) = filled(table, [plan])
    return found


def test_a_plans_own_table_has_its_runs_alone_and_names_those_that_are_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MMMC_DATA", "data")
    path, file = str(STUDIES / "bccd_val.yaml"), str(tmp_path / "found.jsonl")
    plan, table = read_plan(path, records=file), paper_table(2)
    kept = [run for run in plan.runs() if run.name != "+ RFA" and (run.name, run.seed) != ("+ APS", 1)]
    of_others = replace(kept[0], name="another plan's")
    found = [recorded(table, plan, run) for run in (*kept, of_others)]
    Path(file).write_text("".join(json.dumps(record) + "\n" for record in found))
    choice = ["--records", file, "--metrics", "AP", "--only", "+ RFA", "+ APS", "FCOS, GIoU quality"]
    assert main(["study", "table", path, *choice]) == 0
    said = capsys.readouterr().out
    rows = [line for line in said.splitlines() if line.startswith("| bccd")]
    assert rows == [
        "| bccd | FCOS, GIoU quality | 40.0 ± 0.0 (n = 3) | 0, 1, 2 |",
        "| bccd | + APS | 40.0 ± 0.0 (n = 2) | 0, 2 |",
    ]
    missing = said.partition("Missing:\n\n")[2].splitlines()
    assert [line.partition(":")[0] for line in missing] == ["- + RFA, seed 0, 1, 2", "- + APS, seed 1"]
    # The command that it names makes just these.
    for line, seeds in zip(missing, ([0, 1, 2], [1]), strict=True):
        words = shlex.split(re.findall("`(.*)`", line)[0])
        assert words[:3] == ["mmmc", "study", "run"]
        assert words[words.index("--seeds") + 1] == str(seeds)
        assert words[words.index("--records") + 1] == file
    # Nor is there a table yet of differences to what is all missing; a name that no plan has is an error.
    assert main(["study", "table", path, *choice, "--against", "+ RFA"]) == 0
    assert capsys.readouterr().out.startswith("Missing:\n\n- + RFA, seed 0, 1, 2: `mmmc study run ")
    assert main(["study", "table", path, *choice, "--against", "+ RAF"]) == 2
    assert "There is no variant '+ RAF'" in capsys.readouterr().err
    # What is all missing has no table.
    assert main(["study", "table", path, "--records", str(tmp_path / "none.jsonl"), "--only", "+ RFA"]) == 0
    assert capsys.readouterr().out.startswith("Missing:\n\n- + RFA, seed 0, 1, 2: `mmmc study run ")


@pytest.mark.parametrize("number", numbers())
def test_a_table_names_each_record_that_is_gone(number: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMMC_DATA", "data")
    table, path = paper_table(number), STUDIES / f"coco_table{number}.yaml"
    plan = replace(read_plan(path), records=tmp_path / "found.jsonl")
    whole = without(table, plan, None)
    assert whole.missing == ()
    for text in (markdown([whole]), latex([whole]), as_csv([whole]).partition("\n")[2]):
        assert "missing" not in text.lower()
    for run in plan.runs():
        lacking = without(table, plan, run)
        rows = [row.row.name for row in lacking.rows if run.name in row.row.variants]
        assert rows
        assert [sentence.partition(", seed ")[0] for sentence in lacking.missing] == rows
        for sentence in lacking.missing:
            # The command makes what is missing, all of it and nothing else.
            words = shlex.split(sentence[sentence.index("mmmc study run") :])
            options = ["--only", run.name, "--seeds", f"[{run.seed}]"]
            assert words == ["mmmc", "study", "run", str(path), *options]
            assert f"% missing: {sentence}\n" in latex([lacking])
            assert re.sub("mmmc study run.*", lambda found: f"`{found[0]}`", sentence) in markdown([lacking])
        lines = list(csv.DictReader(io.StringIO(as_csv([lacking]))))
        for name in rows:
            cells = f"| {name} |" + len(table.columns) * " missing |"
            assert cells in markdown([lacking])
            assert all(line["missing"] in lacking.missing for line in lines if line["row"] == name)
            (row,) = (row for row in json.loads(as_json([lacking]))[0]["rows"] if row["name"] == name)
            assert set(row["missing"]) <= set(lacking.missing)
            assert row["missing"]
        assert all(line["missing"] == "" for line in lines if line["row"] not in rows)


@pytest.mark.parametrize("figure", figures.NAMES)
def test_a_figure_says_how_its_record_is_made(
    figure: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["study", "figure", str(figure), "--out", "drawn"]) == 2
    assert capsys.readouterr().err == (
        f"mmmc: results/figures/{figure}.npz: there is no such record of a figure. Make it by: mmmc study figure "
        f"{figure} --run RUN --picture PICTURE --record results/figures/{figure}.npz\n"
    )
    assert not Path("drawn").exists()
