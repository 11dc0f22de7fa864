"""`mmmc eval`, `mmmc predict`, `mmmc show`: a trained detector in use."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

import mmmc
from mmmc.assign import FCOS
from mmmc.cli import main
from mmmc.evaluate import NUMBERS

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def results(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("eval") / "results.json"
    assert main(["eval", str(tiny_run), "--weights", "last", "--results", str(file)]) == 0
    return file


def test_eval_scores_what_training_scored(tiny_run: Path, tiny_set: Path, results: Path, capsys: Capture) -> None:
    metrics = json.loads((tiny_run / "record.json").read_text())["metrics"]
    assert metrics["AP"] > 0, "a detector that finds nothing shows nothing"
    truth = COCO(tiny_set / "annotations/instances_val.json")
    oracle = COCOeval(truth, truth.loadRes(str(results)), "bbox")
    oracle.evaluate()
    oracle.accumulate()
    oracle.summarize()
    recorded = [-1 if metrics[name] is None else metrics[name] for name in NUMBERS]
    assert oracle.stats.tolist() == pytest.approx(recorded, abs=1e-6)
    capsys.readouterr()

    assert main(["eval", str(tiny_run), "--weights", "last"]) == 0
    rows = [re.findall(r"[\d.–]+", line) for line in capsys.readouterr().out.splitlines() if line.startswith("│")]
    assert rows[0] + rows[1] == ["–" if number == -1 else f"{100 * number:.1f}" for number in recorded]


def test_a_list_of_pictures_is_not_scored(
    tiny_run: Path, tiny_set: Path, results: Path, tmp_path: Path, capsys: Capture
) -> None:
    content = json.loads((tiny_set / "annotations/instances_val.json").read_text())
    del content["annotations"]
    (tmp_path / "list.json").write_text(json.dumps(content))
    where = ["--annotations", f"{tmp_path}/list.json", "--images", f"{tiny_set}/images"]
    assert main(["eval", str(tiny_run), "--weights", "last", *where, "--results", f"{tmp_path}/r.json"]) == 0
    count = len(json.loads(results.read_text()))
    assert capsys.readouterr().out == f"{count} detections in 4 pictures: {tmp_path}/r.json\n"
    assert (tmp_path / "r.json").read_text() == results.read_text()

    # A list with ids of its own is told that results have the detector's.
    content["categories"] = [{**category, "id": 50 + category["id"]} for category in content["categories"]]
    (tmp_path / "list.json").write_text(json.dumps(content))
    assert main(["eval", str(tiny_run), "--weights", "last", *where, "--results", f"{tmp_path}/r.json"]) == 0
    assert (
        "list.json has other category ids than the trained detector; the latter's are used" in capsys.readouterr().out
    )
    assert (tmp_path / "r.json").read_text() == results.read_text()

    # Without a file to write there is nothing to do with such a list.
    assert main(["eval", str(tiny_run), *where]) == 2
    assert "no object" in capsys.readouterr().err
    # A folder of pictures belongs to a list.
    assert main(["eval", str(tiny_run), "--images", f"{tiny_set}/images"]) == 2
    assert "--images is the folder of the pictures of --annotations, which is not given" in capsys.readouterr().err


def predict(run: Path, out: Path, *arguments: str) -> list[dict[str, Any]]:
    """What `mmmc predict` writes about the pictures."""
    assert main(["predict", str(run), *arguments, "--out", str(out)]) == 0
    return json.loads((out / "detections.json").read_text())["pictures"]


def test_a_picture_a_folder_and_a_glob(tiny_run: Path, tiny_set: Path, tmp_path: Path) -> None:
    images = tiny_set / "images"
    files = sorted(str(path) for path in images.glob("val_*.png"))
    low = ("--threshold", "0.01")
    one_by_one = predict(tiny_run, tmp_path / "a", *files, *low)
    assert [entry["file"] for entry in one_by_one] == files
    assert predict(tiny_run, tmp_path / "b", f"{images}/val_*.png", *low) == one_by_one
    assert predict(tiny_run, tmp_path / "c", str(images), *low, "--draw", "false")[-4:] == [
        {name: value for name, value in entry.items() if name != "copy"} for entry in one_by_one
    ]
    assert not list((tmp_path / "c").glob("*.jpg"))
    # A picture that is named twice is predicted once.
    assert predict(tiny_run, tmp_path / "d", files[0], f"{images}/val_00000*", *low) == one_by_one[:1]

    for entry, file in zip(one_by_one, files, strict=True):
        with Image.open(tmp_path / "a" / entry["copy"]) as copy, Image.open(file) as original:
            assert copy.size == original.size
        assert entry["objects"], "an annotated copy of nothing shows nothing"


def test_detections_are_those_of_the_predictor(tiny_run: Path, tiny_set: Path, tmp_path: Path) -> None:
    file = tiny_set / "images/val_00002.png"
    (entry,) = predict(tiny_run, tmp_path, str(file), "--threshold", "0.02")
    predictor = mmmc.load(tiny_run)
    found = predictor([file])[0].above(0.02)
    assert len(found) > 1
    for given, box, score, label in zip(entry["objects"], found.boxes, found.scores, found.labels, strict=True):
        assert given["class"] == predictor.categories.names[label]
        assert given["score"] == pytest.approx(score.item(), abs=1e-4)
        assert given["box"] == pytest.approx(box.tolist(), abs=0.01)
    written = json.loads((tmp_path / "detections.json").read_text())
    assert written["categories"] == list(predictor.categories.names)


def test_pictures_of_one_name_keep_their_copies_apart(tiny_run: Path, tmp_path: Path) -> None:
    files = []
    for number, name in enumerate(("a/b/x.png", "c/b/x.png", "a/b/X.bmp")):
        files.append(tmp_path / name)
        files[-1].parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (40 + number, 40)).save(files[-1])
    entries = predict(tiny_run, tmp_path / "out", *map(str, files))
    assert [entry["copy"] for entry in entries] == ["x.jpg", "x-2.jpg", "X-3.jpg"]
    for number, entry in enumerate(entries):
        with Image.open(tmp_path / "out" / entry["copy"]) as copy:
            assert copy.width == 40 + number


def test_a_threshold_for_each_class(tiny_run: Path, tiny_set: Path, tmp_path: Path, capsys: Capture) -> None:
    pictures = f"{tiny_set}/images/val_*.png"
    everything = predict(tiny_run, tmp_path / "all", pictures, "--threshold", "0", "--draw", "false")
    capsys.readouterr()
    chosen = predict(tiny_run, tmp_path / "f1", pictures, "--threshold", "f1", "--draw", "false")
    said = re.findall(r"(.+): score ≥ ([\d.]+) gives F1 ([\d.]+)", capsys.readouterr().err)
    thresholds = {name: float(score) for name, score, _ in said}
    assert len(thresholds) == 5
    assert any(float(f1) > 0 for _, _, f1 in said)
    assert len(set(thresholds.values())) > 1, "classes differ"
    for all_found, kept in zip(everything, chosen, strict=True):
        # The message has three digits.
        surely = [found for found in all_found["objects"] if found["score"] > thresholds[found["class"]] + 6e-4]
        maybe = [found for found in all_found["objects"] if found["score"] > thresholds[found["class"]] - 6e-4]
        assert all(found in kept["objects"] for found in surely)
        assert all(found in maybe for found in kept["objects"])


def test_show_draws_three_pictures(tiny_run: Path, tmp_path: Path) -> None:
    assert main(["show", str(tiny_run), "val_00001.png", "--out", str(tmp_path), "--threshold", "0.01"]) == 0
    names = [f"val_00001-{kind}.png" for kind in ("labels", "losses", "predictions")]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    for path in tmp_path.iterdir():
        with Image.open(path) as image:
            assert image.format == "PNG"


def test_show_a_picture_that_was_trained_on(tiny_run: Path, tiny_set: Path, tmp_path: Path, capsys: Capture) -> None:
    """The scored pictures come first; what is found among the others is said to be one of them."""
    content = json.loads((tiny_set / "annotations/instances_train.json").read_text())
    name = content["images"][1]["file_name"]
    assert main(["show", str(tiny_run), name, "--kinds", "labels", "--out", str(tmp_path / "out")]) == 0
    assert "was trained on: its predictions are better" in capsys.readouterr().err
    assert [file.name for file in (tmp_path / "out").iterdir()] == [f"{Path(name).stem}-labels.png"]
    # A set that is named is the only one.
    beside = ["--annotations", str(tiny_set / "annotations/instances_val.json"), "--images", str(tiny_set / "images")]
    assert main(["show", str(tiny_run), name, *beside, "--out", str(tmp_path / "none")]) == 2
    assert f"instances_val.json: no picture {name!r} among 4" in capsys.readouterr().err


def test_show_one_kind_of_a_file_beside_the_run(tiny_run: Path, tiny_set: Path, tmp_path: Path) -> None:
    weights = shutil.copy(tiny_run / "best.safetensors", tmp_path / "w.safetensors")
    train = ["--annotations", f"{tiny_set}/annotations/instances_train.json", "--images", f"{tiny_set}/images"]
    out = ["--kinds", "losses", "--out", f"{tmp_path}/out"]
    assert main(["show", str(weights), *train, *out]) == 0
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["train_00000-losses.png"]


def test_show_assigners_side_by_side(tiny_run: Path, tmp_path: Path) -> None:
    pictures = ("val_00001.png", "val_00002.png")
    asked = ("--assigners", f"fcos,ATSS(topk=3),tal,run,{__name__}:Lenient")
    assert main(["show", str(tiny_run), *pictures, *asked, "--out", str(tmp_path)]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"{name[:-4]}-assigners.png" for name in pictures]
    assert main(["show", str(tiny_run), pictures[0], *asked, "--per-level", "--out", str(tmp_path)]) == 0
    per_level = tmp_path / "val_00001-assigners-per-level.png"
    with Image.open(per_level) as image, Image.open(tmp_path / "val_00001-assigners.png") as overlays:
        assert (image.format, overlays.format) == ("PNG", "PNG")
        assert image.height > overlays.height


@dataclass(frozen=True)
class Lenient(FCOS):
    """A stranger's assigner."""

    center_radius: float | None = None


def test_show_assigners_of_pictures_beside_the_run(
    tiny_run: Path, tiny_set: Path, tmp_path: Path, capsys: Capture
) -> None:
    content = json.loads((tiny_set / "annotations/instances_val.json").read_text())
    empty = content["images"][0]
    content["annotations"] = [each for each in content["annotations"] if each["image_id"] != empty["id"]]
    (tmp_path / "a.json").write_text(json.dumps(content))
    where = ["--annotations", f"{tmp_path}/a.json", "--images", f"{tiny_set}/images", "--out", f"{tmp_path}/out"]
    full = content["images"][1]["file_name"]
    assert main(["show", str(tiny_run), full, "--assigners", "fcos,atss", *where]) == 0
    assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".png"]
    capsys.readouterr()
    assert main(["show", str(tiny_run), empty["file_name"], "--assigners", "fcos,atss", *where]) == 2
    assert f"{empty['file_name']} has no object to give points to." in capsys.readouterr().err


REFUSED = {
    ("--assigners", "fcos,simoto"): "Did you mean 'simota'?",
    ("--assigners", "fcos(topk=3)"): "FCOS has no option 'topk'",
    ("--assigners", ""): "is no assigner; allowed: Name",
    ("--assigners", "fcos", "--figure", "1"): "--assigners and --figure draw different pictures",
    ("--per-level",): "--per-level is for --assigners, which is not given",
}


@pytest.mark.parametrize("arguments", REFUSED, ids=" ".join)
def test_show_assigners_refused(tiny_run: Path, tmp_path: Path, capsys: Capture, arguments: tuple[str, ...]) -> None:
    assert main(["show", str(tiny_run), *arguments, "--out", str(tmp_path)]) == 2
    assert REFUSED[arguments] in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
