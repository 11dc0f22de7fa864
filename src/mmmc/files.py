"""Writing files whole or not at all, and one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmmc.errors import InputError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the file and move into place, so that a full disk or a kill leaves the older file whole.

    Raises:
        InputError: the file cannot be written, for instance because the disk is full.
    """
    try:
        with in_place(path) as temporary:
            write(temporary)
    # PyTorch reports a full disk by a RuntimeError, which says nothing of a disk.
    except (OSError, RuntimeError) as error:
        why = f"{error}." if isinstance(error, OSError) else f"{error} Is the disk full?"
        kept = " The older file is untouched." if path.exists() else ""
        raise InputError(f"{path} could not be written: {why}{kept}") from error


@contextmanager
def in_place(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place at the end of the block, or goes if the block fails."""
    temporary = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # there may not even be a folder
            temporary.unlink()
        raise


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait for other processes that are in such a block for the same folder, and let none in meanwhile.

    Some network file systems cannot lock a folder; there nobody waits.
    """
    handle = None
    with suppress(OSError):  # who writes there next says what is wrong with the folder
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)
