"""Repairs in the files of a set, as small as they can be: whatever is not at fault stays as it is written."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from mmmc.data.check.findings import Finding
from mmmc.data.check.plain import cut_to_picture, true_size
from mmmc.data.coco import is_text
from mmmc.data.fields import is_int64, is_number
from mmmc.data.formats import FormatName, Raw
from mmmc.data.formats.files import read_text
from mmmc.files import write_text

REMOVED = ("box-not-finite", "box-empty", "box-twice")
SIZED = ("picture-size", "voc-size", "field-wrong")
CUT = ("box-reaches-out", "number-not-share")


@dataclass(frozen=True)
class Fix:
    """A repair.

    Attributes:
        finding: what was wrong.
        action: what was done.
    """

    finding: Finding
    action: str


def mend_json(raw: Raw, findings: Iterable[Finding]) -> list[Fix]:
    """Repair a COCO JSON file; fields that mmmc does not read stay.

    Args:
        raw: the part as it was read.
        findings: those of the part.
    """
    file = raw.source.annotations
    content = json.loads(read_text(file))  # type: ignore[arg-type]
    if not isinstance(content, dict):
        return []
    by_code: dict[str, list[Finding]] = {}
    for finding in findings:
        by_code.setdefault(finding.code, []).append(finding)
    fixes = _new_ids(content, by_code.get("id-twice", []))
    # An id that is there twice names no row: what else is wrong is seen in the next round.
    if not fixes:
        boxes = {box.place: box for box in raw.boxes}
        rows = {f"annotation {row['id']}": row for row in _rows(content, "annotations") if is_int64(row.get("id"))}
        gone = [finding for code in REMOVED for finding in by_code.get(code, [])]
        lost = [rows[finding.place] for finding in gone]
        fixes += [Fix(finding, "removed") for finding in gone]
        for finding in (finding for code in CUT for finding in by_code.get(code, [])):
            row, cut = rows[finding.place], cut_to_picture(raw, boxes[finding.place])
            whole = cut[2] * cut[3]
            area = row.get("area", whole)
            row["bbox"] = list(cut)
            row["area"] = min(area, whole) if is_number(area) else whole
            fixes.append(Fix(finding, f"cut to {row['bbox']}"))
        _remove(content, "annotations", lost)
        fixes += _sizes_in_json(raw, content, by_code)
        fixes += _joined_pictures(content, by_code.get("picture-twice", []))
        fixes += _names(content, by_code)
    if fixes:
        write_text(file, json.dumps(content, ensure_ascii=False))
    return fixes


def _rows(content: dict[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of a list of the file; what else stands in it, or in its place, is named and stays."""
    found = content.get(name)
    return [row for row in found if isinstance(row, dict)] if isinstance(found, list) else []


def _remove(content: dict[str, Any], name: str, rows: list[dict[str, Any]]) -> None:
    """Take rows of a list of the file out of it."""
    if rows:
        content[name] = [row for row in content[name] if not any(row is one for one in rows)]


def _new_ids(content: dict[str, Any], findings: list[Finding]) -> list[Fix]:
    """Nothing refers to an annotation by its id, so a second one may get another; pictures and categories may not."""
    found = [finding for finding in findings if finding.place.startswith("annotation ")]
    if not found:
        return []
    seen: set[int] = set()
    rows = [row for row in _rows(content, "annotations") if is_int64(row.get("id"))]
    free = max(row["id"] for row in rows)
    for row in rows:
        if row["id"] in seen:
            free += 1
            row["id"] = free
        seen.add(row["id"])
    return [Fix(finding, "the later one got a new id") for finding in found]


def _sizes_in_json(raw: Raw, content: dict[str, Any], by_code: Mapping[str, list[Finding]]) -> list[Fix]:
    named = [row for row in _rows(content, "images") if is_int64(row.get("id")) and is_text(row.get("file_name"))]
    rows = {raw.source.images / row["file_name"]: row for row in named}
    by_place = {f"image {row['id']}": file for file, row in rows.items()}
    wrong = [finding for finding in by_code.get("field-wrong", []) if re.match("(width|height) is ", finding.value)]
    fixes = []
    for finding in [*by_code.get("picture-size", []), *wrong]:
        picture = by_place.get(finding.place, finding.file)
        if (size := true_size(raw, picture)) is not None and picture in rows:
            rows[picture]["height"], rows[picture]["width"] = size
            fixes.append(Fix(finding, f"width {size[1]}, height {size[0]}, as the picture has"))
    return fixes


def _joined_pictures(content: dict[str, Any], findings: list[Finding]) -> list[Fix]:
    fixes = []
    for finding in findings:
        later = int(finding.place.removeprefix("image "))
        first = int(finding.value.rpartition(" ")[2])
        for row in _rows(content, "annotations"):
            if row.get("image_id") == later:
                row["image_id"] = first
        _remove(content, "images", [row for row in _rows(content, "images") if row.get("id") == later])
        fixes.append(Fix(finding, f"joined with image {first}"))
    return fixes


def _names(content: dict[str, Any], by_code: Mapping[str, list[Finding]]) -> list[Fix]:
    """Blanks out of the names of classes, and classes of one name joined."""
    fixes = []
    named = [row for row in _rows(content, "categories") if is_int64(row.get("id")) and is_text(row.get("name"))]
    for finding in by_code.get("class-alike", []):
        rows = [row for row in named if repr(row["name"]) in finding.value]
        plain = {" ".join(row["name"].split()) for row in rows}
        if len(plain) < len({row["name"] for row in rows}):
            for row in rows:
                row["name"] = " ".join(row["name"].split())
            fixes.append(Fix(finding, "blanks taken out of the names"))
    if fixes or not by_code.get("class-twice"):
        return fixes
    first: dict[str, int] = {}
    for row in sorted(named, key=lambda row: row["id"]):
        first.setdefault(row["name"], row["id"])
    new = {row["id"]: first[row["name"]] for row in named}
    for row in _rows(content, "annotations"):
        if is_int64(row.get("category_id")):
            row["category_id"] = new.get(row["category_id"], row["category_id"])
    _remove(content, "categories", [row for row in named if new[row["id"]] != row["id"]])
    return [Fix(finding, "joined under the first id") for finding in by_code["class-twice"]]


def mend_rows(_: Raw, findings: Iterable[Finding]) -> list[Fix]:
    """Repair label files of YOLO."""
    fixes = []
    for file, found in _by_file(findings).items():
        text = read_text(file)
        lines = text.splitlines() if isinstance(text, str) else []
        for finding in found:
            number = int(finding.place.removeprefix("line ")) - 1
            if finding.code in REMOVED:
                lines[number] = ""
                fixes.append(Fix(finding, "removed"))
            else:
                lines[number] = _clipped(lines[number])
                fixes.append(Fix(finding, f"cut to `{lines[number]}`"))
        write_text(file, "".join(f"{line}\n" for line in lines if line))
    return fixes


def _clipped(line: str) -> str:
    """A row of a box or polygon cut to its picture."""
    label, *words = line.split()
    numbers = [float(word) for word in words]
    if len(numbers) == 4:
        x, y, width, height = numbers
        x1, y1, x2, y2 = (
            min(max(side, 0.0), 1.0) for side in (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        )
        numbers = [(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1]
    else:
        numbers = [min(max(number, 0.0), 1.0) for number in numbers]
    return " ".join([label, *(f"{number:.9g}" for number in numbers)])


def mend_xml(raw: Raw, findings: Iterable[Finding]) -> list[Fix]:
    """Repair XML files of Pascal VOC."""
    fixes = []
    boxes = {(box.file, box.place): box for box in raw.boxes}
    files = {picture.file: Path(picture.place) for picture in raw.pictures if picture.place}
    pictures = {xml: picture for picture, xml in files.items()}
    for file, found in _by_file(findings, files).items():
        if any(finding.code == "xml-doctype" for finding in found):
            fixes += _without_doctype(file, found)
            continue
        tree = ElementTree.fromstring(file.read_bytes())
        things = list(tree.iter("object"))
        for finding in found:
            if finding.code in SIZED:
                fixes += _size_in_xml(raw, tree, pictures.get(file), finding)
                continue
            thing = things[int(finding.place.removeprefix("object ")) - 1]
            if finding.code in REMOVED:
                next(parent for parent in tree.iter() if thing in list(parent)).remove(thing)
                fixes.append(Fix(finding, "removed"))
            else:
                x, y, width, height = cut_to_picture(raw, boxes[file, finding.place])
                corners = {"xmin": x + 1, "ymin": y + 1, "xmax": x + width, "ymax": y + height}
                for side, value in corners.items():
                    _child(_child(thing, "bndbox"), side).text = f"{value:.9g}"
                fixes.append(Fix(finding, "cut to " + ", ".join(f"{side} {v:.9g}" for side, v in corners.items())))
        write_text(file, ElementTree.tostring(tree, encoding="unicode") + "\n")
    return fixes


def _without_doctype(file: Path, findings: list[Finding]) -> list[Fix]:
    """A DOCTYPE that declares nothing says nothing; one with entities stays, and is never read."""
    text = read_text(file)
    if not isinstance(text, str) or not re.search(r"<!DOCTYPE[^\[>]*>", text):
        return []
    write_text(file, re.sub(r"<!DOCTYPE[^\[>]*>", "", text, count=1))
    return [Fix(finding, "DOCTYPE taken out") for finding in findings if finding.code == "xml-doctype"]


def _size_in_xml(raw: Raw, tree: Element, picture: Path | None, finding: Finding) -> list[Fix]:
    size = None if picture is None else true_size(raw, picture)
    if size is None:
        return []
    sides = _child(tree, "size")
    for side, pixels in zip(("height", "width"), size, strict=True):
        _child(sides, side).text = str(pixels)
    return [Fix(finding, f"width {size[1]}, height {size[0]}, as the picture has")]


def _child(element: Element, name: str) -> Element:
    found = element.find(name)
    return ElementTree.SubElement(element, name) if found is None else found


def _by_file(findings: Iterable[Finding], files: Mapping[Path, Path] | None = None) -> dict[Path, list[Finding]]:
    """By the file in which they are to be mended; `files` leads from pictures to their XML."""
    found: dict[Path, list[Finding]] = {}
    for finding in findings:
        found.setdefault((files or {}).get(finding.file, finding.file), []).append(finding)
    return found


MENDED: dict[FormatName, tuple[Callable[[Raw, Iterable[Finding]], list[Fix]], tuple[str, ...]]] = {
    "coco": (
        mend_json,
        (*REMOVED, *CUT, *SIZED, "id-twice", "picture-twice", "class-alike", "class-twice"),
    ),
    "yolo": (mend_rows, (*REMOVED, *CUT)),
    "voc": (mend_xml, (*REMOVED, *CUT, *SIZED, "xml-doctype")),
}
"""What mends the files of a format, and which kinds of fault."""
