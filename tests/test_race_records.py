"""The race's records, and the table and the picture that are made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.__main__ import main
from benchmarks.race.commands import RECORDS
from benchmarks.race.contestants import CONTESTANTS
from benchmarks.race.records import append, load
from benchmarks.race.table import EMPTY, draw, table
from mmmc.errors import InputError

MACHINE = {"cpu": "a processor"}


def record(name: str, minutes: float, ap: float | None = None, seed: int = 0, **more: Any) -> dict[str, Any]:
    """A record of a run that ended, or one that did not."""
    head = {
        "contestant": name,
        "set": "bccd",
        "minutes": minutes,
        "seed": seed,
        "threads": 2,
        "settings_hash": "c0ffee00",
    }
    if "error" in more:
        return head | more
    numbers = dict.fromkeys(("AP", "AP50", "AP75", "APs", "APm", "APl"), ap) | {"APs": None}
    told = {"iterations": 1000, "seconds": 290.0, "unit_seconds": 0.3, "machine": MACHINE}
    return head | {"metrics": numbers, "versions": {"torch": "2"}, "settings": {}} | told | more


FOUND = [
    record("yolo", 5, error="no luck"),
    record("fcos", 5, 0.25),
    record("fcos", 5, 0.35, seed=1),
    record("mmmc", 5, 0.5),
    record("mmmc", 20, 0.75),
]


def test_the_table_has_the_best_first_and_says_what_failed() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table(FOUND, CONTESTANTS).splitlines()[2:6]]
    assert [(row[1], row[3].split(",")[0]) for row in rows] == [
        ("5", "MMMC"),
        ("5", "FCOS"),
        ("5", "YOLO26n (AGPL"),
        ("20", "MMMC"),
    ]
    assert rows[1][4:] == ["ImageNet", "2", "30.0 ± 7.1", "30.0", "30.0", "–", "30.0", "30.0", "1,000", "290"]
    assert rows[2][5:7] == ["0", "failed"]
    said = table(FOUND, CONTESTANTS)
    assert "Failed: YOLO26n (AGPL, called from outside): no luck." in said
    assert said.endswith("a processor.")
    assert table([], CONTESTANTS) == EMPTY


def test_only_what_can_be_compared_is_averaged() -> None:
    """Neither other threads nor other settings; where settings differ their hash tells which is which."""
    others = [record("fcos", 5, 0.1, threads=1), record("fcos", 5, 0.2, settings_hash="decade00")]
    lines = table([*FOUND, *others], CONTESTANTS).splitlines()
    rows = [[cell.strip() for cell in line.split("|")[3:8]] for line in lines if "FCOS" in line]
    assert rows == [
        ["1", "FCOS, `small`", "ImageNet", "1", "10.0"],
        ["2", "FCOS, `small` (c0ffee00)", "ImageNet", "2", "30.0 ± 7.1"],
        ["2", "FCOS, `small` (decade00)", "ImageNet", "1", "20.0"],
    ]


def test_the_picture(tmp_path: Path) -> None:
    draw(FOUND, CONTESTANTS, tmp_path / "some.png")
    draw([], CONTESTANTS, tmp_path / "none.png")
    assert (tmp_path / "some.png").stat().st_size > (tmp_path / "none.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: not JSON"),
        ("[]", "line 1: .* is not a JSON object"),
        (json.dumps(record("fcos", 5, 0.1) | {"seed": True}), "seed is True; allowed: int"),
        (json.dumps({key: value for key, value in FOUND[1].items() if key != "metrics"}), "metrics is None"),
        (json.dumps(FOUND[0] | {"error": 3}), "error is 3; allowed: str"),
    ],
)
def test_other_records_are_refused(line: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "race.jsonl").write_text(f"{line}\n")
    with pytest.raises(InputError, match=message):
        load(tmp_path / "race.jsonl")


def test_a_record_takes_the_place_of_its_run(tmp_path: Path) -> None:
    file = tmp_path / "race.jsonl"
    for one in (*FOUND, record("yolo", 5, 0.125)):
        append(file, one)
    assert load(file) == [record("yolo", 5, 0.125), *FOUND[1:]]


def test_a_run_is_recorded_once(tmp_path: Path) -> None:
    (tmp_path / "race.jsonl").write_text(2 * f"{json.dumps(FOUND[1])}\n")
    with pytest.raises(InputError, match=r"line 2: a second record of the run .*'fcos'"):
        load(tmp_path / "race.jsonl")


def test_the_page_shows_the_records(tmp_path: Path) -> None:
    page = Path(__file__).parent.parent / "docs" / "performance.md"
    assert table(load(RECORDS), CONTESTANTS) in page.read_text(encoding="utf-8"), (
        "python -m benchmarks race table --into docs/performance.md"
    )
    copy = tmp_path / "page.md"
    copy.write_text(page.read_text(encoding="utf-8"))
    assert main(["race", "table", "--into", str(copy)]) == 0
    assert copy.read_text() == page.read_text()
