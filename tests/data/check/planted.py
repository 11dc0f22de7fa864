"""Faults to plant in a clean set, one of every kind, each with what the finding must name."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

Spoil = Callable[[Path], object]


class Planted(NamedTuple):
    """What is done to a clean set, and the place and value that the finding must name."""

    format: str
    spoil: Spoil
    file: str
    says: str


def paint(seed: int, size: tuple[int, int] = (64, 48)) -> Image.Image:
    """A picture of soft blots, unlike that of any other seed."""
    values = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    return Image.fromarray(values).resize(size, Image.Resampling.BICUBIC)


def change(edit: Callable[[dict[str, Any]], object], part: str = "train") -> Spoil:
    def spoil(at: Path) -> None:
        file = at / f"annotations/instances_{part}.json"
        content = json.loads(file.read_text())
        edit(content)
        file.write_text(json.dumps(content))

    return spoil


def both(edit: Callable[[dict[str, Any]], object]) -> Spoil:
    return lambda at: (change(edit)(at), change(edit, "val")(at))


def box(*xywh: float) -> Spoil:
    return change(lambda content: content["annotations"][0].update(bbox=xywh))


def entry(kind: str, place: int, **fields: Any) -> Spoil:
    return change(lambda content: content[kind][place].update(fields))


def more(**fields: Any) -> Spoil:
    """An annotation that is like the first but for these fields."""
    return change(lambda content: content["annotations"].append(content["annotations"][0] | {"id": 99} | fields))


def text(name: str, old: str, new: str) -> Spoil:
    def spoil(at: Path) -> None:
        content = (at / name).read_text()
        assert old in content
        (at / name).write_text(content.replace(old, new, 1))

    return spoil


def append(name: str, row: str) -> Spoil:
    def spoil(at: Path) -> None:
        with (at / name).open("a") as file:
            file.write(row)

    return spoil


def without_first_columns(at: Path) -> None:
    (at / ROWS).write_text("0 0.5 0.5\n1 0.5 0.5 0.2 0.2\n")


def as_corners(at: Path) -> None:
    (at / ROWS).write_text("0 .1 .1 .3 .1 .3 .3 .1 .3\n0 .1 .5 .3 .5 .3 .7 .1 .7\n1 .6 .6 .8 .6 .8 .9\n")


def shutil_copy(source: str, target: str) -> Spoil:
    return lambda at: shutil.copy(at / source, at / target)


def turned(at: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 3
    Image.open(at / FIRST).save(at / FIRST, exif=exif)


def cut(at: Path) -> None:
    data = (at / FIRST).read_bytes()
    (at / FIRST).write_bytes(data[: len(data) // 2])


def nearly(at: Path) -> None:
    """The first training picture, a little brighter, in the place of one to validate with."""
    Image.open(at / FIRST).point(lambda value: min(value + 2, 255)).save(at / "images/val/val_1.png")


def same_place(at: Path) -> None:
    """The first training picture, with something dark before it, in the place of one to validate with."""
    picture = Image.open(at / FIRST)
    picture.paste((90, 90, 90), (4, 4, 20, 14))
    picture.save(at / "images/val/val_1.png")


def only_val_has_dogs(content: dict[str, Any]) -> None:
    for annotation in content["annotations"]:
        annotation["category_id"] = 1
        annotation["bbox"][0] += annotation["id"]


def hundred(content: dict[str, Any]) -> None:
    content["annotations"] += [
        {"id": 1000 + k, "image_id": 1, "category_id": 1, "bbox": [k % 11 * 4, 30 + k // 11, 3, 3]} for k in range(99)
    ]


def rename(content: dict[str, Any]) -> None:
    content["categories"].append({"id": 3, "name": "Dog "})
    content["annotations"].append({"id": 77, "image_id": 1, "category_id": 3, "bbox": [40, 30, 9, 9]})


FIRST = "images/train/train_1.png"
ROWS = "labels/train/train_1.txt"
XML = "Annotations/train_1.xml"
TRAIN = "annotations/instances_train.json"
VAL = "annotations/instances_val.json"

PLANTED = {
    "json-broken": Planted("coco", lambda at: (at / TRAIN).write_text("{\n x"), TRAIN, "line 2, column 2"),
    "field-wrong": Planted("coco", entry("images", 3, width="64"), TRAIN, "image 4: width is \"64\""),
    "file-unreadable": Planted("yolo", lambda at: (at / ROWS).write_bytes(b"\xff\xfe0"), ROWS, "not UTF-8"),
    "xml-broken": Planted("voc", text(XML, "</annotation>", ""), XML, "line 29, column 1: broken XML"),
    "xml-doctype": Planted("voc", text(XML, "<ann", "<!DOCTYPE a><ann"), XML, "has a DOCTYPE a"),
    "folder-missing": Planted(
        "yolo", text("data.yaml", "images/val", "images/no"), "data.yaml", "val: there is no"
    ),
    "test-missing": Planted(
        "yolo", text("data.yaml", "nc: 2", "test: ../test/images\nnc: 2"), "data.yaml", "test: there is no"
    ),
    "no-pictures": Planted("yolo", lambda at: shutil.rmtree(at / "images/val") or (at / "images/val").mkdir() or
        shutil.rmtree(at / "labels/val"), "data.yaml", "val: holds no picture"),
    "label-without-picture": Planted("yolo", append("labels/train/x.txt", ""), "labels/train/x.txt", "no picture"),
    "label-shared": Planted(
        "yolo", lambda at: paint(50).save(at / FIRST.replace("png", "jpg")), ROWS, "train_1.jpg and train_1.png"
    ),
    "picture-without-label": Planted("yolo", lambda at: (at / ROWS).unlink(), FIRST, "there is no"),
    "picture-unlisted": Planted(
        "coco", lambda at: paint(50).save(at / "images/train/x.png"), "images/train/x.png", "no annotation names it"
    ),
    "picture-not-listed": Planted(
        "voc", text("ImageSets/Main/val.txt", "val_2\n", ""), "JPEGImages/val_2.png", "val_2.xml is in no list of Main"
    ),
    "picture-ambiguous": Planted(
        "voc", lambda at: (text(XML, "train_1.png", "train_2.png")(at)), XML, "filename: may be train_1.png, train_2"
    ),
    "picture-missing": Planted("coco", lambda at: (at / FIRST).unlink(), FIRST, "the file is missing"),
    "picture-unreadable": Planted("coco", lambda at: (at / FIRST).write_text("no"), FIRST, "not a picture"),
    "picture-too-large": Planted(
        "coco", lambda at: Image.new("1", (20000, 9000)).save(at / FIRST), FIRST, "more than 89478485 pixels"
    ),
    "picture-truncated": Planted("coco", cut, FIRST, "truncated"),
    "picture-size": Planted("coco", entry("images", 0, width=63), FIRST, "says width 63, height 48; the picture has"),
    "picture-turned": Planted("coco", turned, FIRST, "EXIF orientation 3"),
    "picture-twice": Planted(
        "coco",
        change(lambda c: c["images"].append(c["images"][0] | {"id": 50})),
        TRAIN, "image 50: train_1.png, as image 1",
    ),
    "picture-crowded": Planted("coco", change(hundred), FIRST, "101 objects"),
    "duplicate-file": Planted(
        "coco", shutil_copy(FIRST, "images/train/train_2.png"), "images/train/train_2.png", "the bytes of"
    ),
    "leak-file": Planted("coco", shutil_copy(FIRST, "images/val/val_1.png"), "images/val/val_1.png", "in train"),
    "leak-similar": Planted("coco", nearly, "images/val/val_1.png", "of 64 bits differ, correlation 1.000"),
    "leak-scene": Planted("coco", same_place, "images/val/val_1.png", "of 64 bits differ, correlation 0."),
    "box-not-finite": Planted("coco", box(float("nan"), 1, 5, 5), TRAIN, "annotation 2: bbox [NaN, 1, 5, 5], image 1"),
    "box-empty": Planted("coco", box(9, 9, 0, 5), TRAIN, "annotation 2: bbox [9, 9, 0, 5]"),
    "box-outside": Planted("coco", box(70, 9, 5, 5), TRAIN, "bbox [70, 9, 5, 5]"),
    "box-reaches-out": Planted("coco", box(58, 9, 9, 9), TRAIN, "bbox [58, 9, 9, 9]"),
    "number-not-share": Planted("yolo", append(ROWS, "0 0.5 0.5 1.2 0.3\n"), ROWS, "line 3: `0 0.5 0.5 1.2 0.3`"),
    "box-tiny": Planted("coco", box(9, 9, 1, 5), TRAIN, "1 × 5 px"),
    "box-twice": Planted("coco", more(), TRAIN, "annotation 99: bbox [4, 6, 12, 11], image 1, as annotation 2"),
    "box-two-classes": Planted("coco", more(category_id=2), TRAIN, "as annotation 2: 'cat' and 'dog'"),
    "box-extreme": Planted("coco", box(1, 1, 60, 5), TRAIN, "60 × 5 px"),
    "crowd": Planted("coco", more(iscrowd=1, bbox=[1, 30, 30, 10]), TRAIN, "annotation 99"),
    "voc-off-by-one": Planted("voc", text(XML, "<xmin>5", "<xmin>0"), XML, "object 1: xmin 0"),
    "no-objects": Planted("coco", change(lambda c: c.update(annotations=[]), "val"), VAL, "no object"),
    "names-missing": Planted("yolo", text("data.yaml", "names:", "nomes:"), "data.yaml", "there are no names"),
    "names-count": Planted("yolo", text("data.yaml", "nc: 2", "nc: 9"), "data.yaml", "nc: nc is 9, and there are 2"),
    "class-index": Planted("yolo", append(ROWS, "2 0.5 0.5 0.1 0.1\n"), ROWS, "line 3: `2 0.5 0.5 0.1 0.1`: class 2"),
    "class-twice": Planted(
        "coco", both(lambda c: c["categories"].append({"id": 3, "name": "dog"})), TRAIN, "'dog', 'dog'"
    ),
    "class-disagree": Planted(
        "coco", change(lambda c: c["categories"].append({"id": 3, "name": "cow"}), "val"), VAL, "'cow'; train has 'cat'"
    ),
    "class-empty": Planted(
        "coco", change(lambda c: c["categories"].append({"id": 3, "name": "cow"})), TRAIN, "'cow'"
    ),
    "class-val-only": Planted("coco", change(only_val_has_dogs), VAL, "'dog'"),
    "class-alike": Planted("coco", change(rename), TRAIN, "'dog', 'Dog '"),
    "id-gaps": Planted(
        "coco",
        lambda at: (
            change(lambda c: c["categories"][1].update(id=5))(at),
            change(lambda c: [a.update(category_id=5) for a in c["annotations"] if a["category_id"] == 2])(at),
        ),
        TRAIN, "1 to 5, without 2, 3, 4",
    ),
    "id-twice": Planted("coco", entry("annotations", 1, id=2), TRAIN, "annotation 2: id 2 twice"),
    "picture-unknown": Planted("coco", entry("annotations", 0, image_id=55), TRAIN, "annotation 2: image_id is 55"),
    "category-unknown": Planted("coco", entry("annotations", 0, category_id=9), TRAIN, "category_id is 9"),
    "row-columns": Planted("yolo", without_first_columns, ROWS, "line 1: `0 0.5 0.5` has 3 columns"),
    "row-number": Planted("yolo", append(ROWS, "0 0.5 x 0.1 0.1\n"), ROWS, "line 3: `0 0.5 x 0.1 0.1` is not made"),
    "rows-mixed": Planted("yolo", append(ROWS, "0 .6 .6 .8 .6 .8 .9\n"), ROWS, "1 polygon rows and 2 box rows"),
    "rows-polygon": Planted("yolo", as_corners, ROWS, "3 polygon rows in 1 files without box rows; 2 have four"),
    "voc-size": Planted("voc", text(XML, "<width>64", "<width>0"), XML, "size: height is 48, width is 0"),
    "voc-name": Planted("voc", text(XML, "<name>cat", "<name>"), XML, "object 1: name is missing"),
    "voc-box": Planted("voc", text(XML, "<ymax>17", "<ymax>low"), XML, "object 1: bndbox: xmin 5"),
}  # fmt: skip
"""By the code that must be found."""


def digest(folder: Path) -> str:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return hashlib.sha256(b"".join(str(f.relative_to(folder)).encode() + f.read_bytes() for f in files)).hexdigest()


def spoiled(clean: dict[str, Path], tmp_path: Path, format: str, *spoils: Spoil) -> Path:
    at = Path(shutil.copytree(clean[format], tmp_path / "set"))
    for spoil in spoils:
        spoil(at)
    return at
