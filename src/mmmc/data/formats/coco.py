"""COCO JSON, as customary or as Roboflow exports it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from mmmc.data.coco import MOST_PIXELS, is_box, is_side, is_text
from mmmc.data.fields import is_int64, is_number, read_json
from mmmc.data.formats.files import copy_pictures
from mmmc.data.formats.find import find_annotations, find_images, holding, listing
from mmmc.data.formats.protocol import FOLDERS, PARTS, Flaw, Found, Raw, RawBox, RawPicture, Source
from mmmc.data.sets import CocoSet
from mmmc.errors import InputError
from mmmc.files import write_text

_ROBOFLOW = "_annotations.coco.json"
_NAME = "a name that is not empty"
_LISTS = {"images": "image", "annotations": "annotation", "categories": "category"}


def look(path: Path) -> Found | None:
    """`annotations/instances_*.json`, `train/_annotations.coco.json`, or one JSON file."""
    if path.suffix.lower() == ".json" and path.is_file():
        images = _images_of(path)
        return Found(f"COCO JSON ({path.name}, pictures in {images})", (Source("coco", "train", path, images),))
    parts = tuple(
        Source("coco", part, path / name / _ROBOFLOW, path / name)
        for part in PARTS
        for name in FOLDERS[part]
        if (path / name / _ROBOFLOW).is_file()
    )
    if parts:
        return Found(f"a Roboflow export, COCO JSON ({', '.join(f'{part.images.name}/' for part in parts)})", parts)
    some = next((path / "annotations").glob("instances_*.json"), None) or find_annotations(path, "train")
    return customary(path) if some else None


def customary(path: Path) -> Found:
    """The set in `annotations/instances_{train,val,test}*.json`. Without the pictures of test that part is left out.

    Raises:
        InputError: there is no such folder, no train file, or no pictures of train or val; says what was looked for
            and what was found.
    """
    if not path.is_dir():
        raise InputError(f"{path}: there is no such folder. Allowed: a folder with annotations and pictures.")
    files = {part: file for part in PARTS if (file := find_annotations(path, part)) is not None}
    if "train" not in files:
        raise InputError(
            f"{path}: looked for annotations/instances_train*.json or train.json, found in annotations/: "
            f"{listing(path / 'annotations')}."
        )
    parts: list[Source] = []
    left_out: list[Flaw] = []
    for part, file in files.items():
        try:
            parts.append(Source("coco", part, file, find_images(path, file, part)))
        except InputError:
            if part != "test":
                raise
            left_out.append(Flaw("test-missing", file, "", "there are no pictures of it", "a folder of pictures"))
    said = [f"annotations/{part.annotations.name}" for part in parts]
    said += [f"annotations/{flaw.file.name} is left out, {flaw.value}" for flaw in left_out]
    return Found(f"COCO JSON ({', '.join(said)})", tuple(parts), tuple(left_out))


def _images_of(file: Path) -> Path:
    """The folder of the pictures of one file, which may lie beside it or beside its folder."""
    name = file.stem.removeprefix("instances_")
    around = (file.parent, file.parent.parent)
    places = [place / inner for place in around for inner in (name, f"images/{name}", "images", "")]
    customs = (place for place in (file.parent / "images", file.parent.parent / "images") if place.is_dir())
    return holding(file, places) or next(customs, file.parent)


def parse(source: Source) -> Raw:
    """The rows of a file, whatever is wrong with them. Training reads by `mmmc.data.coco.read_coco` instead."""
    file = source.annotations
    reader = _Reader(file)
    try:
        top = read_json(file)
    except InputError as error:
        text = str(error).removeprefix(f"{file}: ").rstrip(".")
        broken = Flaw("json-broken", file, "", text, "JSON in UTF-8")
        return Raw(source, (), [], [], (), [broken])
    rows = {name: reader.rows(top, name) for name in _LISTS}
    known = reader.unique(rows["categories"], "category")
    categories = [row for row in known if reader.has(row, "category", "name", is_text, _NAME)]
    categories.sort(key=lambda row: row["id"])
    # What refers to an entry without a name is not at fault itself.
    named = {row["id"] for row in categories}
    nameless = {("category_id", row["id"]) for row in known if row["id"] not in named}
    label = {row["id"]: index for index, row in enumerate(categories)}
    pictures: list[RawPicture] = []
    place: dict[int, int] = {}
    first: dict[str, int] = {}
    for row in reader.unique(rows["images"], "image"):
        where = f"image {row['id']}"
        if not reader.has(row, "image", "file_name", is_text, _NAME):
            nameless.add(("image_id", row["id"]))
            continue
        allowed = f"an integer from 1 to {MOST_PIXELS}"
        sides = [reader.has(row, "image", side, is_side, allowed) for side in ("height", "width")]
        if (one := first.setdefault(row["file_name"], row["id"])) != row["id"]:
            value = f"{row['file_name']}, as image {one}"
            reader.flaw("picture-twice", where, value, "a file_name that no other image has")
            place[row["id"]] = place[one]
            continue
        place[row["id"]] = len(pictures)
        size = (row["height"], row["width"]) if all(sides) else None
        pictures.append(RawPicture(row["file_name"], size, source.images / row["file_name"], where, row["id"]))
    boxes = []
    for row in reader.unique(rows["annotations"], "annotation"):
        where = f"annotation {row['id']}"
        reader.has(row, "annotation", "iscrowd", lambda value: type(value) is int and value in (0, 1), "0 or 1", 0)
        xywh = _xywh(row.get("bbox"))
        area = row.get("area")
        # The area of a box that has none says nothing.
        if area is not None and not (is_number(area) and (0 <= area < math.inf or not min(xywh[2:]) > 0)):
            reader.flaw("field-wrong", where, f"area is {json.dumps(area)}", "a finite number, not negative")
        if nameless and _refers_to_one_of(row, nameless):
            continue
        if not _refers(row, "image_id", place):
            value = f"image_id is {json.dumps(row.get('image_id'))}"
            reader.flaw("picture-unknown", where, value, "the id of an image of the file")
        elif not _refers(row, "category_id", label):
            value = f"category_id is {json.dumps(row.get('category_id'))}"
            reader.flaw("category-unknown", where, value, "the id of a category of the file")
        else:
            text = f"bbox {json.dumps(row.get('bbox'))}, image {row['image_id']}"
            picture, crowd = place[row["image_id"]], row.get("iscrowd", 0) == 1
            index = label[row["category_id"]]
            boxes.append(RawBox(picture, index, xywh, file, where, text, True, crowd, row["id"]))
    names = tuple(row["name"] for row in categories)
    return Raw(source, names, pictures, boxes, tuple(row["id"] for row in categories), reader.flaws)


def write(parts: dict[str, CocoSet], folder: Path) -> list[str]:
    """Write `annotations/instances_PART.json` and `images/PART`."""
    for part, pictures in parts.items():
        copy_pictures(pictures, folder / "images" / part)
        write_text(
            folder / "annotations" / f"instances_{part}.json", json.dumps(pictures.to_coco(), ensure_ascii=False)
        )
    return []


class _Reader:
    """Rows of a file and what is wrong with them."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.flaws: list[Flaw] = []

    def flaw(self, code: str, place: str, value: str, allowed: str) -> None:
        self.flaws.append(Flaw(code, self.file, place, value, allowed))

    def rows(self, top: Any, name: str) -> list[dict[str, Any]]:
        """The objects of a list of the file."""
        found = top.get(name, [] if name == "annotations" else None) if type(top) is dict else None
        if type(found) is not list:
            self.flaw("field-wrong", "", f"{name} is missing or no list", f"a list of {name}, as in COCO's files")
            return []
        if not found and name != "annotations":
            self.flaw("field-wrong", "", f"{name} is an empty list", f"at least one {_LISTS[name]}")
        for place, row in enumerate(found):
            if type(row) is not dict:
                self.flaw(
                    "field-wrong", f"{name}[{place}]", "no object", f"an object with the fields of {_LISTS[name]}"
                )
        return [row for row in found if type(row) is dict]

    def unique(self, rows: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
        """The rows with an id of their own."""
        known: dict[int, dict[str, Any]] = {}
        for number, row in enumerate(rows, 1):
            id = row.get("id")
            if not is_int64(id):
                self.flaw("field-wrong", f"{kind} number {number}", f"id is {json.dumps(id)}", "an integer")
            elif id in known:
                self.flaw("id-twice", f"{kind} {id}", f"id {id} twice", f"an id that no other {kind} has")
            else:
                known[id] = row  # type: ignore[index]
        return list(known.values())

    def has(
        self,
        row: dict[str, Any],
        kind: str,
        field: str,
        good: Callable[[Any], bool],
        allowed: str,
        default: object = None,
    ) -> bool:
        """Whether a row's field is in order; a flaw if not."""
        value = row.get(field, default)
        fit = good(value)
        if not fit:
            self.flaw("field-wrong", f"{kind} {row['id']}", f"{field} is {json.dumps(value)}", allowed)
        return fit


def _refers(row: dict[str, Any], field: str, ids: dict[int, int]) -> bool:
    """Whether a row's field is one of these ids; `true` and 1.0 are not 1."""
    return is_int64(row.get(field)) and row[field] in ids


def _refers_to_one_of(row: dict[str, Any], entries: set[tuple[str, int]]) -> bool:
    """Whether a row refers to one of these entries, each a field with an id."""
    return any(is_int64(row.get(field)) and (field, row[field]) in entries for field in ("image_id", "category_id"))


def _xywh(given: Any) -> tuple[float, float, float, float]:
    if not is_box(given):
        return math.nan, math.nan, math.nan, math.nan
    x, y, width, height = map(float, given)
    return x, y, width, height
