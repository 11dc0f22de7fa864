"""Writing files whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from mmmc.errors import InputError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the file and move into place, so that a full disk or a kill leaves the older file whole.

    Raises:
        InputError: the file cannot be written, for instance because the disk is full.
    """
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(temporary)
        os.replace(temporary, path)
    except BaseException as error:
        with suppress(OSError):  # there may not even be a folder
            temporary.unlink()
        # PyTorch reports a full disk by a RuntimeError, which says nothing of a disk.
        if not isinstance(error, (OSError, RuntimeError)):
            raise
        why = f"{error}." if isinstance(error, OSError) else f"{error} Is the disk full?"
        kept = " The older file is untouched." if path.exists() else ""
        raise InputError(f"{path} could not be written: {why}{kept}") from error
