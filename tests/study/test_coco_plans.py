"""The paper's own runs: every variant of their plans trains, is scored, and fills its place in the tables."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from training.tiny import run, shrunk

from mmmc.data.synthetic import make_synthetic
from mmmc.recipe import Recipe
from mmmc.study import records
from mmmc.study.filled import filled
from mmmc.study.paper import numbers, paper_table
from mmmc.study.plan import read_plan

STUDIES = Path(__file__).parents[2] / "studies"


def test_every_run_of_the_paper_trains_and_fills_its_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a COCO of eight pictures, two steps each, with a small backbone and 16 channels for 256."""
    folder = make_synthetic(tmp_path / "coco", train=6, val=2, size=(64, 64))
    monkeypatch.setenv("MMMC_DATA", str(tmp_path))

    def tiny(recipe: Recipe) -> Recipe:
        small = shrunk(recipe, folder, channels=16, groups=4)
        return replace(small, train=replace(small.train, diagnose=2))

    trained = 0
    for number in numbers():
        plan = read_plan(STUDIES / f"coco_table{number}.yaml")
        recipes = {name: tiny(recipe) for name, recipe in plan.recipes.items()}
        plan = replace(plan, records=tmp_path / "found.jsonl", recipes=recipes)
        for each in plan.missing():
            out = tmp_path / "runs" / each.folder
            run(each.recipe, out)
            record = json.loads((out / "record.json").read_text())
            records.append(plan.records, {**record, "name": each.name})
            trained += 1
        (table,) = filled(paper_table(number), [plan])
        # Two steps end near the last sixth alone, which is said of each run.
        assert all(sentence.endswith("for no epoch with a look at labels ends near.") for sentence in table.missing), (
            number
        )
        assert bool(table.missing) == bool(table.rows[0].row.measure)
        assert plan.missing() == []
    # Tables 4 and 5 are of two runs of Table 2, and Tables 3 and 6 share some with it.
    assert trained == 3 + 6 + 7 + 0 + 0 + 3 + 10
