"""Files and folders are written whole or not at all; JSON lines."""

from __future__ import annotations

import errno
import fcntl
import json
import math
import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

import pytest
import torch

from mmmc.errors import InputError
from mmmc.files import (
    alone,
    json_lines,
    new_folder,
    require_writable,
    write_atomically,
    write_json_lines,
    write_text,
)


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


def test_what_cannot_be_written_is_refused_beforehand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    for fine in ("new", "file", "some/new/folder/new"):
        require_writable(tmp_path / fine)
    assert names(tmp_path) == ["file"], "nothing is made"
    for wrong, message in ((".", "it is a folder"), ("file/below/it", "file is no folder")):
        with pytest.raises(InputError, match=f"could not be written: .*{message}"):
            require_writable(tmp_path / wrong)
    # Root may write anywhere, so the system is not asked here.
    monkeypatch.setattr(os, "access", lambda *_: False)
    with pytest.raises(InputError, match=f"no permission to write into {tmp_path}"):
        require_writable(tmp_path / "new/one")


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


def test_writers_of_one_text_do_not_mix(tmp_path: Path) -> None:
    """One that begins and ends while another writes, as another process does."""
    path = tmp_path / "a.txt"

    def write(temporary: Path) -> None:
        temporary.write_text("fir")
        write_text(path, "second")
        assert (path.read_text(), temporary.read_text()) == ("second", "fir")
        temporary.write_text("first")

    write_atomically(path, write)
    assert (names(tmp_path), path.read_text()) == (["a.txt"], "first")


def test_a_name_that_is_no_utf8_reads_back(tmp_path: Path) -> None:
    name = os.fsdecode(b"B\xe4r.jpg")
    write_json_lines(tmp_path / "a.jsonl", [{"file": name}])
    assert [record["file"] for _, record in json_lines(tmp_path / "a.jsonl")] == [name]


def test_a_name_that_is_too_long(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 300)
    require_writable(path)
    with pytest.raises(InputError, match=r"could not be written: .*too long"):
        write_text(path, "")
    assert names(tmp_path) == []
    write_text(tmp_path / ("a" * 250), "")  # what is written beside a file is not called after it


def test_whoever_is_alone_holds_a_file_open_for_writing(tmp_path: Path) -> None:
    """Which is all that NFS locks."""
    with alone(tmp_path), (tmp_path / ".lock").open("r+") as other, pytest.raises(BlockingIOError):
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with (tmp_path / ".lock").open("r+") as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


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


def fill(folder: Path, failure: BaseException | None = None) -> None:
    with new_folder(folder) as fresh:
        (fresh / "a.txt").write_text("new")
        assert not folder.exists() or names(folder) == []
        if failure is not None:
            raise failure


def test_a_folder_appears_when_it_is_whole(tmp_path: Path) -> None:
    fill(tmp_path / "deep" / "new")
    (tmp_path / "empty").mkdir()
    fill(tmp_path / "empty")
    assert names(tmp_path) == ["deep", "empty"]
    for folder in (tmp_path / "deep" / "new", tmp_path / "empty"):
        assert names(folder) == ["a.txt"]
        # Others may read it as they may read any folder that is made here.
        assert folder.stat().st_mode == (tmp_path / "deep").stat().st_mode
    assert names(tmp_path / "deep") == ["new"]


def test_a_folder_that_holds_something_is_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("old")
    for taken in (tmp_path / "full", tmp_path / "full" / "mine.txt"):
        with pytest.raises(InputError, match=rf"{taken.name} exists already\. Allowed: a new or an empty folder\."):
            fill(taken)
    assert [names(tmp_path), names(tmp_path / "full")] == [["full"], ["mine.txt"]]
    assert (tmp_path / "full" / "mine.txt").read_text() == "old"
    with pytest.raises(InputError, match=r"mine\.txt/in could not be made"):
        fill(tmp_path / "full" / "mine.txt" / "in")


def test_nothing_stays_of_a_folder_that_fails(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for error in (KeyboardInterrupt(), TypeError()):
        with pytest.raises(type(error)):
            fill(tmp_path / "empty", error)
    with pytest.raises(InputError, match=r"new could not be made: .*No space left"):
        fill(tmp_path / "new", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert [names(tmp_path), names(tmp_path / "empty")] == [["empty"], []]


def test_a_folder_that_others_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a link the folder behind it is filled; the current folder and a disk of its own cannot be replaced."""
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    fill(tmp_path / "link")
    assert (names(tmp_path), names(tmp_path / "there")) == (["link", "there"], ["a.txt"])
    assert (tmp_path / "link").is_symlink()
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(InputError, match=r"^\. is the current folder, .* Allowed: a folder in it\."):
        fill(Path("."))
    monkeypatch.setattr(os.path, "ismount", lambda _: True)
    with pytest.raises(InputError, match=r"/disk is where a disk begins"):
        fill(tmp_path / "disk")
    assert names(tmp_path) == ["here", "link", "there"]


def test_json_lines_come_back_with_their_places(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    # A separator of lines to Python, not to JSON.
    records = [{"a": "one\u2028line", "b": None}, {"a": [1.5, "\n"]}]
    write_json_lines(path, records)
    path.write_text(path.read_text("utf-8").replace("\n", "\n \n"), "utf-8")
    assert list(json_lines(path)) == [(f"{path}, line 1", records[0]), (f"{path}, line 3", records[1])]


def test_json_lines_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    for content, message in (
        (b'{}\n{"a" 1}', r"a\.jsonl, line 2: not JSON \(Expecting ':' delimiter at column 6\); allowed: one object a"),
        (b'{}\n"\xff"', r"a\.jsonl cannot be read: .*invalid start byte"),
    ):
        path.write_bytes(content)
        with pytest.raises(InputError, match=message):
            list(json_lines(path))
    with pytest.raises(InputError, match=r"none\.jsonl cannot be read: .*No such file"):
        list(json_lines(tmp_path / "none.jsonl"))


def test_numbers_that_json_has_no_word_for_leave_the_file(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    write_json_lines(path, [{"a": 1}])
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_lines(path, [{"a": 1}, {"a": math.nan}])
    assert json.loads(path.read_text()) == {"a": 1}
