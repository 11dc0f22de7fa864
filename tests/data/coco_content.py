"""A small COCO file, and ways to change it."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmmc.data.coco import CocoSet, read_coco

VALID: dict[str, Any] = {
    "images": [
        {"id": 7, "file_name": "a.jpg", "width": 100, "height": 50},
        {"id": 3, "file_name": "sub/b.jpg", "width": 40, "height": 60},
        {"id": 5, "file_name": "c.jpg", "width": 30, "height": 30},
    ],
    "annotations": [
        {"id": 11, "image_id": 3, "category_id": 90, "bbox": [1, 2, 3, 4], "area": 9, "iscrowd": 0},
        {"id": 12, "image_id": 7, "category_id": 2, "bbox": [10.25, 20, 30, 25.5], "area": 700.5, "iscrowd": 0},
        {"id": 10, "image_id": 3, "category_id": 90, "bbox": [0, 0, 40, 60], "area": 2000, "iscrowd": 1},
        {"id": 13, "image_id": 3, "category_id": 17, "bbox": [5, 5, 10, 10], "area": 100, "iscrowd": 0},
    ],
    "categories": [{"id": 90, "name": "zebra"}, {"id": 2, "name": "cat"}, {"id": 17, "name": "dog"}],
}


def write(folder: Path, content: Any) -> Path:
    file = folder / "set.json"
    file.write_text(json.dumps(content))
    return file


def read(folder: Path, content: Any, **options: Any) -> CocoSet:
    return read_coco(write(folder, content), folder, check_headers=False, **options)


def with_box(box: Any, **fields: Any) -> dict[str, Any]:
    """VALID with another box for annotation 12, in the picture of 100 × 50."""
    content = copy.deepcopy(VALID)
    content["annotations"][1] |= {"bbox": box, **fields}
    return content


def put(*path: Any) -> Callable[[dict[str, Any]], None]:
    """Set the value at a path, whose last element is the value."""

    def change(content: Any) -> None:
        *parents, key, value = path
        for parent in parents:
            content = content[parent]
        content[key] = value

    return change


def remove(*path: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: Any) -> None:
        for parent in path[:-1]:
            content = content[parent]
        del content[path[-1]]

    return change
