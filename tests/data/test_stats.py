from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mmmc.cli import main
from mmmc.data.coco import read_coco
from mmmc.data.stats import bands, quantiles, stats
from mmmc.data.transforms import Resize

BOXES = [(1, 1, [0, 0, 10, 40], 300), (1, 2, [0, 0, 200, 100], None), (1, 2, [5, 5, 31, 33], None)]


def make(folder: Path) -> Path:
    Image.new("RGB", (400, 200)).save(folder / "a.png")
    Image.new("RGB", (100, 100)).save(folder / "b.png")
    rows = [
        {"id": k, "image_id": image, "category_id": label, "bbox": box} | ({"area": area} if area else {})
        for k, (image, label, box, area) in enumerate(BOXES)
    ]
    rows.append({"id": 9, "image_id": 2, "category_id": 1, "bbox": [0, 0, 50, 50], "iscrowd": 1})
    images = [
        {"id": 1, "file_name": "a.png", "width": 400, "height": 200},
        {"id": 2, "file_name": "b.png", "width": 100, "height": 100},
    ]
    categories = [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]
    file = folder / "set.json"
    file.write_text(json.dumps({"images": images, "annotations": rows, "categories": categories}))
    return file


def test_numbers_by_hand(tmp_path: Path) -> None:
    found = stats(read_coco(make(tmp_path), tmp_path), Resize(100, 1000))
    assert found.per_class.tolist() == [1, 2]
    assert found.pictures_with().tolist() == [1, 1]
    assert (found.crowds, found.per_picture.tolist()) == (1, [3, 0])
    assert found.areas.tolist() == [300, 20000, 1023]
    np.testing.assert_allclose(found.drawn, [100, 5000, 31 * 33 / 4])  # half as wide, half as high
    np.testing.assert_allclose(found.aspects, [0.25, 2, 31 / 33])
    assert bands(found.areas).tolist() == [2, 0, 1]
    assert bands(np.array([1024.0, 9215.9, 9216.0])).tolist() == [0, 2, 1]
    assert quantiles(np.arange(5)) == [0, 1, 2, 3, 4]
    assert quantiles(np.zeros(0)) == []


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file, out = make(tmp_path), tmp_path / "out"
    assert main(["data", "stats", str(file), "--recipe", "fcos_r50_1x", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "train: 2 pictures, 1 of them without objects; 3 objects, 1 crowd regions" in said
    assert "in training (fcos_r50_1x, 800 × 1333 px)" in said
    assert sorted(path.name for path in out.iterdir()) == ["train-objects.png", "train-spread.png"]
