"""A YOLO set is trained on, scored and diagnosed as a COCO set is."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_run import QUIET, TINY

from mmmc.cli import main
from mmmc.data.convert import convert


def test_a_yolo_set_gives_the_run_that_its_coco_form_gives(
    tiny_set: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = tmp_path / "yolo", tmp_path / "run"
    convert(tiny_set, data, to="yolo")
    at = TINY.index(QUIET[0])
    loud = [*TINY[:at], *TINY[at + len(QUIET) :]]
    assert main(["train", str(data), "--out", str(out), *loud]) == 0
    assert f"{data} is YOLO (data.yaml; train: images/train, val: images/val)." in " ".join(
        capsys.readouterr().err.split()
    )
    records = [json.loads((run / "record.json").read_text()) for run in (tiny_run, out)]
    assert records[0]["metrics"] == pytest.approx(records[1]["metrics"], abs=1e-6, nan_ok=True)
    assert [record["set"] for record in records] == [tiny_set.name, "yolo"]

    assert main(["eval", str(tiny_run), "--data", str(data)]) == 0
    assert f"{data} is YOLO" in capsys.readouterr().err
    assert main(["eval", str(tiny_run), "--annotations", str(data / "data.yaml")]) == 0
