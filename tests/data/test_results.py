"""COCO results of any detector; what is refused stands in `tests/test_bad_input.py`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmmc.data.coco import read_coco
from mmmc.data.results import read_results
from mmmc.errors import InputError


def test_results_are_read_with_what_is_needed(tiny_set: Path, tmp_path: Path) -> None:
    pictures = read_coco(tiny_set / "annotations/instances_val.json", tiny_set / "images")
    image, category = pictures.image_id(0), pictures.categories.ids[-1]
    row = {"image_id": image, "category_id": category, "bbox": [1, 2.5, 0, 4], "score": -3}
    (tmp_path / "r.json").write_text(json.dumps([{**row, "segmentation": {"size": [4, 4], "counts": "x"}, "id": 8}]))
    assert read_results(tmp_path / "r.json", pictures) == [row]
    (tmp_path / "r.json").write_text("[]")
    assert read_results(tmp_path / "r.json", pictures) == []
    (tmp_path / "r.json").write_text(json.dumps([row, {**row, "bbox": [1, 2, 3, float("inf")]}]))
    with pytest.raises(InputError, match=r"wrong bbox\. Allowed: .*\n  detection number 2 .* is \[1, 2, 3, Infinity\]"):
        read_results(tmp_path / "r.json", pictures)
