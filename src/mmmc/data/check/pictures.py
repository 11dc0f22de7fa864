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
from jaxtyping import Float64, UInt8
from PIL import ExifTags, Image

from mmmc.data import headers
from mmmc.data.check.findings import Finding
from mmmc.data.check.kinds import COPY_ALIKE, COPY_BITS, SCENE_ALIKE, SCENE_BITS
from mmmc.data.formats import Raw
from mmmc.data.formats.files import pictures_in
from mmmc.rgb import image_to_rgb

_SIDE = 32


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
    """Pictures of `there` that `here` has too, as a copy or of the same scene: each is told once, with its nearest."""
    files, prints = list(here), list(here.values())
    bits = np.array([found.bits for found in prints], dtype=np.uint64)
    for file, copy in there.items():
        apart = np.bitwise_count(bits ^ np.uint64(copy.bits))
        (near,) = np.nonzero(apart <= SCENE_BITS)
        if not near.size:
            continue
        alike = _correlations(copy.grey, np.stack([prints[k].grey for k in near]))
        same = [k for k in near if prints[k].digest == copy.digest]
        if same:
            yield Finding("leak-file", other, file, "", f"the bytes of {files[same[0]]}, which is in {part}", file)
            continue
        copied = (apart[near] <= COPY_BITS) & (alike >= COPY_ALIKE)
        if copied.any():
            alike = np.where(copied, alike, 0)
        scenes = int((alike >= SCENE_ALIKE).sum())
        if scenes:
            best = int(alike.argmax())
            more = f" (and {scenes - 1} more)" if scenes > 1 else ""
            value = (
                f"like {files[near[best]]}, which is in {part}: {apart[near[best]]} of 64 bits differ, "
                f"correlation {alike[best]:.3f}{more}"
            )
            yield Finding("leak-similar" if copied.any() else "leak-scene", other, file, "", value, file)


def _correlations(one: UInt8[np.ndarray, "32 32"], others: UInt8[np.ndarray, "n 32 32"]) -> Float64[np.ndarray, " n"]:
    """Pearson's, with each; 0 where a picture is of one grey."""
    left, right = one.astype(np.float64).ravel(), others.astype(np.float64).reshape(len(others), -1)
    left, right = left - left.mean(), right - right.mean(1, keepdims=True)
    norms = np.sqrt((left**2).sum() * (right**2).sum(1))
    return np.divide(right @ left, norms, out=np.zeros_like(norms), where=norms > 0)


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
