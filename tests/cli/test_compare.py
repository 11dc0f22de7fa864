"""`mmmc compare`: two runs, a run and a file, and two runs that were scored on other pictures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from tiny_run import train_tiny

from mmmc.cli import main
from mmmc.evaluate import NUMBERS


def test_a_run_and_its_own_results_do_not_differ(
    tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results, out = tmp_path / "found.json", tmp_path / "difference.json"
    assert main(["eval", str(tiny_run), "--results", str(results)]) == 0
    capsys.readouterr()
    both = [str(tiny_run), str(results)]
    assert main(["compare", *both, "--resamples", "20", "--seed", "5", "--json", str(out)]) == 0
    said = capsys.readouterr().out
    assert "20 resamples of 4 pictures" in " ".join(said.split())
    found = json.loads(out.read_text())
    record = json.loads((tiny_run / "record.json").read_text())["metrics"]
    assert (found["resamples"], found["seed"], found["pictures"]) == (20, 5, 4)
    for name in NUMBERS[:6]:
        measure = found["measures"][name]
        if record[name] is None:
            assert measure["difference"] is None
        else:
            assert measure["first"] == pytest.approx(record[name], abs=1e-9)
            assert (measure["difference"], measure["low"], measure["high"]) == (0, 0, 0)
    assert len(found["classes"]) > 1


def test_two_runs_on_other_pictures_are_refused(
    tiny_run: Path, tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = shutil.copytree(tiny_set, tmp_path / "data")
    annotations = data / "annotations/instances_val.json"
    content = json.loads(annotations.read_text())
    content["annotations"] = content["annotations"][1:]
    annotations.write_text(json.dumps(content))
    other = train_tiny(data, tmp_path / "other")
    capsys.readouterr()
    assert main(["compare", str(tiny_run), str(other)]) == 2
    assert f"{other} on {annotations}, and these differ" in capsys.readouterr().err
    same = ["--annotations", str(annotations), "--images", str(data / "images"), "--resamples", "3"]
    assert main(["compare", str(tiny_run), str(other), *same]) == 0
