from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmmc.cli import main
from mmmc.data.formats import look, read
from mmmc.data.split import deal, split
from mmmc.errors import InputError


def test_every_class_is_dealt_in_proportion() -> None:
    # 100 pictures; classes in 100, 50, 10 and 5 of them: a fifth of each is held out, the rarest first.
    holds = np.zeros((100, 4), dtype=bool)
    for label, step in enumerate((1, 2, 10, 20)):
        holds[::step, label] = True
    held = deal(holds, [[i] for i in range(100)], 0.2, seed=0)
    assert holds[held].sum(axis=0).tolist() == [20, 10, 2, 1]


def test_chance_is_worse() -> None:
    random = np.random.default_rng(0)
    holds = random.random((200, 8)) < np.geomspace(0.02, 0.5, 8)
    groups = [[i] for i in range(200)]

    def off(held: np.ndarray) -> float:
        return float(np.abs(holds[held].sum(axis=0) / holds.sum(axis=0).clip(min=1) - 0.25).mean())

    by_chance = np.mean([off(random.permutation(200) < 50) for _ in range(50)])
    assert off(deal(holds, groups, 0.25, seed=1)) < by_chance / 3


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 30), st.integers(0, 4), st.floats(0.01, 0.99), st.integers(0, 5))
def test_both_parts_get_something_and_every_group_is_whole(count: int, classes: int, share: float, seed: int) -> None:
    holds = np.random.default_rng(seed).random((2 * count, classes)) < 0.3
    groups = [[2 * i, 2 * i + 1] for i in range(count)]
    held = deal(holds, groups, share, seed)
    assert held.shape == (count,)
    assert 0 < held.sum() < count
    assert (held == deal(holds, groups, share, seed)).all()


def test_groups_stay_together(tiny_set: Path) -> None:
    pictures = read(look(tiny_set).parts[0])
    train, val = split(pictures, 0.3, group_by=r"_0000(\d)|_000(\d)")
    assert sorted([*train, *val]) == list(range(12))
    train, val = split(pictures, 0.3, group_by=r"(\d)\.png")
    ends = [{pictures.names[i][-5] for i in part} for part in (train, val)]
    assert not ends[0] & ends[1]


def test_the_command_writes_a_set_to_train_on(
    tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    here = shutil.copytree(tiny_set, tmp_path / "cells.v1")
    monkeypatch.chdir(here)
    assert main(["data", "split", "."]) == 0
    assert f"Set: {here}-split" in capsys.readouterr().out.replace("\n", "")
    out = tmp_path / "new"
    assert main(["data", "split", str(tiny_set), "--val", "0.25", "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "9 + 3 pictures; objects:" in said
    assert "Only the training pictures were split; val of" in said
    parts = [read(source) for source in look(out).parts]
    whole = read(look(tiny_set).parts[0])
    assert [len(part) for part in parts] == [9, 3]
    assert sorted(name for part in parts for name in part.names) == sorted(whole.names)
    assert sum(len(part.labels) for part in parts) == len(whole.labels)


def test_names_in_brackets_are_no_markup(tiny_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    here = shutil.copytree(tiny_set, tmp_path / "data")
    for file in (here / "annotations").iterdir():
        content = json.loads(file.read_text())
        for row, name in zip(content["categories"], ("car [red]", "[/x]"), strict=False):
            row["name"] = name
        file.write_text(json.dumps(content))
    for verb in ("split", "stats"):
        assert main(["data", verb, str(here), "--out", str(tmp_path / verb)]) == 0
        said = capsys.readouterr().out
        assert "car [red]" in said
        assert "[/x]" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"share": 1.0}, r"--val is 1\.0; allowed: a number between 0 and 1"),
        ({"share": 0.2, "seed": -1}, r"--seed is -1"),
        ({"share": 0.2, "group_by": "("}, r"no regular expression"),
        ({"share": 0.2, "group_by": "x"}, r"does not match 12 of 12 names, as 'train_00000\.png'"),
        ({"share": 0.2, "group_by": "train"}, r"1 group cannot be split\. Allowed: at least 2"),
    ],
)
def test_what_cannot_be_split(options: dict[str, object], message: str, tiny_set: Path) -> None:
    with pytest.raises(InputError, match=message):
        split(read(look(tiny_set).parts[0]), **options)  # type: ignore[arg-type]
