"""docs/start.md from its first command to its last, on a YOLO set of a few pictures."""

from __future__ import annotations

import re
import shlex
from contextlib import nullcontext
from glob import glob
from pathlib import Path

import pytest
from PIL import Image
from tiny_export import unchecked_types
from tiny_run import TINY

import mmmc
from mmmc.cli import main
from mmmc.data.convert import convert
from mmmc.data.synthetic import make_synthetic

PAGE = Path(__file__).parent.parent / "docs" / "start.md"
LINES = re.findall(r"^    (mmmc .*)$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)
COMMANDS = [shlex.split(line)[1:] for line in LINES if "--print_completion" not in line]

FEW = ("--train", "6", "--val", "2")


def little(line: list[str]) -> list[str]:
    """A command of the page, for a moment instead of for minutes."""
    words = [word for given in line for word in (sorted(glob(given)) if "*" in given else [given])]
    if words[:2] == ["data", "make"]:
        return [*words, *FEW]
    if words[0] == "train":
        if "--time" in words:
            del words[words.index("--time") : words.index("--time") + 2]
        return [*words, *TINY]
    return words


def serve_one_request(run: str, file: Path) -> list[dict]:
    """What `mmmc serve` answers of a picture."""
    pytest.importorskip("fastapi", reason="needs the extra serve")
    from fastapi.testclient import TestClient

    from mmmc.serve import Limits, RunEngine, make_app

    with TestClient(make_app(RunEngine(mmmc.load(run)), Limits(), name=run, hosts=["testserver"])) as client:
        answer = client.post("/predict", content=file.read_bytes(), headers={"content-type": "image/jpeg"})
    assert answer.status_code == 200, answer.text
    objects: list[dict] = answer.json()["objects"]
    return objects


@pytest.mark.full  # thirteen commands, two trainings among them: half a minute
def test_the_whole_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    make_synthetic(Path("coco"), train=8, val=4, size=(64, 64))
    convert("coco", "cells", to="yolo")
    first = sorted(Path("cells/images/val").iterdir())[0]
    first.rename(first.with_name("a.jpg"))
    next(Path("cells/labels").rglob(f"{first.stem}.txt")).rename(Path("cells/labels/val/a.txt"))
    Path("new").mkdir()
    for name in ("one", "two"):
        Image.open("cells/images/val/a.jpg").save(f"new/{name}.jpg", format="JPEG")
    said = {}
    for line in COMMANDS:
        if line[0] != "serve":
            with unchecked_types() if line[0] == "export" else nullcontext():
                assert main(little(line)) == 0, line
            said[line[0]] = capsys.readouterr().out
    assert [line[0] for line in COMMANDS] == [
        *("data", "train", "data", "data", "data", "train", "eval", "show", "diagnose", "report"),
        *("predict", "export", "serve"),
    ]
    for left in (
        *("runs/demo/pictures/predictions.png", "checked/check.html", "stats/train-objects.png"),
        *("cells-split/annotations/instances_val.json", "runs/cells/report.html", "runs/cells/README.md"),
        *("shown/images-val-a-labels.png", "found/detections.json", "found/one.jpg", "found/two.jpg"),
        *("runs/cells/best.onnx",),
    ):
        assert Path(left).is_file(), left
    assert "AP50" in said["eval"]
    assert len(serve_one_request("runs/cells", Path("new/one.jpg"))) > 0
