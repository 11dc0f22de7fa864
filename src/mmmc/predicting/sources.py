"""What the words of a command line lead to: pictures, videos, cameras."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from glob import glob
from io import BufferedIOBase
from pathlib import Path, PurePosixPath
from typing import Literal, cast
from urllib.parse import unquote, urlsplit

from jaxtyping import UInt8
from torch import Tensor

from mmmc.data.formats.files import files_in, picture_suffixes
from mmmc.data.pictures import decode_picture, read_picture
from mmmc.errors import InputError
from mmmc.predicting.fetch import LIMIT, fetch, is_address, read_limited

VIDEOS = {".avi", ".flv", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".ogv", ".webm", ".wmv"}
"""How names of videos end."""

STDIN = "-"
CAMERA = "camera:"


@dataclass(frozen=True)
class Source:
    """One thing to predict.

    Attributes:
        name: as it was given, or the path that was found; also what messages call it.
        kind: where its pixels come from.
    """

    name: str
    kind: Literal["file", "address", "stdin", "video", "camera"]

    @property
    def moving(self) -> bool:
        """Whether it is many frames rather than one picture."""
        return self.kind in ("video", "camera")

    @property
    def stem(self) -> str:
        """What files about it are called, without an ending."""
        match self.kind:
            case "stdin":
                return "stdin"
            case "camera":
                return f"camera-{self.name.removeprefix(CAMERA)}"
            case "address":
                parts = urlsplit(self.name)
                # A decoded %2F must not lead elsewhere.
                path = PurePosixPath(unquote(parts.path).replace("\\", "/"))
                return path.stem.strip(".") or parts.hostname or "address"
            case _:
                return Path(self.name).stem

    def read(self) -> UInt8[Tensor, "3 height width"]:
        """The picture.

        Raises:
            InputError: it cannot be had or decoded; names it.
        """
        match self.kind:
            case "file":
                return read_picture(self.name)
            case "address":
                return decode_picture(fetch(self.name), self.name)
            case "stdin":
                content = read_limited(cast(BufferedIOBase, sys.stdin.buffer), LIMIT, "standard input")
                if not content:
                    raise InputError("Standard input is empty. Allowed: one encoded picture.")
                return decode_picture(content, "standard input")
        raise ValueError(f"{self.name} is many frames.")


def find_sources(words: Sequence[str], *, but: Path | None = None) -> list[Source]:
    """What is meant by paths, folders, globs, http and https addresses, `-`, `camera:N`; each once, as given.

    Args:
        words: these.
        but: a folder that is not looked into on the way: copies of an earlier call are no pictures of this one.

    Raises:
        InputError: a path leads to nothing, an address or camera is none, or a folder holds no picture and no video.
    """
    found: list[Source] = []
    for word in words:
        if is_address(word):
            _check_address(word)
            found.append(Source(word, "address"))
        elif word == STDIN:
            found.append(Source(word, "stdin"))
        elif word.startswith(CAMERA):
            if not word.removeprefix(CAMERA).isdigit():
                raise InputError(f"{word} is no camera. Allowed: {CAMERA}0, {CAMERA}1 …")
            found.append(Source(word, "camera"))
        else:
            found += [Source(str(path), "video" if is_video(path) else "file") for path in _paths(word, but)]
    return list(dict.fromkeys(found))


def _check_address(word: str) -> None:
    try:
        urlsplit(word)
    except ValueError as error:
        raise InputError(f"{word} is no address: {error}. Allowed: http and https addresses.") from error


def is_video(path: Path) -> bool:
    """Whether a file's name says that it is a video."""
    return path.suffix.lower() in VIDEOS


def _paths(word: str, but: Path | None) -> list[Path]:
    path = Path(word)
    if word and path.is_dir():
        matches = sorted(files_in(path, picture_suffixes() | VIDEOS))
        if but is not None and but.resolve() != path.resolve():
            matches = [file for file in matches if but.resolve() not in file.resolve().parents]
        fault = "is a folder without pictures"
    else:
        matches = [path] if path.is_file() else sorted(filter(Path.is_file, map(Path, glob(word, recursive=True))))
        fault = "leads to nothing" if word else "is an empty word"
    if not matches:
        raise InputError(
            f"{word or repr(word)} {fault}. Allowed: pictures, videos, folders that hold some, globs that match some, "
            "http and https addresses, - for standard input, camera:0."
        )
    return matches


def name_sources(sources: Sequence[Source]) -> dict[Source, str]:
    """What files about each are called, without an ending; of two with one name the later gets a number.

    No number makes the name that another source has by itself.
    """
    names: dict[Source, str] = {}
    taken: set[str] = set()
    own = {source.stem.lower() for source in sources}
    for source in sources:
        name, number = source.stem, 1
        while name.lower() in taken or (number > 1 and name.lower() in own):
            number += 1
            name = f"{source.stem}-{number}"
        taken.add(name.lower())
        names[source] = name
    return names
