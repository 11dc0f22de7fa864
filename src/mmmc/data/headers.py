"""Whether the pictures of a set are there and of the size that the annotations were made for.

Only headers are read, once: what they say is remembered under `$MMMC_CACHE` (by default `~/.cache/mmmc`) for as
long as a file keeps its size and time of change.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import astuple, dataclass
from pathlib import Path
from stat import S_ISDIR
from typing import Protocol, runtime_checkable

from PIL import ExifTags, Image, UnidentifiedImageError
from rich.console import Console
from rich.progress import track

from mmmc.errors import InputError

MISSING = "the file is missing"
TOO_LARGE = "which Pillow takes for a decompression bomb"
"""Part of what is said of a picture above the limit of pixels."""
"""Why `look_up` has no header, if there is no file."""

_SHOWN = 5
_THREADS = 8  # reading headers waits for the disk more than it computes
_QUICK = 2_000
"""So many headers are read in about a second: not worth a progress bar."""


@runtime_checkable
class Pictures(Protocol):
    """A list of picture files and the sizes they are said to have, such as a `CocoSet`."""

    @property
    def annotations(self) -> Path:
        """The file that says so."""

    @property
    def images(self) -> Path:
        """The folder that the names start from."""

    @property
    def names(self) -> tuple[str, ...]:
        """File names."""

    def size(self, i: int) -> tuple[int, int]:
        """Height and width of picture `i`."""


@dataclass(frozen=True)
class Header:
    """Size as stored, before EXIF orientation, which is `turned` when it swaps width and height."""

    width: int
    height: int
    turned: bool

    @property
    def displayed(self) -> tuple[int, int]:
        """Height and width as displayed."""
        return (self.width, self.height) if self.turned else (self.height, self.width)


@dataclass(frozen=True)
class _Stamp:
    """What tells whether a file has changed."""

    mtime_ns: int
    bytes: int


def check_headers(pictures: Pictures) -> None:
    """Check that every picture exists, is a picture, and has the size that the annotation file says.

    That is the size of the picture as displayed, after EXIF orientation, because boxes are drawn on what is displayed.

    Raises:
        InputError: names the first few files with what is wrong, and says how many there are.
    """
    wrong = []
    said = "the JSON" if pictures.annotations.suffix.lower() == ".json" else "the annotation"
    for i, (name, header) in enumerate(zip(pictures.names, look_up(pictures.images, pictures.names), strict=True)):
        fault = mismatch(header, pictures.size(i), said) if isinstance(header, Header) else header
        if fault:
            wrong.append(f"  {pictures.images / name}: {fault}")
    if wrong:
        more = [f"  … {len(wrong)} in all"] if len(wrong) > _SHOWN else []
        allowed = f"Allowed: a picture file of the width and height in {said}."
        raise InputError("\n".join([f"{pictures.annotations}: wrong pictures. {allowed}", *wrong[:_SHOWN], *more]))


def look_up(folder: Path, names: Sequence[str]) -> list[Header | str]:
    """The headers of pictures in a folder, each read once and remembered, or why there is none."""
    cache = _Cache(folder)
    stamps = {name: _stamp(folder / name) for name in names}
    known = {name: cache.get(name, stamp) for name, stamp in stamps.items() if isinstance(stamp, _Stamp)}
    # A header may have been remembered where pictures of any size were read.
    unread = [name for name, header in known.items() if header is None or _too_large(header.width, header.height)]
    read = dict(zip(unread, _read_all([folder / name for name in unread]), strict=True))
    cache.add({name: (stamps[name], header) for name, header in read.items() if isinstance(header, Header)})  # type: ignore[misc]
    found = stamps | known | read
    return [found[name] for name in names]  # type: ignore[misc]


def _stamp(file: Path) -> _Stamp | str:
    """The file's stamp, or why it is no file."""
    try:
        status = file.stat()
    except FileNotFoundError:
        return MISSING
    except OSError as error:
        return f"the file cannot be read: {error.strerror}"
    except ValueError as error:  # a name with a zero byte
        return f"the file cannot be read: {error}"
    return "a folder, not a file" if S_ISDIR(status.st_mode) else _Stamp(status.st_mtime_ns, status.st_size)


def _read_all(files: Sequence[Path]) -> list[Header | str]:
    console = Console(stderr=True)
    silent = len(files) <= _QUICK or not sys.stderr.isatty()
    with ThreadPoolExecutor(_THREADS) as pool, warnings.catch_warnings():
        # What Pillow warns of is either harmless here (corrupt EXIF) or named by _read (a bomb).
        warnings.simplefilter("ignore")
        headers = pool.map(_read, files)
        return list(track(headers, "Reading picture headers", len(files), console=console, disable=silent))


def _read(file: Path) -> Header | str:
    """The file's header, or why it has none."""
    limit = Image.MAX_IMAGE_PIXELS
    too_large = f"more than {limit} pixels, {TOO_LARGE}. Cut the picture into tiles"
    try:
        with Image.open(file) as image:
            width, height = image.size
            if _too_large(width, height):
                return f"{width} × {height} are {too_large}"
            # The method of the base class: a PNG's own decodes the whole picture to look for EXIF behind the pixels.
            orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
            # A TIFF's size is already that of the picture as displayed.
            turned = orientation in (5, 6, 7, 8) and image.format != "TIFF"
    except Image.DecompressionBombError:
        return too_large
    except UnidentifiedImageError:
        return "not a picture that Pillow can read, or its header is cut short"
    except Exception as error:  # Damage makes Pillow raise almost anything: OSError, SyntaxError, struct.error …
        return f"its header cannot be read, it may be cut short or damaged: {error}"
    return Header(width, height, turned)


def _too_large(width: int, height: int) -> bool:
    return Image.MAX_IMAGE_PIXELS is not None and width * height > Image.MAX_IMAGE_PIXELS


def mismatch(header: Header, size: tuple[int, int], said: str = "the JSON") -> str:
    """What is wrong with the height and width that `said` says; empty when nothing is."""
    stored, displayed = (header.height, header.width), header.displayed
    if size == displayed:
        return ""
    fault = (
        f"{said} says width {size[1]}, height {size[0]}; the picture has width {displayed[1]}, height {displayed[0]}"
    )
    if size == stored:
        fault += (
            " once it is turned as its EXIF orientation asks. Boxes must refer to the picture as displayed:"
            f" correct sizes and boxes in {said}, or, if they were drawn on the picture as stored,"
            " remove the orientation from the file"
        )
    return fault


def _cache_folder() -> Path:
    if chosen := os.environ.get("MMMC_CACHE"):
        return Path(chosen)
    try:
        return Path.home() / ".cache" / "mmmc"
    except RuntimeError:  # a container's user without a home
        return Path(tempfile.gettempdir()) / "mmmc"


class _Cache:
    """Headers of one folder, remembered in one JSON file. Without a place to write, every run reads them again."""

    def __init__(self, folder: Path) -> None:
        name = hashlib.sha256(os.fsencode(folder.resolve())).hexdigest()[:32]
        self._file = _cache_folder() / "headers" / f"{name}.json"
        self._entries: dict[str, list[int]] = {}
        with suppress(OSError, ValueError):
            entries = json.loads(self._file.read_bytes())
            self._entries = entries if isinstance(entries, dict) else {}

    def get(self, name: str, stamp: _Stamp) -> Header | None:
        match self._entries.get(name):
            case [int(mtime_ns), int(size), int(width), int(height), int(turned)] if stamp == _Stamp(mtime_ns, size):
                return Header(width, height, bool(turned))
        return None

    def add(self, headers: dict[str, tuple[_Stamp, Header]]) -> None:
        """Remember these too; the file is replaced as a whole, so a reader never meets half of it."""
        if not headers:
            return
        self._entries |= {
            name: [*astuple(stamp), *map(int, astuple(header))] for name, (stamp, header) in headers.items()
        }
        with suppress(OSError):
            self._file.parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile("w", dir=self._file.parent, suffix=".tmp", delete=False) as file:
                try:
                    json.dump(self._entries, file)
                    file.close()
                    os.replace(file.name, self._file)
                except BaseException:
                    os.unlink(file.name)
                    raise
