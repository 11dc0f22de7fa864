"""`mmmc diagnose`, of a run and of anybody's detector."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch

from mmmc.cli import main
from mmmc.evaluate import score

Capture = pytest.CaptureFixture[str]


def diagnosis(out: Path) -> dict[str, Any]:
    return json.loads((out / "diagnosis.json").read_text())


class Page(HTMLParser):
    """What a page loads, and its open tags at the end."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.open: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]
        if tag not in ("meta", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_of_a_run(tiny_run: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["diagnose", str(tiny_run), "--out", f"{tmp_path}/d"]) == 0
    said, found = capsys.readouterr().out, diagnosis(tmp_path / "d")
    assert found["absent"] == []
    assert set(found["oracles"]) == {"plain", "alignment", "box", "score", "ceiling"}
    assert found["points"]["groups"]["all"]["objects"] == found["objects"] == 28
    assert found["labels"]["kind"] == "assign"
    for part in ("largest losses", "Misalignment, as AP", "TIDE", "best-scored", "Labels in training, epoch 1"):
        assert part in said

    page = Page((tmp_path / "d" / "diagnosis.html").read_text())
    assert page.open == []
    # Nothing is loaded from anywhere, and the pictures are inside.
    assert 1 <= len(page.sources) <= 10
    assert all(source.startswith("data:image/png;base64,") for source in page.sources)


def test_a_run_and_its_detections_say_the_same(tiny_run: Path, tiny_set: Path, tmp_path: Path) -> None:
    where = ["--annotations", f"{tiny_set}/annotations/instances_val.json"]
    results = tmp_path / "results.json"
    assert main(["eval", str(tiny_run), "--results", str(results)]) == 0
    assert main(["diagnose", "--detections", str(results), *where, "--out", f"{tmp_path}/files"]) == 0
    weights = shutil.copy(tiny_run / "best.safetensors", tmp_path / "w.safetensors")
    assert main(["diagnose", str(weights), "--data", str(tiny_set), "--out", f"{tmp_path}/run"]) == 0
    of_run, of_files = diagnosis(tmp_path / "run"), diagnosis(tmp_path / "files")
    for name in ("pictures", "objects", "detections", "AP", "AP50", "AP75", "tide", "trust"):
        assert of_run[name] == of_files[name], name
    for kind in ("plain", "box", "score"):
        assert of_run["oracles"][kind] == of_files["oracles"][kind]
    ground_truth = json.loads((tiny_set / "annotations/instances_val.json").read_text())
    assert of_files["AP"] == pytest.approx(score(ground_truth, json.loads(results.read_text())).AP, abs=1e-9)
    # Weights alone have no journal; files have neither points nor boxes before suppression.
    assert [re.match(r"[\w ,]+", sentence)[0] for sentence in of_run["absent"]] == ["Labels in training"]
    assert len(of_files["absent"]) == 3
    assert "--before-nms" in of_files["absent"][0]


def strangers_files(at: Path) -> tuple[Path, Path, Path]:
    """As torchvision's references write them: rounded boxes, extra fields, ids with gaps."""
    annotations = [
        {"id": 7, "image_id": 42, "category_id": 18, "bbox": [10, 10, 50, 40], "area": 1500.5, "iscrowd": 0}
        | {"segmentation": [[10, 10, 60, 10, 60, 50, 10, 50]]},
        {"id": 9, "image_id": 42, "category_id": 3, "bbox": [100, 20, 80, 80], "area": 6400, "iscrowd": 0},
        {"id": 11, "image_id": 139, "category_id": 3, "bbox": [0, 0, 120, 120], "area": 14400, "iscrowd": 1},
    ]
    truth = {
        "info": {"year": 2017},
        "images": [{"id": id, "file_name": f"{id:012d}.jpg", "width": 640, "height": 480} for id in (139, 42)],
        "annotations": annotations,
        "categories": [{"id": 3, "name": "car"}, {"id": 18, "name": "dog"}, {"id": 90, "name": "tooth & brush"}],
    }
    boxes = torch.tensor([[10.25, 10.5, 60.125, 50.0], [101.0, 22.0, 140.0, 99.0], [100.0, 20.0, 180.0, 100.0]])
    xywh = torch.cat([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], dim=1).tolist()
    rows = [
        {"image_id": 42, "category_id": category, "bbox": box, "score": score}
        for box, category, score in zip(xywh, (18, 3, 3), (0.98, 0.9, 0.2), strict=True)
    ]
    files = at / "results.json", at / "instances.json", at / "boxes.json"
    for file, content in zip(files, (rows[:2], truth, rows), strict=True):
        file.write_text(json.dumps(content))
    return files


def test_of_a_detector_that_is_not_ours(tmp_path: Path, capsys: Capture) -> None:
    results, truth, before = map(str, strangers_files(tmp_path))
    out = ["--out", f"{tmp_path}/d"]
    assert main(["diagnose", "--detections", results, "--annotations", truth, *out]) == 0
    said, found = capsys.readouterr().out, diagnosis(tmp_path / "d")
    assert "Alignment oracle and ranking ceiling: need the boxes before suppression" in said
    assert set(found["oracles"]) == {"plain", "box", "score"}
    assert (found["points"], found["labels"]) == (None, None)
    assert (found["objects"], found["detections"], found["pictures"]) == (2, 2, 2)

    assert main(["diagnose", "--detections", results, "--annotations", truth, "--before-nms", before, *out]) == 0
    found = diagnosis(tmp_path / "d")
    # The dog is found at every threshold, the car's good box was suppressed.
    assert found["oracles"]["plain"]["by_class"] == pytest.approx({"car": 0, "dog": 1, "tooth & brush": None})
    assert found["oracles"]["alignment"]["by_class"]["car"] == 1
    assert found["oracles"]["ceiling"]["AP"] == 1
    assert [loss["kind"] for loss in found["largest_losses"]] == ["box", "alignment"]
    page = (tmp_path / "d" / "diagnosis.html").read_text()
    assert "<img" not in page
    assert "results.json" in page
    assert Page(page).open == []

    nothing = tmp_path / "nothing.json"
    nothing.write_text("[]")
    capsys.readouterr()
    assert main(["diagnose", "--detections", str(nothing), "--annotations", truth, *out]) == 0
    assert "There is no detection: all 2 objects are missed, and AP is 0.0." in capsys.readouterr().out


def test_help(capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main(["diagnose", "--help"])
    said = capsys.readouterr().out
    assert "--before-nms" in said
    assert "mmmc diagnose RUN" in said
