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
from mmmc.rgb import image_to_rgb

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
        pictures = list({picture.name: picture for picture in raw.pictures}.values())
        found = headers.look_up(raw.source.images, [picture.name for picture in pictures])
        for picture, header in zip(pictures, found, strict=True):
            faults, copy = look_at(picture.file, header, picture.size if raw.source.format != "yolo" else None)
            for code, value in faults:
                yield Finding(code, raw.source.part, picture.file, "", value, picture.file if copy else None)
            if copy:
                seen[picture.file] = copy
        prints.append(seen)
        yield from _twice(raw, seen)
    for (one, here), (other, there) in combinations(zip(parts, prints, strict=True), 2):
        yield from leaks(one.source.part, here, other.source.part, there)
    yield from _unlisted(parts)


def look_at(
    file: Path, header: headers.Header | str, said: tuple[int, int] | None
) -> tuple[list[tuple[str, str]], Print | None]:
    """Codes and values of a picture's faults, and its print if it could be decoded.

    Args:
        file: the picture.
        header: as `headers.look_up` found it.
        said: height and width that the annotation says, if it says any.
    """
    if not isinstance(header, headers.Header):
        if header == headers.MISSING:
            return [("picture-missing", header)], None
        return [("picture-too-large" if headers.TOO_LARGE in header else "picture-unreadable", header)], None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Pillow warns of is either harmless here or fails below
            data = file.read_bytes()
            with Image.open(io.BytesIO(data)) as image:
                orientation = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
                image.load()
                grey = Image.fromarray(image_to_rgb(image)).convert("L")
    except Exception as error:  # damage makes Pillow raise almost anything
        return [("picture-truncated", str(error))], None
    faults = []
    if said is not None and (fault := headers.mismatch(header, said, "the annotation")):
        faults.append(("picture-size", fault))
    if orientation not in (0, 1):
        faults.append(("picture-turned", f"EXIF orientation {orientation}"))
    small = np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.BOX))
    return faults, Print(hashlib.sha256(data).digest(), difference_hash(grey), small)


def _twice(raw: Raw, prints: dict[Path, Print]) -> Iterator[Finding]:
    first: dict[bytes, Path] = {}
    for file, found in prints.items():
        if found.digest in first:
            yield Finding("duplicate-file", raw.source.part, file, "", f"the bytes of {first[found.digest]}", file)
        else:
            first[found.digest] = file


def leaks(part: str, here: dict[Path, Print], other: str, there: dict[Path, Print]) -> Iterator[Finding]:
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
    broken = {flaw.file for raw in parts for flaw in raw.flaws}
    source = parts[0].source
    for folder in dict.fromkeys(raw.source.images for raw in parts):
        part = next(raw.source.part for raw in parts if raw.source.images == folder)
        for file in pictures_in(folder):
            labels = (source.annotations / file.relative_to(folder)).with_suffix(".xml")
            if file in listed or labels in broken:
                continue
            if source.listing is not None and labels.is_file():
                value = f"{labels} is in no list of {source.listing.parent.name}"
                yield Finding("picture-not-listed", part, file, "", value, file)
            else:
                yield Finding("picture-unlisted", part, file, "", "no annotation names it", file)
