"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from mmmc.errors import InputError
from mmmc.files import write_atomically


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """Let no file of this process grow beyond `size` bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_takes_the_place_of_the_older_one(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    for text in ("old", "new"):
        write_atomically(path, lambda temporary, text=text: temporary.write_text(text))  # type: ignore[misc]
        assert path.read_text() == text
    assert names(path.parent) == ["a.txt"]


def test_the_older_file_is_there_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write(temporary: Path) -> None:
        temporary.write_text("ne")
        assert path.read_text() == "old"
        temporary.write_text("new")

    write_atomically(path, write)
    assert path.read_text() == "new"


def full_disk(temporary: Path) -> NoReturn:
    temporary.write_text("half of")
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_full_disk(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    message = r"a\.txt could not be written: \[Errno 28\] No space left on device\."
    with pytest.raises(InputError, match=message + "$"):
        write_atomically(path, full_disk)
    assert names(tmp_path) == []
    path.write_text("old")
    with pytest.raises(InputError, match=message + r" The older file is untouched\."):
        write_atomically(path, full_disk)
    assert (names(tmp_path), path.read_text()) == (["a.txt"], "old")


def test_a_file_that_may_not_grow_is_a_full_disk(tmp_path: Path) -> None:
    """By the system itself, and as PyTorch reports it."""
    path = tmp_path / "a"
    path.write_text("old")
    with room_for(20_000):
        with pytest.raises(InputError, match=r"a could not be written: .*File too large"):
            write_atomically(path, lambda temporary: temporary.write_bytes(bytes(100_000)))
        with pytest.raises(InputError, match=r"a could not be written: .* Is the disk full\? The older file is"):
            write_atomically(path, lambda temporary: torch.save(torch.zeros(100_000), temporary))
    assert (names(tmp_path), path.read_text()) == (["a"], "old")


@pytest.mark.parametrize("error", [KeyboardInterrupt, TypeError])
def test_other_errors_stay_what_they_are_and_leave_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def write(temporary: Path) -> NoReturn:
        temporary.write_text("half of")
        raise error

    with pytest.raises(error):
        write_atomically(tmp_path / "a", write)
    assert names(tmp_path) == []


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/a could not be written"):
        write_atomically(tmp_path / "file" / "a", lambda temporary: temporary.touch())
