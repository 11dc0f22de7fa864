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
    head = {"contestant": name, "set": "bccd", "minutes": minutes, "seed": seed, "threads": 2}
    if "error" in more:
        return head | more
    numbers = dict.fromkeys(("AP", "AP50", "AP75", "APs", "APm", "APl"), ap) | {"APs": None}
    told = {"iterations": 1000, "seconds": 290.0, "machine": MACHINE, "versions": {"torch": "2"}, "settings": {}}
    return head | {"metrics": numbers} | told


FOUND = [
    record("yolo", 5, error="no luck"),
    record("fcos", 5, 0.25),
    record("fcos", 5, 0.35, seed=1),
    record("mmmc", 5, 0.5),
    record("mmmc", 20, 0.75),
]


def test_the_table_has_the_best_first_and_says_what_failed() -> None:
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table(FOUND, CONTESTANTS).splitlines()[2:6]]
    assert [(row[1], row[2].split(",")[0]) for row in rows] == [
        ("5", "MMMC"),
        ("5", "FCOS"),
        ("5", "YOLO26n (AGPL"),
        ("20", "MMMC"),
    ]
    assert rows[1][3:] == ["ImageNet", "2", "30.0 ± 7.1", "30.0", "30.0", "–", "30.0", "30.0", "1,000", "290"]
    assert rows[2][4:6] == ["0", "failed"]
    said = table(FOUND, CONTESTANTS)
    assert "Failed: YOLO26n (AGPL, called from outside): no luck." in said
    assert said.endswith("a processor, 2 threads.")
    assert table([], CONTESTANTS) == EMPTY


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


def test_the_page_shows_the_records(tmp_path: Path) -> None:
    page = Path(__file__).parent.parent / "docs" / "performance.md"
    assert table(load(RECORDS), CONTESTANTS) in page.read_text(encoding="utf-8"), (
        "python -m benchmarks race table --into docs/performance.md"
    )
    copy = tmp_path / "page.md"
    copy.write_text(page.read_text(encoding="utf-8"))
    assert main(["race", "table", "--into", str(copy)]) == 0
    assert copy.read_text() == page.read_text()
