"""Bad input ends with status 2 and a message: file, field, value, what is allowed. Nothing stays behind."""

from __future__ import annotations

import errno
import os
import re
import shutil
from pathlib import Path
from typing import Any

import bad_lines
import bad_sets
import pytest
import torch
from bad_inputs import PICTURE, Case
from tiny_run import TINY

from mmmc import checkpoint
from mmmc.cli import main

CASES = bad_sets.CASES | bad_lines.CASES


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_bad_input_is_refused(
    case: Case, tiny_set: Path, tiny_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(tiny_set, tmp_path / "data")
    case.spoil(tmp_path)
    case.also(tmp_path)
    places = {"at": tmp_path, "data": tmp_path / "data", "run": tiny_run}
    verb, *arguments = case.line.format(**places).split(" ")
    if verb == "train" and "--resume" not in arguments:
        arguments = ["--out", str(tmp_path / "out"), *TINY, *arguments]
    if verb in ("predict", "show"):
        arguments = ["--out", str(tmp_path / "out"), *arguments]
    before = content(tmp_path)
    capsys.readouterr()

    assert main([verb, *arguments]) == 2

    message = capsys.readouterr().err
    assert message.startswith("mmmc: ")
    parts = case.says.format(**places).split(" … ")
    assert re.search(".*".join(map(re.escape, parts)), message, re.DOTALL), message
    assert content(tmp_path) == before


def content(folder: Path) -> dict[Path, bytes | None]:
    """All that a folder holds."""
    return {path: path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_a_truncated_picture_is_named_when_it_is_first_decoded(
    tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, out = shutil.copytree(tiny_set, tmp_path / "data"), tmp_path / "out"
    picture = tmp_path / PICTURE
    whole = picture.read_bytes()
    picture.write_bytes(whole[: len(whole) // 2])
    assert main(["train", str(data), "--out", str(out), *TINY]) == 2
    assert f"mmmc: {picture}: cannot be decoded, it may be truncated" in capsys.readouterr().err

    # The run is whole, and goes on once the picture is.
    picture.write_bytes(whole)
    assert main(["train", "--resume", str(out), "--accelerator", "cpu", "--quiet", "true"]) == 0


def test_a_full_disk_leaves_the_older_checkpoint_whole(
    tiny_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    save, saved = torch.save, []

    def full_at_the_third(value: Any, path: Path) -> None:
        save(value, path)
        saved.append(path)
        if len(saved) == 3:
            path.write_bytes(path.read_bytes()[:1000])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(torch, "save", full_at_the_third)
    out = tmp_path / "out"
    assert main(["train", str(tiny_set), "--out", str(out), *TINY, "--train.epochs", "2"]) == 2
    message = capsys.readouterr().err
    assert f"{out}/checkpoint.pt could not be written" in message
    assert "No space left on device" in message
    assert checkpoint.load_checkpoint(out / "checkpoint.pt")["progress"]["epoch"] == 1
    assert not list(out.rglob("*.part"))
