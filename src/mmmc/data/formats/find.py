"""The annotation files and picture folders of a COCO set, found by the names that are customary."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

from mmmc.data.formats.files import files_in, is_picture, picture_suffixes
from mmmc.data.formats.protocol import FOLDERS
from mmmc.errors import InputError

_FILES = {
    "train": ("instances_train*.json", "train.json", "instances_[dD]efault.json"),  # the last is CVAT's
    "val": ("instances_val*.json", "val.json", "valid.json"),
    "test": ("instances_test*.json", "test.json"),
}
_FILE_NAME = re.compile(rb'"file_name"\s*:\s*("(?:[^"\\]|\\.)*")')
_START = 2**20
"""The first picture's name stands within so many bytes of a file as tools write it."""


def find_annotations(folder: Path, part: str) -> Path | None:
    """The COCO file of a part in `annotations/`: `instances_train*.json` (val, test), or else `train.json`.

    The only file of a set that CVAT wrote, `instances_default.json`, is to train on.

    Raises:
        InputError: more than one file may be meant.
    """
    for pattern in _FILES[part]:
        files = sorted((folder / "annotations").glob(pattern))
        if len(files) > 1:
            raise InputError(
                f"{folder / 'annotations'}: {len(files)} files match {pattern}: {_names(files)}. "
                "Allowed: one. Name the file and its pictures instead of the folder."
            )
        if files:
            return files[0]
    return None


def find_images(folder: Path, annotations: Path, part: str) -> Path:
    """The folder of a COCO file's pictures.

    Those of `instances_train2017.json` may lie in `train2017/`, `images/train2017/`, `train/`, `images/train/`,
    `images/` or beside `annotations/`: in the first of these, in this order, that holds the picture that the file names
    first, or else in the first that holds a picture.

    Raises:
        InputError: there are no pictures; says where they were looked for and what was found.
    """
    full = annotations.stem.removeprefix("instances_")
    names = dict.fromkeys(place for name in (full, *FOLDERS[part]) for place in (name, f"images/{name}"))
    places = [*(folder / name for name in names), folder / "images", folder]
    found = holding(annotations, places)
    if found is not None:
        return found
    for place in places[:-1]:
        if next(files_in(place, picture_suffixes()), None) is not None:
            return place
    if any(map(is_picture, folder.iterdir())):
        return folder
    looked = ", ".join(f"{name}/" for name in (*names, "images"))
    raise InputError(
        f"{folder}: looked for the pictures of {annotations.name} in {looked} and beside annotations/, "
        f"found: {listing(folder)}."
    )


def holding(annotations: Path, places: Sequence[Path]) -> Path | None:
    """The first of the folders that holds the picture that a COCO file names first, if one does."""
    name = _first_picture(annotations)
    # What is no name of a file, such as one of thousands of letters, is said where the file is read.
    with suppress(OSError, ValueError):
        return next((place for place in places if name and (place / name).is_file()), None)
    return None


def listing(folder: Path) -> str:
    """What a folder holds, for a sentence."""
    if not folder.is_dir():
        return "no such folder"
    return _names(sorted(islice(folder.iterdir(), 1000))) or "nothing"


def _first_picture(annotations: Path) -> str | None:
    with suppress(OSError, ValueError), annotations.open("rb") as stream:
        found = _FILE_NAME.search(stream.read(_START))
        name = None if found is None else str(json.loads(found[1]))
        return None if name is None or Path(name).is_absolute() else name  # which is in every folder
    return None


def _names(files: list[Path]) -> str:
    names = [file.name + "/" * file.is_dir() for file in files]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
