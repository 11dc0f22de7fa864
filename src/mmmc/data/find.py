"""The annotation files and picture folders of a set, found by the names that are customary."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from PIL import Image

from mmmc.errors import InputError


@dataclass(frozen=True)
class SetFiles:
    """Where a set lies. Without a val file both of its fields are None."""

    train_annotations: Path
    train_images: Path
    val_annotations: Path | None
    val_images: Path | None


def find_sets(path: Path | str) -> SetFiles:
    """Find `annotations/instances_train*.json`, `annotations/instances_val*.json` and their pictures in a folder.

    The pictures of `instances_train2017.json` are looked for in `train2017/`, `images/train2017/`, `train/`,
    `images/train/`, `images/` and beside `annotations/`, in this order; the first that holds a picture is taken.

    Raises:
        InputError: there is no such folder, no train file, more than one of a kind, or no pictures; says what was
            looked for and what was found.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder. Allowed: a folder with annotations and pictures.")
    train, val = _annotations(folder, "train"), _annotations(folder, "val")
    if train is None:
        raise InputError(
            f"{folder}: looked for annotations/instances_train*.json, found in annotations/: "
            f"{_listing(folder / 'annotations')}."
        )
    return SetFiles(train, _images(folder, train, "train"), val, _images(folder, val, "val") if val else None)


def _annotations(folder: Path, split: str) -> Path | None:
    files = sorted((folder / "annotations").glob(f"instances_{split}*.json"))
    if len(files) > 1:
        raise InputError(
            f"{folder / 'annotations'}: {len(files)} files match instances_{split}*.json: {_names(files)}. "
            "Allowed: one. Name the file and its pictures instead of the folder."
        )
    return files[0] if files else None


def _images(folder: Path, annotations: Path, split: str) -> Path:
    full = annotations.stem.removeprefix("instances_")
    names = dict.fromkeys([full, f"images/{full}", split, f"images/{split}", "images"])
    for name in names:
        if _holds_picture((folder / name).rglob("*")):
            return folder / name
    if _holds_picture(folder.iterdir()):
        return folder
    looked = ", ".join(f"{name}/" for name in names)
    raise InputError(
        f"{folder}: looked for the pictures of {annotations.name} in {looked} and beside annotations/, "
        f"found: {_listing(folder)}."
    )


def _holds_picture(files: Iterable[Path]) -> bool:
    known = Image.registered_extensions()
    return any(file.suffix.lower() in known for file in files)


def _listing(folder: Path) -> str:
    if not folder.is_dir():
        return "no such folder"
    return _names(sorted(islice(folder.iterdir(), 1000))) or "nothing"


def _names(files: list[Path]) -> str:
    names = [file.name + "/" * file.is_dir() for file in files]
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
