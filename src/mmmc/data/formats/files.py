"""Pictures and texts in the folders of a set."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile

from mmmc.data.formats.protocol import Flaw
from mmmc.data.sets import CocoSet, Fault
from mmmc.errors import InputError


@cache
def picture_suffixes() -> frozenset[str]:
    """Endings of the pictures that Pillow decodes by itself: no PDF, which it only writes, and no video."""
    endings = Image.registered_extensions()

    def decodes(kind: str) -> bool:
        reader = Image.OPEN.get(kind, (None,))[0]
        stub = isinstance(reader, type) and issubclass(reader, ImageFile.StubImageFile)
        return kind == "MPO" or (reader is not None and not stub and kind not in ("EPS", "MPEG"))

    return frozenset(ending for ending, kind in endings.items() if decodes(kind))


def is_picture(file: Path) -> bool:
    """Whether the ending is that of a picture."""
    return file.suffix.lower() in picture_suffixes()


def files_in(folder: Path, suffixes: Collection[str]) -> Iterator[Path]:
    """All files of these endings below a folder, but for those that are hidden or in a hidden folder."""
    for file in folder.rglob("*"):
        hidden = any(part.startswith(".") for part in file.relative_to(folder).parts)
        if file.suffix.lower() in suffixes and not hidden and file.is_file():
            yield file


def pictures_in(folder: Path) -> list[Path]:
    """All pictures below a folder, by name; what is hidden is none."""
    return sorted(files_in(folder, picture_suffixes()))


def read_text(file: Path) -> str | Flaw:
    """A text file, or why it is none."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        value = f"not UTF-8 text (byte {error.object[error.start]:#04x})"
    except OSError as error:
        value = f"cannot be read: {error.strerror}"
    return Flaw("file-unreadable", file, "", value, "a text file")


def rows_of(file: Path, flaws: list[Flaw]) -> Iterator[tuple[int, str]]:
    """Number and text of each line that is not blank; of a file that cannot be read none, and a flaw."""
    text = read_text(file)
    if isinstance(text, Flaw):
        flaws.append(text)
        return
    yield from ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1) if line.strip())


def unlike_stems(pictures: CocoSet, seen: dict[str, str] | None = None) -> None:
    """Refuse pictures whose names differ by their ending alone: both would have the same label file.

    Args:
        pictures: the part to write.
        seen: names of parts that share a folder with it; those of this part are added.

    Raises:
        InputError: names the first two.
    """
    seen = {} if seen is None else seen
    for name in pictures.names:
        stem = str(Path(name).with_suffix("")).lower()
        if stem in seen:
            raise InputError(
                f"{pictures.annotations}: {seen[stem]} and {name} would share a label file. Allowed: names that differ"
                " by more than their ending."
            )
        seen[stem] = name


def copy_pictures(pictures: CocoSet, folder: Path) -> None:
    """Copy each picture below a folder, under its name.

    Raises:
        InputError: a picture cannot be copied, or its name leads out of the folder.
    """
    for index, name in enumerate(pictures.names):
        target = place_of(pictures, name, folder)
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(pictures.file(index), target)
        except OSError as error:
            raise InputError(f"{pictures.file(index)} cannot be copied to {target}: {error.strerror}.") from error


def place_of(pictures: CocoSet, name: str, folder: Path) -> Path:
    """Where a copy of a picture lies below a folder.

    Raises:
        InputError: its name leads out of the folder.
    """
    target = folder / name
    if not target.resolve().is_relative_to(folder.resolve()):
        raise InputError(f"{pictures.annotations}: picture {name!r} lies outside its folder and cannot be copied.")
    return target


def cleaned(pictures: CocoSet) -> CocoSet:
    """The set as it is to be written.

    It has no boxes but those that training may use, what reached out is cut to its picture in `xywh` too, and names of
    pictures do without the folders that all of them share. An area is at most that of its box.

    Raises:
        InputError: some names of pictures start from the root and others do not, so that they share no folder.
    """
    if len({Path(name).is_absolute() for name in pictures.names}) > 1:
        name = next(name for name in pictures.names if Path(name).is_absolute())
        raise InputError(
            f"{pictures.annotations}: picture {name!r} starts from the root and others do not. Allowed: names"
            " below one folder."
        )
    shared = Path(os.path.commonpath([Path(name).parent for name in pictures.names]))
    used = np.flatnonzero(pictures.used)
    xywh = pictures.xywh.copy()
    cut = pictures.faults != Fault.NONE
    size = np.repeat(np.stack([pictures.widths, pictures.heights], axis=1), np.diff(pictures.offsets), axis=0)
    # Cut in float64: what is written is read again to 1e-6 px.
    low = xywh[cut, :2].clip(0, size[cut])
    high = (xywh[cut, :2] + xywh[cut, 2:]).clip(0, size[cut])
    xywh[cut] = np.concatenate([low, high - low], axis=1)
    areas = np.where(cut, np.minimum(pictures.areas, xywh[:, 2] * xywh[:, 3]), pictures.areas)
    owners = np.repeat(np.arange(len(pictures)), np.diff(pictures.offsets))[used]
    columns = {name: getattr(pictures, name)[used] for name in ("annotation_ids", "labels", "crowds", "boxes")}
    return replace(
        pictures,
        images=pictures.images / shared,
        names=tuple(Path(name).relative_to(shared).as_posix() for name in pictures.names),
        offsets=np.append(0, np.bincount(owners, minlength=len(pictures)).cumsum()),
        xywh=xywh[used],
        areas=areas[used],
        faults=np.zeros(len(used), dtype=np.uint8),
        used=np.ones(len(used), dtype=bool),
        **columns,
    )
