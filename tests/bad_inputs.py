"""A command line that cannot work, what its message says, and how files are spoiled before."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

Spoil = Callable[[Path], object]
"""What is done to the case's folder before; `data/` in it is a set without faults."""


class Case(NamedTuple):
    """A command line, what its message says (parts in this order, with … between), what was spoiled before."""

    line: str
    says: str
    spoil: Spoil = lambda _: None
    also: Spoil = lambda _: None


class Payload:
    """Unpickling it makes a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


def coco(change: Callable[[dict[str, Any]], object], split: str = "train") -> Spoil:
    """Change the content of an annotation file."""

    def spoil(at: Path) -> None:
        file = at / f"data/annotations/instances_{split}.json"
        content = json.loads(file.read_text())
        change(content)
        file.write_text(json.dumps(content))

    return spoil


def first(kind: str, split: str = "train", **fields: Any) -> Spoil:
    """Change fields of the first entry of a list."""
    return coco(lambda content: content[kind][0].update(fields), split)


def box(*xywh: float) -> Spoil:
    return first("annotations", bbox=xywh)


def twice(kind: str) -> Spoil:
    """Give the second entry of a list the id of the first."""
    return coco(lambda content: content[kind][1].update(id=content[kind][0]["id"]))


def text(name: str, content: str) -> Spoil:
    return lambda at: (at / name).write_text(content)


def gone(name: str) -> Spoil:
    return lambda at: (at / name).unlink()


def results(*changes: dict[str, Any], name: str = "r") -> Spoil:
    """Write COCO results: a detection for each change, one without."""
    row = {"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5], "score": 0.5}
    return text(f"{name}.json", json.dumps([row | change for change in changes or ({},)]))


def yolo(row: str | None = None, more: str = "") -> Spoil:
    """Write a YOLO set of one picture in `y`, with a label file if there is a row for it."""

    def spoil(at: Path) -> None:
        (at / "y/images").mkdir(parents=True)
        (at / "y/labels").mkdir()
        Image.new("RGB", (64, 64)).save(at / "y/images/x.png")
        (at / "y/data.yaml").write_text(f"train: images\n{more}names: [a]\n")
        if row is not None:
            (at / "y/labels/x.txt").write_text(row)

    return spoil


TRAIN, VAL = "data/annotations/instances_train.json", "data/annotations/instances_val.json"
PICTURE = "data/images/train_00003.png"
FILES = "diagnose --detections {at}/r.json --annotations {at}/" + VAL
NO_SCORE = '[{"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}]'
NO_OBJECT = coco(lambda content: content.update(annotations=[]), "val")
A_PLAN = "{data: x, recipe: small, records: r.jsonl, seeds: [0], variants: {fcos: {}}}"
