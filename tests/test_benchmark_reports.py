"""Results of benchmarks as the tables of the documents."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from benchmark_results import MACHINE, RESULT
from torch import nn

from benchmarks.__main__ import main
from benchmarks.cost import table as cost_table
from benchmarks.goals import Goal, goals
from benchmarks.report import RESULTS, gpu_table, results, tables
from benchmarks.report import goals_table as table_of
from benchmarks.result import Result, Row, write
from benchmarks.roofline import Work
from benchmarks.roofline import table as roofline_table
from benchmarks.scaling import Work as ScalingWork
from benchmarks.scaling import duration, scale
from benchmarks.scaling import table as scaling_table

ROOT = Path(__file__).parent.parent


def goals_table(found: dict[str, Result]) -> str:
    """The goals of a CPU, without assigners."""
    return table_of(goals(()), found)


def line(table: str, text: str) -> list[str]:
    """The cells of the line about this."""
    return [cell.strip() for cell in next(row for row in table.splitlines() if text in row).strip("|").split("|")]


def step_result(mmmc: tuple[float, ...]) -> dict[str, Result]:
    rows = [
        Row(f"{name}, {kind}", values, against=against)
        for kind in ("small", "r50")
        for name, values, against in (
            ("FCOS", (1.0,) * 6, ""),
            ("MMMC", mmmc, f"FCOS, {kind}"),
            ("APS's share", (0.02,) * 6, ""),
        )
    ]
    return {"step": replace(RESULT, rows=tuple(rows))}


@pytest.mark.parametrize(
    ("mmmc", "cells"),
    [
        ((1.1,) * 6, ["1.1 ×", "1.1 × – 1.1 ×", "met"]),
        ((1.5,) * 6, ["1.5 ×", "1.5 × – 1.5 ×", "**missed**"]),
        ((1.0, 1.0, 1.19, 1.19, 1.4, 1.4), ["1.19 ×", "1 × – 1.4 ×", "met, within the interval"]),
    ],
)
def test_a_goal_is_met_or_missed(mmmc: tuple[float, ...], cells: list[str]) -> None:
    table = goals_table(step_result(mmmc))
    found = line(table, "training step of MMMC")
    assert found == [
        "training step of MMMC over FCOS's: R50, 512 px",
        "≤ 1.2 ×",
        *cells,
        "2026-01-02",
        f"`{RESULT.command}`",
    ]
    assert line(table, "APS's share")[1:5] == ["≤ 3 %", "2 %", "2 % – 2 %", "met"]
    assert line(table, "scikit-learn")[1:] == ["≥ 50 ×", "not measured", "", "", "", "`python -m benchmarks mixture`"]


def test_more_is_better_where_a_goal_says_so() -> None:
    rows = (Row("scikit-learn", (1.0,) * 6), Row("batched", (0.01,) * 6, against="scikit-learn"))
    table = goals_table({"mixture": replace(RESULT, benchmark="mixture", rows=rows)})
    assert line(table, "scikit-learn")[1:5] == ["≥ 50 ×", "100 ×", "100 × – 100 ×", "met"]
    rows = (Row("1 process", (1.0,) * 6), Row("2 processes", (0.625,) * 6, against="1 process"))
    table = goals_table({"processes": replace(RESULT, benchmark="processes", rows=rows)})
    assert line(table, "efficiency")[1:5] == ["–", "80 %", "80 % – 80 %", "–"]


def test_like_is_shown_beside_like() -> None:
    """Ours in bf16 is four times faster than theirs in fp32, and twice as fast as theirs in bf16."""
    base, seconds = "inference, torchvision, fp32", {"torchvision, fp32": 4.0, "torchvision, bf16": 2.0}
    seconds |= {"mmmc, fp32": 2.0, "mmmc, bf16": 1.0}
    rows = [Row(f"inference, {name}", (value,) * 6, against=base) for name, value in seconds.items()]
    result = replace(RESULT, benchmark="torchvision", command=f"{RESULT.command} --only inference", rows=tuple(rows))
    lines = goals_table({"torchvision": result}).splitlines()
    first = next(number for number, row in enumerate(lines) if "inference, times faster" in row)
    told = [line("\n".join(lines[first + 1 + number :]), "the same")[:5] for number in range(2)]
    assert told == [
        ["the same: our bf16 than its fp32", "≥ 2 ×", "4 ×", "4 × – 4 ×", "met"],
        ["the same: our bf16 than its bf16", "–", "2 ×", "2 × – 2 ×", "–"],
    ]


def test_a_gpu_has_its_own_goals() -> None:
    """What is missing is not measured, as where a part failed; a step that waits is missed, with its method."""
    fcos, theirs = "training: FCOS, batch 16, bf16", "training: torchvision's FCOS, batch 16, bf16"
    rows = (
        Row(fcos, (1.0,) * 6, memory_mb=100.0),
        Row("training: MMMC, batch 16, bf16", (1.05,) * 6, against=fcos, memory_mb=150.0),
        Row(theirs, (1.0,) * 6, against=fcos, memory_mb=200.0),
        Row("training: APS's share, batch 16, bf16", (0.02,) * 6, unit="1"),
        Row("waits: FCOS", (1.0,) * 6),
        Row("waits: MMMC", skipped="it waits", failed=True),
        Row("inference", skipped="out of memory", failed=True),
        Row("replayed: MMMC, eager", (2.0,) * 6),
        Row("replayed: MMMC, CUDA graph", (1.0,) * 6, against="replayed: MMMC, eager"),
        *(Row(f"compiled: {name}", skipped="no") for name in ("MMMC, torch.compile", "FCOS, torch.compile")),
        Row("replayed: FCOS, CUDA graph", skipped="no"),
        Row("products", skipped="no"),
    )
    machine = {**MACHINE, "devices": ["a GPU"]}
    table = gpu_table({"gpu": replace(RESULT, benchmark="gpu", machine=machine, rows=rows)})
    told = {cells[0]: cells[1:5] for cells in (line(table, row) for row in table.splitlines() if row.startswith("| "))}
    assert told["training step of MMMC over FCOS's: R50, 800 × 1333, batch 16, bf16"][1:4:2] == ["1.05 ×", "met"]
    assert told["the same, over torchvision's FCOS"][1:4:2] == ["1.05 ×", "**missed**"]
    assert told["APS's share of that step"][1:4:2] == ["2 %", "met"]
    assert told["methods whose training step waits for the device: `small`, bf16"] == [
        *("≤ 0", "1 (MMMC)", "–", "**missed**: 1 of 4, 2 not measured")
    ]
    assert told["peak memory of that step over that of torchvision's FCOS"] == ["–", "0.75 ×", "–", "–"]
    assert told["pictures a second of MMMC by a CUDA graph over eager ones"][1] == "2 ×"
    assert told["the same: batch 16"][1] == "not measured"
    assert table.endswith("a GPU, `python -m benchmarks step`, 2026-01-02, a, torch 2.11.0.")
    assert gpu_table({}).count("not measured") == len(told) - 1


def crowd(memory: dict[str, float]) -> Result:
    """Rows of assigners whose time grows a hundredfold, but for OTA's."""
    rows = []
    for name, used in memory.items():
        last = 101.0 if name == "OTA" else 99.0
        for count, seconds in ((10, 1.0), (100, 10.0), (1000, last)):
            against = "" if count == 10 else f"{name}, 10 objects"
            rows.append(Row(f"{name}, {count} objects", (seconds,) * 3, against=against, memory_mb=used * count / 1000))
    return replace(RESULT, benchmark="assigners", rows=tuple(rows))


def test_of_all_assigners_the_worst_counts() -> None:
    """By its own bound: OTA may take twice as much."""
    table = tables({"assigners": crowd({"APS": 290.0, "FCOS": 50.0, "OTA": 500.0})})
    memory, growth = line(table["goals"], "extra memory"), line(table["goals"], "time with 1,000")
    assert memory[1:5] == ["≤ 300 MB", "290 MB (APS)", "–", "met: 3 of 15, 12 not measured"]
    assert growth[1:5] == [*("≤ 100 ×", "101 × (OTA)", "101 × – 101 × (75 %)", "**missed**: 2 of 15, 12 not measured")]
    assert line(table["crowds"], "`APS`")[1:] == [
        *("1 s, 3 MB", "10 s, 29 MB", "99 s, 290 MB", "100.0 → 99.0", "met", "met")
    ]
    assert line(table["crowds"], "`OTA`")[-2:] == ["met", "**missed**"]
    assert line(table["crowds"], "`PAA`")[1] == "not measured"
    table = tables({"assigners": crowd({"APS": 290.0, "OTA": 700.0})})
    assert line(table["goals"], "extra memory")[2:5] == ["700 MB (OTA)", "–", "**missed**: 1 of 15, 13 not measured"]


def test_methods_stand_in_the_order_of_their_cost() -> None:
    rows = [Row("small", (2.0,) * 3), Row("small_a", (5.0,) * 3, against="small")]
    rows.append(Row("small_b", (3.0,) * 3, against="small"))
    table = tables({"methods": replace(RESULT, benchmark="methods", rows=tuple(rows))})["methods"]
    told = [row for row in table.splitlines() if row.startswith("| `")]
    assert told == ["| `small_b` | 1.50 | 1.50 – 1.50 (75 %) |", "| `small_a` | 2.50 | 2.50 – 2.50 (75 %) |"]


def test_operators_stand_with_their_share_of_the_step() -> None:
    rows = (Row("aten::mm", (0.3,), note="7 calls"), Row("all others", (0.1,)), Row("a step", (0.4,)))
    table = tables({"operators": replace(RESULT, benchmark="operators", rows=rows)})["operators"]
    assert [row for row in table.splitlines() if row.startswith("| ")][1:] == [
        "| `aten::mm` | 7 | 300 | 75 % |",
        "| all others |  | 100 | 25 % |",
        "| a step |  | 400 | 100 % |",
    ]


def test_the_work_of_a_step_by_hand() -> None:
    """Two convolutions on 4 × 4 cells: the first is frozen, the second has groups and trains, and so does its input."""
    frozen = nn.Conv2d(3, 4, 3, padding=1).requires_grad_(False)
    layers = nn.Sequential(frozen, nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 3, padding=1, groups=4))
    counted = Work()
    counted.watch(layers)
    layers(torch.zeros(1, 3, 4, 4))
    assert counted.elements == 3 * 64
    # Products: one of the frozen, two of the next, whose input needs no gradient, three of the last.
    assert counted.operations == 2 * 64 * (1 * 3 * 9 + 2 * 4 + 3 * 1 * 9)


def test_the_roofline_in_the_page_is_what_its_command_prints() -> None:
    assert roofline_table(RESULTS) in (ROOT / "docs" / "performance.md").read_text(encoding="utf-8"), (
        "python -m benchmarks roofline --into docs/performance.md"
    )


def test_a_row_that_a_goal_looks_for_must_be_there() -> None:
    goal = Goal("a", "step", ("MMMC, huge",), "ratio", 1.2)
    with pytest.raises(ValueError, match="'step' has no row 'MMMC, huge'"):
        goal.figures(RESULT)


def test_the_page_is_what_the_command_prints(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
    for table in tables(results(RESULTS)).values():
        assert table in page, "python -m benchmarks report --into docs/performance.md"
    spoiled = (
        page.replace("| met |", "| fast |").replace("Steps of all methods", "Steps").replace("Crowded pictures: ", "")
    )
    assert spoiled != page
    (tmp_path / "page.md").write_text(spoiled, encoding="utf-8")
    assert main(["report", "--into", str(tmp_path / "page.md")]) == 0
    assert (tmp_path / "page.md").read_text(encoding="utf-8") == page
    (tmp_path / "page.md").write_text("nothing", encoding="utf-8")
    assert main(["report", "--into", str(tmp_path / "page.md")]) == 2
    assert "0 tables between the comments of 'goals'; allowed: one" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("result", "message"),
    [(replace(RESULT, tiny=True), "is a smoke test"), (replace(RESULT, benchmark="start"), "of the benchmark 'start'")],
)
def test_no_other_files_lie_among_the_results(
    result: Result, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(result, tmp_path / "step.json")
    assert main(["report", "--results", str(tmp_path)]) == 2
    assert message in capsys.readouterr().err


def test_the_page_of_scaling_is_what_its_command_prints() -> None:
    assert scaling_table() in (ROOT / "docs" / "scaling.md").read_text(), (
        "python -m benchmarks scaling --into docs/scaling.md"
    )


def test_the_cost_in_the_page_of_claims_is_what_its_command_prints() -> None:
    assert cost_table(RESULTS) in (ROOT / "docs" / "reproduction.md").read_text(), "make tables"


def test_what_is_not_measured_costs_nothing_known(tmp_path: Path) -> None:
    """By hand: parameters are counted; APS takes a tenth more in each round, which is not within 2 %."""
    base, aps = Row("FCOS, small", (1.0, 2.0)), Row("FCOS + APS, small", (1.1, 2.2), against="FCOS, small")
    write(replace(RESULT, rows=(base, aps)), tmp_path / "step.json")
    _, _, parameters, _, picture, _, step, rfa = cost_table(tmp_path).splitlines()
    assert "| +0.4 % (exact) | seen |" in parameters
    assert "| +0.7 % | – | not run yet | `python -m benchmarks detector` |" in picture
    assert "| – | +10.0 % [+10.0, +10.0] (50 %) (" in step
    assert "| not seen | `python -m benchmarks step` |" in step
    assert "| – | – | not run yet |" in rfa


def test_scaling_by_hand() -> None:
    """A quarter of 989 TFLOP/s does two pictures of 12.3625 TFLOP in 0.1 s; a ring of 8 sends 2 · 7/8 of 400 MB."""
    one = scale(ScalingWork(4_362_500_000_000, 8_000_000_000_000, 3_350_000_000, 400_000_000), 8)
    assert one.operations == pytest.approx(0.1)
    assert one.memory == pytest.approx(0.002)
    assert one.reduce == pytest.approx(0.7 / 450)
    assert one.rate == pytest.approx(16 / (0.1 + 0.7 / 450))
    assert one.hours("2x") == pytest.approx(180_000 * one.step / 3600)
    assert (duration(1.25), duration(0.25)) == ("1.2 h", "15 min")
