"""Faults of picture files, and pictures that are there twice."""

from __future__ import annotations

import hashlib
import io
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from jaxtyping import UInt8, UInt64
from PIL import ExifTags, Image

from mmmc.data import headers
from mmmc.data.check.findings import Finding
from mmmc.data.check.kinds import ALIKE, NEAR
from mmmc.data.formats import Raw
from mmmc.data.formats.files import pictures_in

_SIDE = 32
_ROWS = 256


@dataclass(frozen=True)
class Print:
    """What tells pictures apart: digest of the file, difference hash, a small grey copy."""

    digest: bytes
    bits: int
    grey: UInt8[np.ndarray, "32 32"]


def difference_hash(image: Image.Image) -> int:
    """64 bits: in each of 8 rows of 9 grey values, whether a value is less than the one to its right."""
    grey = np.asarray(image.convert("L").resize((9, 8), Image.Resampling.BOX))
    return int.from_bytes(np.packbits(grey[:, :-1] < grey[:, 1:]).tobytes(), "big")


def picture_findings(parts: Sequence[Raw]) -> Iterator[Finding]:
    """What is wrong with the pictures of each part; every file is decoded."""
    prints: list[dict[Path, Print]] = []
    for raw in parts:
        seen: dict[Path, Print] = {}
        names: set[str] = set()
        for picture in raw.pictures:
            if picture.name in names:
                yield Finding("picture-twice", raw.source.part, raw.source.annotations, picture.place, picture.name)
                continue
            names.add(picture.name)
            found = look_at(picture.file, picture.size if raw.source.format != "yolo" else None)
            if isinstance(found, Print):
                seen[picture.file] = found
                continue
            for code, value in found[0]:
                yield Finding(code, raw.source.part, picture.file, "", value, picture.file if found[1] else None)
            if found[1]:
                seen[picture.file] = found[1]
        prints.append(seen)
        yield from _twice(raw, seen)
    for (one, here), (other, there) in combinations(zip(parts, prints, strict=True), 2):
        yield from _leaks(one.source.part, here, other.source.part, there)
    yield from _unlisted(parts)


def look_at(file: Path, said: tuple[int, int] | None) -> Print | tuple[list[tuple[str, str]], Print | None]:
    """A picture's print; or codes and values of its faults, with the print if it could be decoded."""
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return [("picture-missing", "the file is missing")], None
    except OSError as error:
        return [("picture-unreadable", f"cannot be read: {error.strerror}")], None
    faults: list[tuple[str, str]] = []
    image = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what Pillow warns of is either harmless here or fails below
        try:
            with Image.open(io.BytesIO(data)) as image:
                orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
                turned = orientation in (5, 6, 7, 8) and image.format != "TIFF"
                header = headers.Header(image.width, image.height, turned)
                image.load()
                grey = image.convert("L")
        except Exception as error:  # damage makes Pillow raise almost anything
            code = "picture-unreadable" if image is None else "picture-truncated"
            return [(code, "not a picture that Pillow can read" if image is None else str(error))], None
    if said is not None and (fault := headers.mismatch(header, said, "the annotation")):
        faults.append(("picture-size", fault))
    if orientation not in (0, 1):
        faults.append(("picture-turned", f"EXIF orientation {orientation}"))
    small = np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.BOX))
    found = Print(hashlib.sha256(data).digest(), difference_hash(grey), small)
    return (faults, found) if faults else found


def _twice(raw: Raw, prints: dict[Path, Print]) -> Iterator[Finding]:
    first: dict[bytes, Path] = {}
    for file, found in prints.items():
        if found.digest in first:
            yield Finding("duplicate-file", raw.source.part, file, "", f"the bytes of {first[found.digest]}", file)
        else:
            first[found.digest] = file


def _leaks(part: str, here: dict[Path, Print], other: str, there: dict[Path, Print]) -> Iterator[Finding]:
    if not here or not there:
        return
    files, theirs = list(here), list(there)
    bits = _bits(here)
    for start in range(0, len(theirs), _ROWS):
        block = theirs[start : start + _ROWS]
        near = np.bitwise_count(_bits({file: there[file] for file in block})[:, None] ^ bits[None]) <= NEAR
        for row, column in np.argwhere(near).tolist():
            file, like = block[row], files[column]
            one, two = there[file], here[like]
            if one.digest == two.digest:
                yield Finding("leak-file", other, file, "", f"the bytes of {like}, which is in {part}", file)
            elif (alike := _correlation(one.grey, two.grey)) >= ALIKE:
                bit = (one.bits ^ two.bits).bit_count()
                value = f"like {like}, which is in {part}: {bit} of 64 bits differ, correlation {alike:.3f}"
                yield Finding("leak-similar", other, file, "", value, file)


def _correlation(one: UInt8[np.ndarray, "32 32"], other: UInt8[np.ndarray, "32 32"]) -> float:
    """Pearson's; 0 where a picture is of one grey."""
    left, right = (grey.astype(np.float64) - grey.mean() for grey in (one, other))
    norm = float(np.sqrt((left**2).sum() * (right**2).sum()))
    return float((left * right).sum()) / norm if norm else 0.0


def _bits(prints: dict[Path, Print]) -> UInt64[np.ndarray, " n"]:
    return np.array([found.bits for found in prints.values()], dtype=np.uint64)


def _unlisted(parts: Sequence[Raw]) -> Iterator[Finding]:
    """Pictures in the folders of the set that no part names."""
    if parts[0].source.format == "yolo" or any(flaw.code == "json-broken" for raw in parts for flaw in raw.flaws):
        return
    listed = {picture.file for raw in parts for picture in raw.pictures}
    for folder in dict.fromkeys(raw.source.images for raw in parts):
        part = next(raw.source.part for raw in parts if raw.source.images == folder)
        for file in pictures_in(folder):
            if file not in listed:
                yield Finding("picture-unlisted", part, file, "", "no annotation names it", file)
