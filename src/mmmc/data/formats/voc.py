"""Pascal VOC: an XML file for each picture, and lists of pictures in `ImageSets/Main`.

**Pixels.** VOC counts pixels from 1 and names the first and the last one of an object: `xmin = 1, xmax = 10` are ten
pixels, the continuous box 0 to 10. So `x1 = xmin - 1`, `y1 = ymin - 1`, `x2 = xmax`, `y2 = ymax`. Files of tools that
count from 0 are read by the same rule; then boxes begin a pixel too early, and `mmmc data check` says where that shows.

**Classes** are the names of the objects, in alphabetical order. `difficult` objects are objects like the others.
"""

from __future__ import annotations

import math
import os
import re
from pathlib import Path
from xml.etree import ElementTree
from xml.etree.ElementTree import Element
from xml.parsers import expat

import numpy as np

from mmmc.data.coco import MOST_PIXELS
from mmmc.data.formats.files import copy_pictures, is_picture, pictures_in, rows_of, unlike_stems
from mmmc.data.formats.protocol import FOLDERS, PARTS, Flaw, Found, Raw, RawBox, RawPicture, Source
from mmmc.data.sets import CocoSet
from mmmc.errors import InputError
from mmmc.files import write_text

_SIDES = ("xmin", "ymin", "xmax", "ymax")
_NAN = (math.nan, math.nan, math.nan, math.nan)
_UNWRITABLE = re.compile("[\x00-\x1f\ud800-\udfff\ufffe\uffff]")
"""What XML cannot hold, or does not give back as it was; surrogates stand for bytes of names that are no UTF-8."""


def look(path: Path) -> Found | None:
    """`Annotations/*.xml`, or folders `train`, `valid`, `test` with XML files beside their pictures, or one of them."""
    if not path.is_dir():
        return None
    annotations = path / "Annotations"
    if not annotations.is_dir() and next((path / "annotations").glob("*.xml"), None):
        annotations = path / "annotations"
    if annotations.is_dir():
        images = next((path / name for name in ("JPEGImages", "images") if (path / name).is_dir()), annotations)
        lists = {part: path / "ImageSets" / "Main" / f"{part}.txt" for part in PARTS}
        parts = tuple(Source("voc", part, annotations, images, file) for part, file in lists.items() if file.is_file())
        if parts:
            return Found(f"Pascal VOC ({', '.join(f'ImageSets/Main/{part.part}.txt' for part in parts)})", parts)
        return Found(
            f"Pascal VOC ({annotations.name}, without ImageSets: all pictures are to train on)",
            (Source("voc", "train", annotations, images),),
        )
    parts = tuple(
        Source("voc", part, path / name, path / name)
        for part, names in FOLDERS.items()
        for name in names
        if next((path / name).glob("*.xml"), None)
    )
    names = ", ".join(f"{part.images.name}/" for part in parts)
    if parts:
        return Found(f"a Roboflow export, Pascal VOC ({names})", parts)
    if next(path.glob("*.xml"), None):
        seen = "Pascal VOC (XML files beside their pictures: all pictures are to train on)"
        return Found(seen, (Source("voc", "train", path, path),))
    return None


def parse(source: Source) -> Raw:
    """The objects of all XML files of a part, as continuous boxes."""
    flaws: list[Flaw] = []
    by_stem: dict[str, list[str]] = {}
    for picture in pictures_in(source.images):
        inside = picture.relative_to(source.images)
        by_stem.setdefault(inside.with_suffix("").as_posix(), []).append(inside.as_posix())
    files, bare = _files(source, by_stem, flaws)
    trees = {file: tree for file in files if (tree := _tree(file, flaws)) is not None}
    seen = {name for tree in trees.values() for name in (_text(thing, "name") for thing in tree.iter("object")) if name}
    names = tuple(sorted(seen))
    index = {name: label for label, name in enumerate(names)}
    pictures: list[RawPicture] = []
    boxes: list[RawBox] = []
    difficult = 0
    taken: dict[str, Path] = {}
    for file, tree in trees.items():
        name = _picture(file, tree, source, by_stem, flaws)
        if taken.setdefault(name, file) != file:
            value = f"{name} is the picture of {taken[name]} too"
            flaws.append(Flaw("picture-twice", file, "filename", value, "one XML file for each picture"))
        pictures.append(RawPicture(name, _size(file, tree, flaws), source.images / name, str(file)))
        for number, thing in enumerate(tree.iter("object"), 1):
            difficult += _text(thing, "difficult") == "1"
            box = _box(thing, file, f"object {number}", len(pictures) - 1, index, flaws)
            if box is not None:
                boxes.append(box)
    for name in (name for name in bare if name not in taken):
        allowed = (
            "an XML file for every picture, one without objects where there is nothing, or option unlabelled=background"
        )
        flaws.append(Flaw("picture-without-label", source.images / name, "", "there is no XML file for it", allowed))
        pictures.append(RawPicture(name, None, source.images / name))
    if not pictures and not flaws:
        flaws.append(Flaw("no-pictures", source.annotations, "", "holds no XML file", "at least one"))
    notes = (f"{difficult} objects marked difficult are objects like the others",) if difficult else ()
    return Raw(source, names, pictures, boxes, tuple(range(1, len(names) + 1)), flaws, notes)


def write(parts: dict[str, CocoSet], folder: Path) -> list[str]:
    """Write `Annotations`, `JPEGImages` and `ImageSets/Main`; boxes are rounded to whole pixels, counted from 1."""
    for pictures in parts.values():
        _refuse_names(pictures)
    crowds = rounded = 0
    worst = 0.0
    stems: dict[str, str] = {}
    classes = {name for pictures in parts.values() for name in pictures.categories.names}
    for part, pictures in parts.items():
        unlike_stems(pictures, stems)
        copy_pictures(pictures, folder / "JPEGImages")
        listed = []
        for index, name in enumerate(pictures.names):
            rows = np.arange(pictures.offsets[index], pictures.offsets[index + 1])
            crowds += int(pictures.crowds[rows].sum())
            rows = rows[~pictures.crowds[rows]]
            pixels, off = _pixels(pictures.xywh[rows], pictures.size(index))
            rounded += int((off > 0).sum())
            worst = max(worst, float(off.max(initial=0)))
            things = [pictures.categories.names[label] for label in pictures.labels[rows].tolist()]
            classes -= set(things)
            text = _document(name, pictures.size(index), things, pixels.tolist())
            write_text((folder / "Annotations" / name).with_suffix(".xml"), text)
            listed.append(Path(name).with_suffix("").as_posix())
        write_text(folder / "ImageSets" / "Main" / f"{part}.txt", "".join(f"{stem}\n" for stem in listed))
    lost = [f"{crowds} crowd regions are left out: VOC has no word for them"] if crowds else []
    if classes:
        lost.append(f"classes without objects are left out, as VOC knows none: {', '.join(map(repr, sorted(classes)))}")
    if rounded:
        lost.append(f"{rounded} boxes are rounded to whole pixels, a side by up to {worst:.2g} px")
    return [*lost, "ids are counted anew, in the order of names, and an area is that of its box: VOC holds neither"]


def _files(source: Source, by_stem: dict[str, list[str]], flaws: list[Flaw]) -> tuple[list[Path], list[str]]:
    """The part's XML files, and its pictures that have none."""
    if source.listing is None:
        files = sorted(source.annotations.rglob("*.xml"))
        stems = {file.relative_to(source.annotations).with_suffix("").as_posix() for file in files}
        return files, [name for stem in sorted(by_stem.keys() - stems) for name in by_stem[stem]]
    files, bare = [], []
    for number, line in rows_of(source.listing, flaws):
        ways = [line]
        # The lists of single classes carry a second column, which says whether the picture holds the class.
        if line.split()[-1] in ("1", "-1", "0"):
            ways.append(line.rsplit(None, 1)[0])
        known = (stem for stem in ways if stem in by_stem or os.path.isfile(source.annotations / f"{stem}.xml"))
        stem = next(known, ways[-1])
        file = source.annotations / f"{stem}.xml"
        if os.path.isfile(file):
            files.append(file)
        elif stem in by_stem:
            bare += by_stem[stem]
        else:
            allowed = "names of pictures, without their ending"
            flaws.append(Flaw("picture-missing", source.listing, f"line {number}", f"there is no {stem}", allowed))
    return list(dict.fromkeys(files)), list(dict.fromkeys(bare))


def _tree(file: Path, flaws: list[Flaw]) -> Element | None:
    """The file as XML. One with a DOCTYPE is refused unread: entities can grow to gigabytes, or name other files."""
    declared: list[str] = []
    try:
        data = file.read_bytes()
        guard = expat.ParserCreate()
        guard.StartDoctypeDeclHandler = lambda name, *_: declared.append(name)
        # So few bytes are looked at one after the other that nothing is expanded before the DOCTYPE is seen. Expat from
        # 2.6 on may keep bytes back until the last, empty piece.
        for start in range(0, len(data) + 64, 64):
            guard.Parse(data[start : start + 64], start >= len(data))
            if declared:
                allowed = "XML without a DOCTYPE"
                flaws.append(Flaw("xml-doctype", file, "", f"has a DOCTYPE {declared[0]}", allowed))
                return None
        tree = ElementTree.fromstring(data)
    except (ElementTree.ParseError, expat.ExpatError) as error:
        line, column = getattr(error, "position", (getattr(error, "lineno", 0), getattr(error, "offset", 0)))
        place = f"line {line}, column {column + 1}"
        flaws.append(Flaw("xml-broken", file, place, f"broken XML: {str(error).split(':')[0]}", "XML"))
        return None
    except (LookupError, ValueError) as error:  # an encoding that Python or expat does not know, such as GBK
        flaws.append(Flaw("xml-broken", file, "", f"encoding cannot be read: {error}", "XML in UTF-8"))
        return None
    except OSError as error:
        flaws.append(Flaw("file-unreadable", file, "", f"cannot be read: {error.strerror}", "an XML file"))
        return None
    if tree.tag != "annotation":
        flaws.append(Flaw("xml-broken", file, "", f"the element is {tree.tag}", "annotation, as in VOC's files"))
        return None
    return tree


def _picture(file: Path, tree: Element, source: Source, by_stem: dict[str, list[str]], flaws: list[Flaw]) -> str:
    """The picture of an XML file: that of its own name, or the one that it names."""
    stem = file.relative_to(source.annotations).with_suffix("").as_posix()
    same, said = by_stem.get(stem, []), _text(tree, "filename")
    if said and said in same:
        return said
    there = said is not None and os.path.isfile(source.images / said)
    if len(same) == 1 and not (said and there and is_picture(source.images / said)):
        return same[0]
    if not same and said and there:
        return said
    if same:
        allowed = "one picture for each XML file: the one of its name, or the one that filename names"
        others = ", ".join(dict.fromkeys([*same, *([said] if said else [])]))
        flaws.append(Flaw("picture-ambiguous", file, "filename", f"may be {others}", allowed))
        return same[0]
    missing = f"there is no picture {said or stem}"
    flaws.append(Flaw("label-without-picture", file, "filename", missing, "a picture for every XML file"))
    return said or f"{stem}.jpg"


def _size(file: Path, tree: Element, flaws: list[Flaw]) -> tuple[int, int] | None:
    sides = [_text(tree, f"size/{side}") for side in ("height", "width")]
    # A number of thousands of digits is none to Python.
    if all(side is not None and side.isdecimal() and len(side) < 20 and 0 < int(side) <= MOST_PIXELS for side in sides):
        height, width = (int(side) for side in sides if side is not None)
        return height, width
    value = "size is missing" if tree.find("size") is None else f"size: height is {sides[0]}, width is {sides[1]}"
    flaws.append(Flaw("voc-size", file, "size", value, f"width and height, integers from 1 to {MOST_PIXELS}"))
    return None


def _box(
    thing: Element, file: Path, place: str, picture: int, index: dict[str, int], flaws: list[Flaw]
) -> RawBox | None:
    name = _text(thing, "name")
    if not name:
        flaws.append(Flaw("voc-name", file, place, "name is missing or empty", "the name of a class"))
        return None
    words = [_text(thing, f"bndbox/{side}") for side in _SIDES]
    shown = ", ".join(f"{side} {word}" for side, word in zip(_SIDES, words, strict=True))
    try:
        x1, y1, x2, y2 = (float(word) for word in words if word is not None)
    except ValueError:
        flaws.append(Flaw("voc-box", file, place, f"bndbox: {shown}", "four numbers xmin, ymin, xmax, ymax"))
        return None
    finite = all(map(math.isfinite, (x1, y1, x2, y2)))
    xywh = (x1 - 1, y1 - 1, x2 - x1 + 1, y2 - y1 + 1) if finite else _NAN
    return RawBox(picture, index[name], xywh, file, place, shown)


def _text(element: Element, path: str) -> str | None:
    found = element.find(path)
    return None if found is None or found.text is None else found.text.strip()


def _refuse_names(pictures: CocoSet) -> None:
    """Refuse classes and pictures whose names XML does not give back as they are.

    Raises:
        InputError: names the first.
    """
    for name in (*pictures.categories.names, *pictures.names):
        if name != name.strip() or _UNWRITABLE.search(name):
            raise InputError(
                f"{pictures.annotations}: {name!r} cannot be written to XML. Allowed: names without blanks at"
                " their ends and without control characters, in UTF-8."
            )


def _pixels(xywh: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """First and last pixels of boxes, counted from 1, and by how much the worst side of each is moved."""
    limit = np.array(size[::-1])
    corners = np.stack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    low = np.rint(corners[:, 0]).clip(0, limit - 1)
    high = np.maximum(np.rint(corners[:, 1]).clip(1, limit), low + 1)
    off = np.abs(np.stack([low, high], axis=1) - corners).reshape(-1, 4).max(axis=1, initial=0)
    return np.concatenate([low + 1, high], axis=1).astype(int), off


def _document(name: str, size: tuple[int, int], things: list[str], pixels: list[list[int]]) -> str:
    root = Element("annotation")
    ElementTree.SubElement(root, "filename").text = name
    sides = ElementTree.SubElement(root, "size")
    for side, pixel in zip(("width", "height", "depth"), (size[1], size[0], 3), strict=True):
        ElementTree.SubElement(sides, side).text = str(pixel)
    for thing, corners in zip(things, pixels, strict=True):
        element = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(element, "name").text = thing
        ElementTree.SubElement(element, "difficult").text = "0"
        box = ElementTree.SubElement(element, "bndbox")
        for side, pixel in zip(_SIDES, corners, strict=True):
            ElementTree.SubElement(box, side).text = str(pixel)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"
