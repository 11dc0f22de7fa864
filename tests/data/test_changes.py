"""Whatever writes a set says and lists what it did not take as it is written."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from mmmc.cli import main
from mmmc.data.changes import write_repairs
from mmmc.data.convert import convert
from mmmc.data.sets import Repair


def test_repairs_are_lines_of_json(tmp_path: Path) -> None:
    box = (1.0, float("nan"), float("inf"), 4.0)
    repair = Repair(Path("a.json"), 3, 5, box, "not four finite numbers", "dropped")
    write_repairs(tmp_path / "repairs.jsonl", [repair, repair])
    lines = (tmp_path / "repairs.jsonl").read_text().splitlines()
    expected = {"file": "a.json", "annotation": 3, "image": 5, "box": [1.0, None, None, 4.0]}
    assert [json.loads(line) for line in lines] == 2 * [expected | {"fault": repair.fault, "action": "dropped"}]


def test_what_copies_are_without_is_said(tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Polygons and attributes where there are some, whoever writes; not the empty lists that many tools write."""
    data = shutil.copytree(tiny_set, tmp_path / "data")
    file = data / "annotations/instances_train.json"
    said = "segmentation and attributes of annotations are not copied: boxes, classes, areas and crowds are."
    empty, full = {"segmentation": [], "attributes": {}}, {"segmentation": [[1, 1, 5, 1, 5, 5]], "attributes": {"a": 1}}
    for fields in (empty, full):
        content = json.loads(file.read_text())
        content["annotations"][-1].update(fields)
        file.write_text(json.dumps(content))
        for verb, options in (*WRITERS.items(), ("shrink", [])):
            out = str(tmp_path / f"{verb}-{fields is full}")
            assert main(["data", verb, str(data), *([out] if verb == "shrink" else ["--out", out]), *options]) == 0
            assert (said in capsys.readouterr().out) == (fields is full), verb


WRITERS = {
    "convert": ["--to", "coco"],
    "split": [],
    "tile": ["--size", "64"],
}
"""The verbs that write a set with `--bad_boxes`, with the options that they need."""


@pytest.fixture
def spoiled(tiny_set: Path, tmp_path: Path) -> Path:
    """A box outside its picture, one that reaches out, and one that does so by rounding."""
    data = shutil.copytree(tiny_set, tmp_path / "data")
    file = data / "annotations/instances_train.json"
    content = json.loads(file.read_text())
    for row, bbox in zip(content["annotations"], ([70, 10, 5, 5], [50, 10, 19, 5], [50, 10, 14.5, 5]), strict=False):
        row.update(bbox=bbox)
    file.write_text(json.dumps(content))
    return data


@pytest.mark.parametrize("verb", WRITERS)
@pytest.mark.parametrize(("bad_boxes", "actions"), [("drop", ["dropped"] * 2), ("clip", ["dropped", "clipped"])])
def test_boxes_that_are_left_out_or_cut_are_said_and_listed(
    verb: str, bad_boxes: str, actions: list[str], spoiled: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    line = ["data", verb, str(spoiled), "--out", str(out), "--bad_boxes", bad_boxes, *WRITERS[verb]]
    assert main(line) == 0
    said = capsys.readouterr().out
    for action in set(actions):
        assert f"{actions.count(action)} bad boxes were {action}." in said
    assert "1 boxes that reached out by up to one pixel were cut to their picture." in said
    assert f"Boxes that were dropped or clipped: {out / 'repairs.jsonl'}\n" in said
    listed = [json.loads(row) for row in (out / "repairs.jsonl").read_text().splitlines()]
    assert [row["action"] for row in listed] == actions


@pytest.mark.parametrize("verb", WRITERS)
def test_where_nothing_is_changed_there_is_no_list(
    verb: str, tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert main(["data", verb, str(tiny_set), "--out", str(out), *WRITERS[verb]]) == 0
    assert not (out / "repairs.jsonl").exists()
    assert "dropped" not in capsys.readouterr().out


@pytest.mark.parametrize("verb", WRITERS)
def test_rows_and_pictures_that_are_taken_otherwise_are_counted(
    verb: str, tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    convert(tiny_set, data := tmp_path / "yolo", to="yolo")
    first, second, *_ = sorted((data / "labels/train").iterdir())
    first.unlink()
    second.write_text("0 .1 .1 .8 .1 .8 .9\n")
    capsys.readouterr()
    line = ["data", verb, str(data), "--out", str(tmp_path / "out"), "--unlabelled", "background", *WRITERS[verb]]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert "1 polygon rows became their bounding boxes." in said
    assert "1 pictures without a label file are background." in said


def test_shrink_says_what_it_took_otherwise(tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    convert(tiny_set, data := tmp_path / "yolo", to="yolo")
    next((data / "labels/train").iterdir()).write_text("0 .1 .1 .8 .1 .8 .9\n")
    assert main(["data", "shrink", str(data), str(tmp_path / "out")]) == 0
    assert "data.yaml: 1 polygon rows became their bounding boxes." in capsys.readouterr().out
