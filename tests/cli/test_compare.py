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


def test_two_files_of_anybodys_detectors(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A finds the object of the first picture, B of both: 51 of 101 recalls against all, so B − A is 49.5 points."""
    image = {"width": 100, "height": 100}
    objects = [
        {"id": number, "image_id": number, "category_id": 7, "bbox": [10, 10, 40, 40], "area": 1600, "iscrowd": 0}
        for number in (1, 2)
    ]
    found = [{"image_id": number, "category_id": 7, "bbox": [10, 10, 40, 40], "score": 0.9} for number in (1, 2)]
    truth = {
        "images": [{"id": number, "file_name": f"{number}.jpg", **image} for number in (1, 2)],
        "annotations": objects,
        "categories": [{"id": 7, "name": "[bold]car"}],
    }
    files = [tmp_path / name for name in ("a.json", "b.json", "truth.json", "crowds.json")]
    crowds = truth | {"annotations": [entry | {"iscrowd": 1} for entry in objects]}
    for file, content in zip(files, (found[:1], found, truth, crowds), strict=True):
        file.write_text(json.dumps(content))
    first, second, annotations, only_crowds = map(str, files)
    out = tmp_path / "out.json"
    asked = ["compare", first, second, "--annotations", annotations]
    assert main([*asked, "--resamples", "500", "--json", str(out)]) == 0
    said = capsys.readouterr().out
    cells = [
        cell.strip() for cell in next(line for line in said.split("\n") if "AP75" in line and "50.5" in line).split("│")
    ]
    assert cells[1:-1] == ["AP75", "50.5", "100.0", "+49.5", "+0.0 … +100.0"]
    assert "[bold]car" in said
    measure = json.loads(out.read_text())["measures"]["AP75"]
    assert (measure["first"], measure["second"]) == pytest.approx((51 / 101, 1))

    for words, message in (
        (asked[:3], "Two files of results need --annotations"),
        ([*asked, "--resamples", "0"], "--resamples is 0; allowed: at least 1"),
        ([*asked, "--seed", "-1"], "--seed is -1; allowed: at least 0"),
        ([*asked[:4], only_crowds], "no object to find"),
        ([*asked, "--data", "other"], "--data is for a run; two files of results need --annotations alone"),
        ([*asked, "--batch_size", "4"], "--batch_size is for a run"),
        ([*asked, "--format", "yolo"], "--format is for a run"),
        ([*asked, "--weights", "last"], "--weights is for a run"),
    ):
        assert main(words) == 2
        assert message in capsys.readouterr().err
