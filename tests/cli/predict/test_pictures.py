"""`mmmc predict` on pictures from wherever they come, and what it writes."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from pycocotools.coco import COCO

import mmmc
from mmmc.checkpoint import load_weights, save_weights
from mmmc.data.pictures import read_picture
from mmmc.data.synthetic import scene
from mmmc.predicting import Tiling, detect_tiled, sources

from .commands import LOW, Capture, listed, names, predict


def test_coco_results_are_those_of_the_json(tiny_run: Path, files: list[str], tmp_path: Path) -> None:
    predict(tiny_run, tmp_path / "j", *files, *LOW, "--draw", "false", "--batch", "3")
    predict(tiny_run, tmp_path / "c", *files, *LOW, "--draw", "false", "--format", "coco")
    assert names(tmp_path / "c") == ["images.json", "results.json"]
    # The oracle reads both files as it reads COCO's own.
    truth = COCO()
    truth.dataset = json.loads((tmp_path / "c/images.json").read_text()) | {"annotations": []}
    truth.createIndex()
    results = truth.loadRes(str(tmp_path / "c/results.json"))
    for entry, image in zip(listed(tmp_path / "j"), truth.dataset["images"], strict=True):
        assert (entry["file"], 64, 64) == (image["file_name"], image["height"], image["width"])
        rows = results.imgToAnns[image["id"]]
        assert len(rows) == len(entry["objects"]) > 0
        for row, found in zip(rows, entry["objects"], strict=True):
            assert truth.cats[row["category_id"]]["name"] == found["class"]
            x, y, w, h = row["bbox"]
            assert found["box"] == pytest.approx([x, y, x + w, y + h], abs=0.006)
            assert found["score"] == pytest.approx(row["score"], abs=6e-5)


def test_no_object_at_all_is_told_with_what_may_find_some(
    tiny_run: Path, files: list[str], tmp_path: Path, capsys: Capture
) -> None:
    predict(tiny_run, tmp_path / "none", files[0], "--threshold", "1")
    said = capsys.readouterr()
    assert said.out == f"0 objects in 1 picture: {tmp_path / 'none'}\n"
    assert said.err == (
        "No score reaches the threshold of 1. Take a lower one, or --threshold f1, which takes for each class the one "
        "of best F1.\n"
    )
    predict(tiny_run, tmp_path / "some", files[0], *LOW)
    assert "No score" not in capsys.readouterr().err


@pytest.mark.parametrize("confidence", ["true", "false"])
def test_yolo_labels_are_read_back(tiny_run: Path, files: list[str], tmp_path: Path, confidence: str) -> None:
    strict = ("--threshold", "0.2", "--draw", "false")
    predict(tiny_run, tmp_path / "j", *files, *strict)
    predict(tiny_run, tmp_path / "y", *files, *strict, "--format", "yolo", "--confidence", confidence)
    classes = (tmp_path / "y/classes.txt").read_text().splitlines()
    for entry in listed(tmp_path / "j"):
        lines = (tmp_path / "y/labels" / f"{Path(entry['file']).stem}.txt").read_text().splitlines()
        assert len(lines) == len(entry["objects"])
        for line, found in zip(lines, entry["objects"], strict=True):
            label, x, y, w, h, *score = (float(word) for word in line.split())
            assert classes[int(label)] == found["class"]
            box = [64 * (x - w / 2), 64 * (y - h / 2), 64 * (x + w / 2), 64 * (y + h / 2)]
            assert found["box"] == pytest.approx(box, abs=0.01)
            assert score == ([found["score"]] if confidence == "true" else [])


def test_of_pictures_with_one_name_each_has_its_labels(tiny_run: Path, files: list[str], tmp_path: Path) -> None:
    """Two pictures are called x, and the name of the second is not that of a third."""
    (tmp_path / "in/s").mkdir(parents=True)
    for file, name in zip(files, ("x.png", "x-2.png", "s/x.png"), strict=False):
        shutil.copy(file, tmp_path / "in" / name)
    predict(tiny_run, tmp_path / "y", str(tmp_path / "in"), *LOW, "--format", "yolo", "--batch", "1")
    lines = (tmp_path / "y/pictures.csv").read_text().splitlines()
    assert lines[0] == "labels,picture"
    told = dict(line.split(",") for line in lines[1:])
    assert told == {
        "x.txt": f"{tmp_path}/in/s/x.png", "x-2.txt": f"{tmp_path}/in/x-2.png", "x-3.txt": f"{tmp_path}/in/x.png",
    }  # fmt: skip
    for labels, picture in told.items():
        predict(tiny_run, tmp_path / "one", picture, *LOW, "--format", "yolo")
        alone = (tmp_path / "one/labels" / f"{Path(picture).stem}.txt").read_text()
        assert (tmp_path / "y/labels" / labels).read_text() == alone


def test_copies_of_an_earlier_call_are_no_pictures_of_the_next(
    tiny_run: Path, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    shutil.copy(files[0], tmp_path / "a.png")
    monkeypatch.chdir(tmp_path)
    for _ in range(2):
        predict(tiny_run, Path("predictions"), ".", *LOW)
        assert [entry["file"] for entry in listed(tmp_path / "predictions")] == ["a.png"]
    (tmp_path / "folder").mkdir()
    predict(tiny_run, Path("other"), "*", "--draw", "false", *LOW)
    assert [entry["file"] for entry in listed(tmp_path / "other")] == ["a.png"]
    capsys.readouterr()
    predict(tiny_run, Path("none"), "", status=2)
    assert "'' is an empty word. Allowed: pictures, videos" in capsys.readouterr().err


def test_pictures_of_ones_own_are_not_overwritten(
    tiny_run: Path, files: list[str], tmp_path: Path, capsys: Capture
) -> None:
    """Copies of an earlier call are; a picture that nobody named but that is in their place is not."""
    shutil.copy(files[0], tmp_path / "a.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "a.jpg")
    before = (tmp_path / "a.jpg").read_bytes()
    predict(tiny_run, tmp_path, str(tmp_path / "a.png"), *LOW, status=2)
    assert (
        f"copy of {tmp_path}/a.png would overwrite {tmp_path}/a.jpg, which is no copy of an earlier call."
        in capsys.readouterr().err
    )
    assert (tmp_path / "a.jpg").read_bytes() == before
    (tmp_path / "a.jpg").unlink()
    for _ in range(2):
        predict(tiny_run, tmp_path, str(tmp_path / "a.png"), *LOW)
    assert (tmp_path / "a.jpg").exists()


def test_what_a_folder_has_beside_its_pictures(tiny_run: Path, files: list[str], tmp_path: Path) -> None:
    shutil.copy(files[0], tmp_path / "a.png")
    for name in ("._a.png", ".thumbs/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(files[0], tmp_path / name)
    (tmp_path / "readme.pdf").touch()
    (tmp_path / "c.png").mkdir()
    predict(tiny_run, tmp_path / "out", str(tmp_path), "--draw", "false", *LOW)
    assert [entry["file"] for entry in listed(tmp_path / "out")] == [str(tmp_path / "a.png")]


def test_thresholds_of_best_f1_by_another_copy_of_the_set(
    tiny_run: Path, tiny_set: Path, files: list[str], tmp_path: Path, capsys: Capture
) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    recipe = tmp_path / "run/best.safetensors"
    weights = load_weights(recipe)
    moved = replace(weights.recipe, data=replace(weights.recipe.data, path=str(tmp_path / "gone")))
    save_weights(recipe, replace(weights, recipe=moved))
    predict(tmp_path / "run", tmp_path / "o", files[0], "--threshold", "f1", status=2)
    said = capsys.readouterr().err
    assert "The run's own set cannot be read: " in said
    assert "--data FOLDER names another place" in said
    predict(tmp_path / "run", tmp_path / "o", files[0], "--threshold", "f1", "--data", str(tiny_set))
    assert "gives F1" in capsys.readouterr().err


def test_a_table(tiny_run: Path, files: list[str], tmp_path: Path) -> None:
    predict(tiny_run, tmp_path, *files, *LOW, "--draw", "false")
    predict(tiny_run, tmp_path, *files, *LOW, "--draw", "false", "--format", "csv")
    with (tmp_path / "detections.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    expected = [
        [entry["file"], "", "", found["class"], found["score"], *found["box"]]
        for entry in listed(tmp_path)
        for found in entry["objects"]
    ]
    assert [list(row.values()) for row in rows] == [list(map(str, row)) for row in expected]


def test_only_some_classes(tiny_run: Path, files: list[str], tmp_path: Path, capsys: Capture) -> None:
    predict(tiny_run, tmp_path / "all", *files, *LOW, "--draw", "false")
    present = sorted({found["class"] for entry in listed(tmp_path / "all") for found in entry["objects"]})
    wanted = present[:-1]
    assert wanted, "one class alone shows nothing"
    predict(tiny_run, tmp_path / "some", *files, *LOW, "--draw", "false", "--classes", *wanted)
    for some, everything in zip(listed(tmp_path / "some"), listed(tmp_path / "all"), strict=True):
        assert some["objects"] == [found for found in everything["objects"] if found["class"] in wanted]
    predict(tiny_run, tmp_path / "none", *files, "--classes", "red-whit", status=2)
    assert "--classes names 'red-whit', which the detector does not know. Did you mean 'red-white'? Allowed: " in (
        capsys.readouterr().err
    )


def test_tiles(tiny_run: Path, tmp_path: Path) -> None:
    """A picture that is one tile is predicted as ever; a wider one as `detect_tiled` says, in its own pixels."""
    one, wide = _scene(tmp_path / "one.png", 1), _scene(tmp_path / "wide.png", 2)
    for name, more in {"plain": (), "tile": ("--tile", "64"), "parts": ("--tile", "64", "--whole", "false")}.items():
        predict(tiny_run, tmp_path / name, str(one), str(wide), *LOW, "--draw", "false", *more)
    plain, tile, parts = (listed(tmp_path / name) for name in ("plain", "tile", "parts"))
    assert plain[0] == tile[0] == parts[0]
    assert plain[1]["objects"] != parts[1]["objects"]
    assert max(found["box"][2] for found in parts[1]["objects"]) > 64, "in pixels of the picture"
    predictor = mmmc.load(tiny_run)
    tiling = Tiling(64, 0.2, whole=False)
    found = detect_tiled(predictor, read_picture(wide), tiling, threshold=0.02)
    boxes = [each["box"] for each in parts[1]["objects"]]
    torch.testing.assert_close(torch.tensor(boxes), found.boxes, rtol=0, atol=0.006)


def test_a_picture_above_pillows_limit_is_read_to_be_cut(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    wide = str(_scene(tmp_path / "wide.png", 2))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 64 * 64 - 1)  # above twice the limit Pillow raises an error
    predict(tiny_run, tmp_path / "whole", wide, "--draw", "false", status=2)
    assert f"{wide}: more than 8190 pixels, which Pillow takes for a decompression bomb. Cut" in capsys.readouterr().err
    predict(tiny_run, tmp_path / "cut", wide, "--draw", "false", "--tile", "64")


def _scene(path: Path, times: int) -> Path:
    Image.fromarray(scene(1, "val", 0, (64, 64 * times)).image).save(path)
    return path


def test_what_cannot_be_used_is_listed_after_the_others(
    tiny_run: Path, files: list[str], clip: Path, tmp_path: Path, capsys: Capture
) -> None:
    broken, torn = tmp_path / "broken.png", tmp_path / "torn.mp4"
    broken.write_bytes(Path(files[0]).read_bytes()[:300])
    torn.write_bytes(clip.read_bytes()[:600])
    out = tmp_path / "out"
    predict(tiny_run, out, str(broken), files[0], str(torn), files[1], *LOW, status=1)
    err = capsys.readouterr().err
    assert f"mmmc: left out: {broken}: cannot be decoded, it may be truncated" in err
    assert f"mmmc: left out: {torn} cannot be " in err
    content = json.loads((out / "detections.json").read_text())
    assert [entry["file"] for entry in content["pictures"]] == files[:2]
    assert [entry["file"] for entry in content["failed"]] == [str(broken), str(torn)]
    assert names(out) == ["detections.json", "val_00000.jpg", "val_00001.jpg"]
    # With nothing that can be used there is nothing to write.
    predict(tiny_run, tmp_path / "none", str(broken), str(torn), status=2)
    assert not (tmp_path / "none").exists()


def test_standard_input(
    tiny_run: Path, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def feed(content: bytes) -> None:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))

    feed(Path(files[1]).read_bytes())
    predict(tiny_run, tmp_path / "in", "-", files[1], *LOW)
    given, file = listed(tmp_path / "in")
    assert (given["file"], given["copy"]) == ("-", "stdin.jpg")
    assert given["objects"] == file["objects"] != []
    for content, says in {b"": "Standard input is empty", b"text": "standard input: not a picture"}.items():
        feed(content)
        predict(tiny_run, tmp_path / "no", "-", status=2)
        assert says in capsys.readouterr().err
    monkeypatch.setattr(sources, "LIMIT", 100)
    feed(Path(files[1]).read_bytes())
    predict(tiny_run, tmp_path / "no", "-", status=2)
    assert "standard input holds more than" in capsys.readouterr().err


def test_an_address(tiny_run: Path, files: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def answer(address: str) -> bytes:
        asked.append(address)
        if "broken" in address:
            raise mmmc.InputError(f"{address} could not be fetched.")
        return Path(files[0]).read_bytes()

    monkeypatch.setattr(sources, "fetch", answer)
    addresses = ["http://a.org/x/cat.png?y=1", "https://a.org/broken.png"]
    predict(tiny_run, tmp_path, *addresses, *LOW, status=1)
    assert asked == addresses
    assert [(entry["file"], entry["copy"]) for entry in listed(tmp_path)] == [(addresses[0], "cat.jpg")]


REFUSED = {
    "--batch_size 0": "--batch_size is 0; allowed: at least 1",
    "--batch 0": "--batch_size is 0; allowed: at least 1",
    "--every 0": "--every is 0; allowed: at least 1",
    "--limit 0": "--limit is 0; allowed: at least 1",
    "--tile 8": "The tile is 8 pixels wide; allowed: at least 32",
    "--tile 64 --overlap 1": "The overlap of tiles is 1.0; allowed: 0 to 0.9",
    "--format xml": "xml",
    "--every 3": "--every is for videos and cameras; none is given",
    "--limit 3": "--limit is for videos and cameras; none is given",
    "--frames true": "--frames is for videos and cameras; none is given",
    "--overlap 0.5": "--overlap is for tiles; name --tile too",
    "--whole false": "--whole is for tiles; name --tile too",
    "--confidence true": "--confidence is for --format yolo",
    "--data x": "--data is for --threshold f1",
    "http://[x/a.jpg": "http://[x/a.jpg is no address: Invalid IPv6 URL. Allowed: http and https",
    "camera:x": "camera:x is no camera. Allowed: camera:0",
}


@pytest.mark.parametrize("arguments", REFUSED)
def test_refusals(tiny_run: Path, files: list[str], tmp_path: Path, capsys: Capture, arguments: str) -> None:
    predict(tiny_run, tmp_path, files[0], *arguments.split(), status=2)
    assert REFUSED[arguments] in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
