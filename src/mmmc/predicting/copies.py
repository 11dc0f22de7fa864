"""Annotated copies: told from files of the user's own, so that none of these is overwritten."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from PIL import Image

from mmmc.errors import InputError
from mmmc.predicting.sources import Source
from mmmc.predicting.video import comment_of

MARK = "annotated by mmmc"
"""The comment that every copy carries."""


def check_copies(copies: Mapping[Source, Path]) -> None:
    """Refuse copies that would take the place of anything but copies of an earlier call.

    Args:
        copies: of each source its picture, its video, or its folder of frames.

    Raises:
        InputError: a copy would overwrite a file that was given, or another one that carries no mark.
    """
    given = {Path(source.name).resolve() for source in copies if source.kind in ("file", "video")}
    for source, copy in copies.items():
        for old in sorted(copy.glob("[0-9]*.jpg")) if copy.is_dir() else [copy] if copy.exists() else []:
            if old.resolve() in given or not _is_copy(old):
                raise InputError(
                    f"The annotated copy of {source.name} would overwrite {old}, which is no copy of an "
                    "earlier call. Name another --out."
                )


def _is_copy(path: Path) -> bool:
    if path.suffix == ".mp4":
        return comment_of(path) == MARK
    try:
        with Image.open(path) as picture:
            comment = picture.info.get("comment", b"")
    except (OSError, ValueError, Image.DecompressionBombError):
        return False
    return comment == MARK.encode()
