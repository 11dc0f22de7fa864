"""Results of benchmarks as files, and beside one another."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from benchmark_results import BASE, MACHINE, OTHER, RESULT

from benchmarks.__main__ import main
from benchmarks.result import Result, read, write


def file_of(result: Result, path: Path) -> str:
    write(result, path)
    return str(path)


def test_a_file_gives_the_result_back(tmp_path: Path) -> None:
    assert read(Path(file_of(RESULT, tmp_path / "a.json"))) == RESULT
    lines = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert lines[1]["median"] == 1.2
    assert lines[1]["ratio"] == pytest.approx(1.2)
    assert lines[1]["interval"] == pytest.approx([1.2, 1.2])
    assert lines[2] == {"name": "x", "unit": "s", "skipped": "no"}


@pytest.mark.parametrize(
    "content",
    ["[", "[]", "{}", '{"form": 2}', '{"form": 1, "rows": []}', '{"form": 1, "rows": [{"values": [1]}]}'],
)
def test_other_files_are_refused(content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "a.json").write_text(content)
    assert main(["compare", str(tmp_path / "a.json"), str(tmp_path / "missing.json")]) == 2
    assert str(tmp_path / "a.json") in capsys.readouterr().err


def test_another_form_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = Path(file_of(RESULT, tmp_path / "a.json"))
    file.write_text(file.read_text().replace('"form": 1', '"form": 2'))
    assert main(["compare", str(file), str(file)]) == 2
    assert "form is 2; allowed: 1" in capsys.readouterr().err


def changed(**fields: object) -> Result:
    """The result with a changed second row."""
    return replace(RESULT, rows=(BASE, replace(OTHER, **fields)))  # type: ignore[arg-type]


def scaled(factor: float) -> tuple[float, ...]:
    return tuple(factor * value for value in OTHER.values)


@pytest.mark.parametrize(
    ("after", "status", "said"),
    [
        (RESULT, 0, "MMMC: 1.2 s → 1.2 s, × 1.000"),
        (changed(values=scaled(0.5)), 0, "× 0.500"),
        (changed(values=scaled(1.6)), 1, "× 1.600"),
        # 15 % slower by the medians, which the spread of both may hide.
        (changed(values=scaled(1.15)), 0, "× 1.150"),
        # A single value has no interval: the ratio decides.
        (changed(values=(1.45,)), 1, "MMMC: 1.2 s → 1.45 s, × 1.208, WORSE"),
        (replace(RESULT, rows=(replace(BASE, memory_mb=120.0), OTHER)), 1, "memory × 1.200, WORSE"),
        (replace(RESULT, rows=(replace(BASE, memory_mb=109.0), OTHER)), 0, "memory × 1.090"),
        (replace(RESULT, rows=(BASE, replace(OTHER, name="new"))), 0, "new: only in"),
    ],
    ids=["same", "faster", "slower", "unsure", "single", "bigger", "little bigger", "other rows"],
)
def test_compare(after: Result, status: int, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = file_of(RESULT, tmp_path / "a.json"), file_of(after, tmp_path / "b.json")
    assert main(["compare", *files]) == status
    told = capsys.readouterr().out
    assert said in told
    assert ("WORSE" in told) == bool(status)


def test_little_memory_is_no_finding(tmp_path: Path) -> None:
    """Five MB instead of one are what an allocator does."""
    files = [
        file_of(replace(RESULT, rows=(replace(BASE, memory_mb=memory),)), tmp_path / f"{memory}.json")
        for memory in (1.0, 5.0)
    ]
    assert main(["compare", *files]) == 0


def test_the_threshold_is_a_choice(tmp_path: Path) -> None:
    files = file_of(RESULT, tmp_path / "a.json"), file_of(changed(values=scaled(1.6)), tmp_path / "b.json")
    assert main(["compare", *files, "--threshold", "2"]) == 0
    assert main(["compare", *files, "--threshold", "0.5"]) == 2


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (replace(RESULT, benchmark="detector"), "different benchmark: 'step' and 'detector'"),
        (replace(RESULT, tiny=True), "different sizes (--tiny)"),
        (replace(RESULT, machine={**MACHINE, "threads": 2}), "different machines: threads 1 and 2"),
        (replace(RESULT, rows=()), "no row in common"),
    ],
)
def test_what_cannot_be_compared(
    after: Result, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = file_of(RESULT, tmp_path / "a.json"), file_of(after, tmp_path / "b.json")
    assert main(["compare", *files]) == 2
    assert message in capsys.readouterr().err
    forced = "machines" in message
    assert main(["compare", *files, "--force"]) == (0 if forced else 2)
    assert ("Different machines: threads 1 and 2" in capsys.readouterr().out) == forced
