"""`mmmc report`, and the report that ends a training."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from mmmc.checkpoint import Weights, load_weights, save_weights
from mmmc.cli import main
from mmmc.evaluate import percent

from .test_diagnose import Page

Capture = pytest.CaptureFixture[str]

CHAPTERS = [
    *("Scores", "Training", "Precision, recall and F1", "Confusion", "Labels and predictions", "False positives"),
    *("Misses", "Label maps", "Diagnosis", "Recipe", "Environment"),
]


def chapters(text: str) -> dict[str, str]:
    return dict(re.findall(r"<h2 id=\"[^\"]*\">([^<]*)</h2>(.*?)(?=<h2 id|</body>)", text, flags=re.DOTALL))


def test_a_report_is_one_page_with_everything_inside(tiny_run: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["report", str(tiny_run), "--out", f"{tmp_path}/r"]) == 0
    said = capsys.readouterr().out
    assert re.search(r"Report of 4 pictures, \d+ s: .*report.html", said)
    assert sorted(file.name for file in (tmp_path / "r").iterdir()) == ["README.md", "report.html"]
    text = (tmp_path / "r" / "report.html").read_text()
    page = Page(text)
    assert page.open == []
    links = [source for source in page.sources if source.startswith("#")]
    assert all(f'id="{link[1:]}"' in text for link in links)
    assert all(re.match(r"data:image/(png|jpeg);base64,", source) for source in page.sources if source not in links)
    assert "<script" not in text
    assert "http" not in text
    found = chapters(text)
    assert list(found) == CHAPTERS
    assert len(links) == len(CHAPTERS)
    # Pictures to score: 4. All of them, then two best and two worst.
    assert found["Labels and predictions"].count("<figure>") == 8
    assert found["Label maps"].count("<figure>") == 2
    assert "backbone: test_efficientnet" in found["Recipe"]
    assert "faster-coco-eval" in found["Environment"]
    # The same pictures and weights as at the end of the training: the same numbers.
    metrics = json.loads((tiny_run / "record.json").read_text())["metrics"]
    row = "".join(f"<td>{percent(metrics[name])}</td>" for name in ("AP", "AP50", "AP75"))
    assert row in found["Scores"]


def test_few_pictures_of_many(tiny_run: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["report", str(tiny_run), "--out", str(tmp_path), "--pictures", "2"]) == 0
    assert "Report of 2 pictures" in capsys.readouterr().out
    assert "on 2 of 4 pictures, spread evenly over the set," in (tmp_path / "report.html").read_text()
    assert main(["report", str(tiny_run), "--pictures", "1"]) == 2
    assert "--pictures is 1; allowed: at least 2." in capsys.readouterr().err


def test_what_is_no_run_has_no_report(tiny_run: Path, tmp_path: Path, capsys: Capture) -> None:
    weights = shutil.copy(tiny_run / "best.safetensors", tmp_path / "w.safetensors")
    assert main(["report", str(weights)]) == 2
    assert "holds no run" in capsys.readouterr().err


def test_names_are_text(tiny_run: Path, tiny_set: Path, tmp_path: Path) -> None:
    """A class and a picture with names that HTML would read."""
    run = Path(shutil.copytree(tiny_run, tmp_path / "<i>run"))
    data = Path(shutil.copytree(tiny_set, tmp_path / "set"))
    loaded = load_weights(run / "best.safetensors")
    old = loaded.categories.names[0]
    categories = type(loaded.categories)(("<b>&", *loaded.categories.names[1:]), loaded.categories.ids)
    save_weights(run / "best.safetensors", Weights(loaded.state, loaded.recipe, categories))
    file = data / "annotations/instances_val.json"
    content = json.loads(file.read_text())
    for category in content["categories"]:
        category["name"] = category["name"].replace(old, "<b>&")
    for image in content["images"]:
        picture = next(data.rglob(image["file_name"]))
        image["file_name"] = f"<u>{image['id']}.png"
        picture.rename(picture.parent / image["file_name"])
    file.write_text(json.dumps(content))
    images = str(next(data.rglob("<u>*.png")).parent)
    where = ["--annotations", str(file), "--images", images]
    assert main(["report", str(run), *where, "--out", str(tmp_path)]) == 0
    text = (tmp_path / "report.html").read_text()
    for name in ("<b>", "<u>", "<i>"):
        assert name not in text
        assert name.replace("<", "&lt;").replace(">", "&gt;") in text
