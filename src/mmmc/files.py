"""Files and folders that are written whole or not at all, one process at a time; JSON lines."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from tempfile import TemporaryDirectory
from typing import Any

from mmmc.errors import InputError


def write_atomically(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside the file and move into place, so that a full disk or a kill leaves the older file whole.

    Args:
        path: the file.
        write: writes to the path that it is given.

    Raises:
        InputError: the file cannot be written, for instance because the disk is full.
    """
    try:
        with in_place(path) as temporary:
            write(temporary)
    # PyTorch reports a full disk by a RuntimeError, which says nothing of a disk.
    except (OSError, RuntimeError) as error:
        why = f"{error}." if isinstance(error, OSError) else f"{error} Is the disk full?"
        kept = " The older file is untouched." if os.path.exists(path) else ""
        raise InputError(f"{path} could not be written: {why}{kept}") from error


def require_writable(path: Path) -> None:
    """Refuse a file that cannot be written, before long work is done for it.

    Raises:
        InputError: a folder is there, or what would hold the file is no folder or one without permission to write.
    """
    # Of a name that is too long `pathlib` does not say that nothing is there, but fails.
    if os.path.isdir(path):
        raise InputError(f"{path} could not be written: it is a folder.")
    nearest = next(folder for folder in path.absolute().parents if os.path.exists(folder))
    if not nearest.is_dir():
        raise InputError(f"{path} could not be written: {nearest} is no folder.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise InputError(f"{path} could not be written: no permission to write into {nearest}.")


UNFINISHED = ".mmmc-*.part"
"""What files are called that are being written, or were when their process was killed."""


@contextmanager
def in_place(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place at the end of the block, or goes if the block fails.

    Writers of the same moment never mix what they write, and the last one counts. A kill leaves a file that nobody
    writes to again, of the name `UNFINISHED`.
    """
    temporary = path.with_name(UNFINISHED.replace("*", token_hex(8)))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):  # there may not even be a folder
            temporary.unlink()
        raise


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A folder beside `folder` to fill, which takes its place at the end of the block, or goes if the block fails.

    Raises:
        InputError: there is something in `folder` already, nothing can take its place, or a file cannot be read or
            written.
    """
    try:
        if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
            raise InputError(f"{folder} exists already. Allowed: a new or an empty folder.")
        given, folder = folder, folder.resolve()  # of a link the folder behind it
        if folder == Path.cwd() or os.path.ismount(folder):
            what = "the current folder" if folder == Path.cwd() else "where a disk begins"
            raise InputError(f"{given} is {what}, which nothing can take the place of. Allowed: a folder in it.")
        folder.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as beside:
            fresh = Path(beside, "whole")  # the temporary folder itself is for its owner alone
            fresh.mkdir()
            yield fresh
            os.replace(fresh, folder)
    except OSError as error:
        raise InputError(f"{folder} could not be made: {error}.") from error


def json_lines(path: Path) -> Iterator[tuple[str, Any]]:
    """Each value of a file that has one a line, after the place to name if it is wrong; blank lines are left out.

    Raises:
        InputError: the file cannot be read, or a line is not JSON; names file and line.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    # Not `splitlines`: a text inside may hold other characters that end a line.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"{path}, line {number}"
            try:
                value = json.loads(line)
            except json.JSONDecodeError as error:
                raise InputError(
                    f"{where}: not JSON ({error.msg} at column {error.colno}); allowed: one object a line."
                ) from error
            yield where, value


def write_text(path: Path, text: str, newline: str | None = None) -> None:
    r"""Write a text file whole or not at all.

    A name of a file that is no UTF-8 holds surrogates; they are written as `\udce4`, which JSON reads back.

    Args:
        path: the file.
        text: its content.
        newline: as `open` has it.

    Raises:
        InputError: it cannot be written.
    """
    options = {"encoding": "utf-8", "errors": "backslashreplace", "newline": newline}
    write_atomically(path, lambda file: file.write_text(text, **options))


def write_json_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> None:
    """Write one object a line, in the place of the older file as a whole.

    Raises:
        InputError: the file cannot be written.
        ValueError: a number is not finite; JSON has no word for it.
    """
    write_text(path, "".join(json.dumps(record, ensure_ascii=False, allow_nan=False) + "\n" for record in records))


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Wait for other processes that are in such a block for the same folder, and let none in meanwhile.

    Some network file systems cannot lock; there nobody waits.
    """
    handle = None
    with suppress(OSError):  # who writes there next says what is wrong with the folder
        folder.mkdir(parents=True, exist_ok=True)
        # Not the folder itself: NFS locks only what is open for writing. The file stays, for others may wait for it.
        handle = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT, 0o666)
        fcntl.flock(handle, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def locked(handle: int) -> bool:
    """Lock an open file unless another process has locked it; whether it did. It stays locked until it is closed.

    Some network file systems cannot lock; there it is said to be.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True
