"""Sets as people have them: recognised by looking, read strictly, written again in another format."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Literal

from mmmc.data import headers
from mmmc.data.coco import read_coco
from mmmc.data.formats import coco, voc, yolo
from mmmc.data.formats.assemble import assemble
from mmmc.data.formats.protocol import PARTS, Flaw, FormatName, Found, Raw, RawBox, RawPicture, Source
from mmmc.data.sets import CocoSet
from mmmc.errors import InputError

__all__ = [
    "FORMATS",
    "PARTS",
    "Flaw",
    "FormatName",
    "Found",
    "Raw",
    "RawBox",
    "RawPicture",
    "Source",
    "look",
    "read",
    "source_of",
]

FORMATS: dict[FormatName, ModuleType] = {"coco": coco, "yolo": yolo, "voc": voc}
"""Each is a `Format`."""


def look(path: Path | str, format: FormatName | None = None) -> Found:
    """See what a set is written in, and where its parts are.

    Args:
        path: a folder, a COCO JSON file, or a `data.yaml`.
        format: do not look, take this one.

    Raises:
        InputError: there is nothing there, nothing that is known, or several formats side by side; says what was
            looked for and what was found.
    """
    path = Path(path)
    if not path.exists() or not (path.is_dir() or path.suffix.lower() in (".json", ".yaml", ".yml")):
        raise InputError(f"{path}: there is no such folder. Allowed: a folder with annotations and pictures.")
    found = {
        name: seen
        for name, module in FORMATS.items()
        if format in (None, name) and (seen := module.look(path)) is not None
    }
    if len(found) > 1:
        sights = "; ".join(f"{name}: {seen.seen}" for name, seen in found.items())
        raise InputError(f"{path} can be read as {sights}. Say which by option format={'|'.join(found)}.")
    if not found:
        return _nothing(path, format)
    (seen,) = found.values()
    if seen.part("train") is None:
        raise InputError(f"{path}: {seen.seen} has no part to train on. Allowed: at least train.")
    return seen


def source_of(annotations: str, images: str, part: str, format: FormatName | None = None) -> Source:
    """A part that is named by its annotations: a `data.yaml`, a folder of XML files, or else COCO JSON."""
    file = Path(annotations)
    kind = format or ("yolo" if file.suffix in (".yaml", ".yml") else "voc" if file.is_dir() else "coco")
    if kind == "yolo":
        found = look(file, "yolo").part(part)
        if found is None:
            raise InputError(f"{file} names no {part}. Allowed: a path to pictures.")
        return found
    return Source(kind, part, file, Path(images))


def read(
    source: Source,
    *,
    bad_boxes: Literal["error", "drop", "clip"] = "error",
    crowd: Literal["ignore", "background"] = "ignore",
    unlabelled: Literal["error", "background"] = "error",
    require_objects: bool = True,
) -> CocoSet:
    """Read a part of a set and check it. The same set comes out whatever it is written in.

    Args:
        source: as `look` found it.
        bad_boxes, crowd, require_objects: as in `read_coco`.
        unlabelled: YOLO and VOC: refuse a picture without a label file, or take it for one without objects.

    Raises:
        InputError: names file, place, value and what is allowed.
    """
    if source.format == "coco":
        return read_coco(
            source.annotations, source.images, bad_boxes=bad_boxes, crowd=crowd, require_objects=require_objects
        )
    if not source.images.is_dir():
        raise InputError(f"{source.images}: there is no such folder of pictures.")
    raw = FORMATS[source.format].parse(source)
    if unlabelled == "background":
        raw = _taken_as_background(raw)
    result = assemble(_sized(raw), bad_boxes=bad_boxes, crowd=crowd)
    headers.check_headers(result)
    if require_objects and not (result.used & ~result.crowds).any():
        raise InputError(f"{source.annotations}: no object to train on in {source.part}. Allowed: at least one object.")
    return result


def _taken_as_background(raw: Raw) -> Raw:
    """With pictures without a label file as pictures without objects, and a note of how many there are."""
    flaws = [flaw for flaw in raw.flaws if flaw.code != "picture-without-label"]
    count = len(raw.flaws) - len(flaws)
    notes = (*raw.notes, f"{count} pictures without a label file are background") if count else raw.notes
    return replace(raw, flaws=flaws, notes=notes)


def _sized(raw: Raw) -> Raw:
    """With the headers' sizes where the annotations have none."""
    unknown = [k for k, picture in enumerate(raw.pictures) if picture.size is None]
    if raw.flaws or not unknown:
        return raw
    found = headers.look_up(raw.source.images, [raw.pictures[k].name for k in unknown])
    pictures, flaws = list(raw.pictures), list(raw.flaws)
    for k, header in zip(unknown, found, strict=True):
        if isinstance(header, headers.Header):
            pictures[k] = replace(pictures[k], size=header.displayed)
        else:
            flaws.append(Flaw("picture-unreadable", pictures[k].file, "", header, "a picture"))
    return replace(raw, pictures=pictures, flaws=flaws)


def _nothing(path: Path, format: FormatName | None) -> Found:
    if format in ("yolo", "voc") or path.is_file():
        sought = {
            "yolo": "data.yaml, or classes.txt with labels",
            "voc": "Annotations/, train/*.xml, or *.xml",
            "coco": "JSON",
            None: "COCO JSON or data.yaml",
        }
        raise InputError(f"{path}: nothing to read as {format or 'a set'}; looked for {sought[format]}.")
    try:
        return coco.customary(path)
    except InputError as error:
        if format or not path.is_dir():
            raise
        raise InputError(
            f"{error} Nor is there a data.yaml or classes.txt (YOLO), XML files in Annotations/ or beside pictures "
            "(Pascal VOC), or a train/ of Roboflow's. A COCO JSON or a data.yaml of another name is taken where it is "
            "named instead of the folder."
        ) from None
