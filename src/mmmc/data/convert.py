"""A set in another format, or its training pictures in two parts: written whole, or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from mmmc.data.changes import changes, list_repairs
from mmmc.data.coco import check_agreement
from mmmc.data.formats import FORMATS, FormatName, Found, look, read
from mmmc.data.formats.files import cleaned
from mmmc.data.sets import CocoSet
from mmmc.files import new_folder


def convert(
    path: Path | str,
    out: Path | str,
    *,
    to: FormatName,
    format: FormatName | None = None,
    bad_boxes: Literal["error", "drop", "clip"] = "error",
    unlabelled: Literal["error", "background"] = "error",
) -> tuple[Found, list[str]]:
    """Write a set again in another format, pictures included.

    Names of classes and of pictures stay. COCO and YOLO hold boxes to less than 1e-6 px; VOC rounds them to pixels.

    Args:
        path: as `look` takes it.
        out: a new or an empty folder.
        to: what is written.
        format: what is read, instead of looking.
        bad_boxes, unlabelled: as in `read`. What is written is what training would see.

    Returns:
        What was read, and a sentence about each thing that is not as it was.

    Raises:
        InputError: the set cannot be read, has something that the format cannot hold, or `out` holds something.
    """
    found = look(path, format)
    sets = {
        source.part: read(source, bad_boxes=bad_boxes, unlabelled=unlabelled, require_objects=False)
        for source in found.parts
    }
    train = sets["train"]
    sets = {part: pictures if part == "train" else check_agreement(train, pictures) for part, pictures in sets.items()}
    notes = [f"{part}: {note}" for part, pictures in sets.items() for note in changes(pictures)]
    return found, [*notes, *write_set(sets, Path(out), to)]


def write_set(sets: Mapping[str, CocoSet], out: Path, to: FormatName) -> list[str]:
    """Write parts of a set into a new folder, with the list of repairs; nothing stays behind when that fails.

    Returns:
        A sentence about each thing that the format cannot hold.

    Raises:
        InputError: `out` holds something, or something cannot be written.
    """
    with new_folder(out) as fresh:
        lost: list[str] = FORMATS[to].write({part: cleaned(pictures) for part, pictures in sets.items()}, fresh)
        list_repairs(sets.values(), fresh)
    return lost
