"""YOLO: a `data.yaml` with names and folders, and beside each picture's path a text file with a row for each object.

Labelling tools write no `data.yaml` but a `classes.txt` with the name of a class on each line; then the folders say
which pictures there are.

A row is `class x y width height`: index of the class, centre and size of the box as shares of the picture as displayed.
A row `class x1 y1 x2 y2 x3 y3 …` is a polygon; its bounding box is taken, and the set says so.
With `kpt_shape` in `data.yaml` a row is a box with keypoints after it, of which the box is taken.

The label file of `…/images/a.jpg` is `…/labels/a.txt`: the last `images` of the path becomes `labels`. Where no folder
of the path is called so, it lies beside the picture.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import yaml

from mmmc.data import headers
from mmmc.data.formats.files import copy_pictures, pictures_in, rows_of, unlike_stems
from mmmc.data.formats.protocol import PARTS, Flaw, Found, Raw, RawBox, RawPicture, Source
from mmmc.data.formats.yolo_layout import Layout, find_names, read_layout
from mmmc.data.sets import CocoSet
from mmmc.files import write_text

ROUNDING = 1e-6
"""A number may leave 0..1 by so much: six decimals are customary."""

_ROW = "a row `class x y width height`, or a polygon `class x1 y1 x2 y2 x3 y3 …`"
_NAN = (math.nan, math.nan, math.nan, math.nan)


def look(path: Path) -> Found | None:
    """A `data.yaml`, or the folder of one or of a `classes.txt`."""
    file = path if path.suffix in (".yaml", ".yml") else find_names(path)
    if file is None or not file.is_file():
        return None
    data = read_layout(file)
    parts = tuple(Source("yolo", part, file, data.root) for part in PARTS if part in data.folders)
    kind = "a Roboflow export, YOLO" if data.roboflow else "YOLO"
    said = [f"{name}: {data.said[name]}" for name in data.folders]
    said += [f"{flaw.place} is left out, {flaw.value}" for flaw in data.left_out]
    return Found(f"{kind} ({file.name}; {', '.join(said)})", parts, data.left_out)


def parse(source: Source) -> Raw:
    """The rows of all label files of a part, as boxes in pixels."""
    data = read_layout(source.annotations)
    flaws = list(data.flaws)
    files = _pictures(data, source, flaws)
    names = [file.relative_to(source.images).as_posix() for file in files]
    found = headers.look_up(source.images, names)
    pictures = [
        RawPicture(name, header.displayed if isinstance(header, headers.Header) else None, file)
        for name, header, file in zip(names, found, files, strict=True)
    ]
    labels = [label_file(file, source.images) for file in files]
    flaws += _unmatched(
        [place for place in data.folders[source.part] if os.path.isdir(place)], set(labels), source.images
    )
    sharers: dict[Path, Path] = {}
    for file, label in zip(files, labels, strict=True):
        if (other := sharers.setdefault(label, file)) != file:
            allowed = "pictures whose names differ by more than their ending"
            flaws.append(Flaw("label-shared", label, "", f"is the label file of {other} and {file.name}", allowed))
    boxes: list[RawBox] = []
    polygons: list[int] = []
    mixed = 0
    for place, (file, label) in enumerate(zip(files, labels, strict=True)):
        if not label.is_file():
            allowed = (
                "a label file for every picture, an empty one where there is nothing, or option unlabelled=background"
            )
            flaws.append(Flaw("picture-without-label", file, "", f"there is no {label}", allowed))
            continue
        corners = []
        for number, line in rows_of(label, flaws):
            row = _row(line, place, pictures[place].size, label, f"line {number}", data)
            if isinstance(row, Flaw):
                flaws.append(row)
            else:
                boxes.append(row)
                corners.append(row.corners)
        polygons += [number for number in corners if number]
        mixed += 0 in corners and any(corners)
    notes: tuple[str, ...] = (f"{len(polygons)} polygon rows became their bounding boxes",) if polygons else ()
    if turned := polygons.count(4):
        notes += (f"{turned} of the polygons have four corners: boxes that are turned are not learned as such",)
    if data.keypoints:
        notes += ("of rows with keypoints the boxes are taken",)
    if mixed:
        notes += (f"{mixed} label files mix polygon and box rows",)
    return Raw(source, data.names, pictures, boxes, tuple(range(len(data.names))), flaws, notes)


def label_file(picture: Path, root: Path) -> Path:
    """Where the rows of a picture are: the last `images` of its path is `labels` there. `root` holds all pictures."""
    parts = list(picture.parts[:-1])
    if "images" in parts:
        last = len(parts) - 1 - parts[::-1].index("images")
        labels = Path(*parts[:last], "labels", *parts[last + 1 :])
        # An `images` above the set may have nothing to do with it.
        if last >= len(root.parts) or labels.is_dir():
            return (labels / picture.name).with_suffix(".txt")
    return picture.with_suffix(".txt")


def write(parts: dict[str, CocoSet], folder: Path) -> list[str]:
    """Write `data.yaml`, `images/PART` and `labels/PART`; numbers so long that boxes come back as they were."""
    names = next(iter(parts.values())).categories.names
    content = {part: f"images/{part}" for part in parts} | {"nc": len(names), "names": dict(enumerate(names))}
    crowds = 0
    for part, pictures in parts.items():
        unlike_stems(pictures)
        copy_pictures(pictures, folder / "images" / part)
        crowds += int(pictures.crowds.sum())
        for index, name in enumerate(pictures.names):
            height, width = pictures.size(index)
            rows = slice(pictures.offsets[index], pictures.offsets[index + 1])
            text = "".join(
                f"{label} {(x + w / 2) / width!r} {(y + h / 2) / height!r} {w / width!r} {h / height!r}\n"
                for label, (x, y, w, h), crowd in zip(
                    pictures.labels[rows].tolist(), pictures.xywh[rows].tolist(), pictures.crowds[rows], strict=True
                )
                if not crowd
            )
            write_text(label_file(folder / "images" / part / name, folder), text)
    write_text(folder / "data.yaml", yaml.safe_dump(content, sort_keys=False, allow_unicode=True))
    lost = [f"{crowds} crowd regions are left out: YOLO has no word for them"] if crowds else []
    return [*lost, "ids are counted anew, and an area is that of its box: YOLO holds neither"]


def _pictures(data: Layout, source: Source, flaws: list[Flaw]) -> list[Path]:
    """The part's picture files: all of a folder, or those that a text file lists."""
    files: list[Path] = []
    for folder in data.folders[source.part]:
        # Those of `os` say no to a name that is too long, where those of pathlib raise.
        if os.path.isdir(folder):
            files += pictures_in(folder)
        elif os.path.isfile(folder):
            files += _listed(folder, data, flaws)
        else:
            allowed = "a folder of pictures, or a text file that names them"
            flaws.append(Flaw("folder-missing", source.annotations, source.part, f"there is no {folder}", allowed))
    if not files and not flaws:
        allowed = "at least one picture"
        flaws.append(Flaw("no-pictures", source.annotations, source.part, "holds no picture", allowed))
    return list(dict.fromkeys(files))


def _listed(file: Path, data: Layout, flaws: list[Flaw]) -> Iterator[Path]:
    for number, line in rows_of(file, flaws):
        picture = Path(os.path.normpath(data.start / line))
        if not os.path.isfile(picture) or not picture.is_relative_to(data.root):
            allowed = f"a picture below {data.root}"
            flaws.append(Flaw("picture-missing", file, f"line {number}", f"{line}: no such file there", allowed))
        else:
            yield picture


def _unmatched(folders: list[Path], labels: set[Path], root: Path) -> Iterator[Flaw]:
    """Label files that belong to no picture, in the folders where those of the part's pictures would be."""
    for folder in folders:
        for file in sorted(label_file(folder / "any", root).parent.rglob("*.txt")):
            if file not in labels and file.name != "classes.txt" and not file.name.lower().startswith("readme"):
                allowed = "a picture for every label file"
                yield Flaw("label-without-picture", file, "", "there is no picture of this name", allowed)


def _row(line: str, picture: int, size: tuple[int, int] | None, file: Path, place: str, data: Layout) -> RawBox | Flaw:
    words, classes = line.split(), len(data.names)
    shown = f"`{line}`" if len(line) <= 80 else f"`{line[:79]}…`"
    if data.keypoints and len(words) == 5 + data.keypoints:
        words = words[:5]
    polygon = not data.keypoints and len(words) >= 7 and len(words) % 2 == 1
    if len(words) != 5 and not polygon:
        with_keypoints = f"a row `class x y width height`, alone or with {data.keypoints} numbers of keypoints"
        allowed = with_keypoints if data.keypoints else _ROW
        return Flaw("row-columns", file, place, f"{shown} has {len(words)} columns", allowed)
    try:
        numbers = [float(word) for word in words[1:]]
        label = float(words[0])
    except ValueError:
        return Flaw("row-number", file, place, f"{shown} is not made of numbers", f"{_ROW}, all of them numbers")
    # Without names there is no limit, and they are missed already.
    if not label.is_integer() or label < 0 or 0 < classes <= label:
        allowed = f"a class index of the names in {data.file.name}: 0 to {classes - 1}"
        return Flaw("class-index", file, place, f"{shown}: class {words[0]}", allowed)
    shares = all(-ROUNDING <= number <= 1 + ROUNDING for number in numbers)
    return RawBox(
        picture,
        int(label),
        _xywh(numbers, size),
        file,
        place,
        shown,
        shares,
        corners=len(numbers) // 2 if polygon else 0,
    )


def _xywh(numbers: list[float], size: tuple[int, int] | None) -> tuple[float, float, float, float]:
    if size is None:
        return _NAN
    height, width = size
    if len(numbers) == 4:
        x, y, w, h = numbers
        return (x - w / 2) * width, (y - h / 2) * height, w * width, h * height
    points = np.array(numbers).reshape(-1, 2) * (width, height)
    low, high = points.min(axis=0), points.max(axis=0)
    return float(low[0]), float(low[1]), float(high[0] - low[0]), float(high[1] - low[1])
