"""A clean set to plant faults in."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mmmc.data.convert import convert

from .planted import paint


@pytest.fixture(scope="package")
def clean(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A set of four pictures to train on and two to validate with, in each format."""
    folder = tmp_path_factory.mktemp("clean")
    for part, count in (("train", 4), ("val", 2)):
        images, annotations = [], []
        for k in range(1, count + 1):
            file = folder / f"coco/images/{part}/{part}_{k}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            paint(100 * (part == "val") + k).save(file)
            images.append({"id": k, "file_name": file.name, "width": 64, "height": 48})
            for n, category in enumerate((1, 2)):
                box = [4 + 20 * n, 6, 12, 10 + k]
                annotations.append({"id": 2 * k + n, "image_id": k, "category_id": category, "bbox": box})
        content = {
            "images": images,
            "annotations": annotations,
            "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}],
        }
        file = folder / f"coco/annotations/instances_{part}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(content))
    for kind in ("yolo", "voc"):
        convert(folder / "coco", folder / kind, to=kind)  # type: ignore[arg-type]
    return {kind: folder / kind for kind in ("coco", "yolo", "voc")}
