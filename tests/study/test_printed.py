"""The paper's tables as data: what is printed there, and which variants of plans belong to them."""

from __future__ import annotations

from pathlib import Path

import pytest

from mmmc.study.filled import filled
from mmmc.study.paper import numbers, paper_table
from mmmc.study.plan import read_plan

STUDIES = Path(__file__).parents[2] / "studies"

PRINTED = {
    1: """
        36.7 56.9 39.1
        37.2 55.8 40.1
        38.6 57.5 41.6
    """,
    2: """
        38.6 57.2 41.9
        39.4 57.3 42.7
        40.5 58.0 44.3
        40.2 58.2 43.1
        41.7 59.3 45.1
    """,
    3: """
        39.8 58.4 43.2
        39.8 58.3 42.9
        39.8 57.8 43.0
        39.9 58.2 43.3
    """,
    4: """
        0.169 0.156 0.141 0.150 0.137
        0.167 0.153 0.149 0.146 0.134
        1.2% 1.9% 1.3% 2.7% 2.2%
    """,
    5: """
        0.580 0.523 0.487 0.454 0.412
        0.570 0.511 0.466 0.442 0.401
        1.2% 2.3% 4.5% 2.5% 2.7%
    """,
    6: """
        40.5 58.0 44.3
        40.8 58.9 44.2
        41.0 58.8 45.0
        41.7 59.3 45.1
    """,
    7: """
        41.5 60.7 45.0 24.4 44.8 51.6
        41.8 61.1 44.9 23.4 44.9 52.9
        43.1 62.2 46.4 24.5 46.1 54.8
        43.6 61.8 47.1 25.0 46.9 55.8
        43.6 62.1 47.4 26.1 47.0 53.6
        45.0 63.7 48.9 27.2 48.8 54.5
        44.8 63.3 48.7 26.5 48.8 56.3
        45.1 63.4 49.3 26.7 48.5 56.5
        45.3 63.5 49.3 26.9 48.8 56.1
        45.7 64.0 49.8 27.6 49.2 56.8
    """,
}
"""The paper's tables, line by line, typed from its text a second time; frames per second left out."""


@pytest.mark.parametrize("number", numbers())
def test_what_is_said_to_be_printed_is(number: int) -> None:
    rows = [row for row in paper_table(number).rows if row.printed]
    ours = [[*row.printed.values()] for row in rows] + [
        [*row.printed_reduction.values()] for row in rows if row.printed_reduction
    ]
    assert ours == [
        [float(word.rstrip("%")) for word in line.split()] for line in PRINTED[number].split("\n") if line.strip()
    ]


def test_what_the_paper_prints_as_reduction_and_what_follows_from_its_rows() -> None:
    """By hand: (0.141 − 0.149) / 0.141 = −5.7 %, and (0.580 − 0.570) / 0.580 = 1.7 %.

    What is printed in the other cells follows from rows that round to those printed.
    """
    wrong = {}
    for number in (4, 5):
        table = paper_table(number)
        base, rfa = table.rows[:2]
        for column, printed in rfa.printed_reduction.items():
            least, correct, most = (
                100 * (1 - (rfa.printed[column] + rounded) / (base.printed[column] - rounded))
                for rounded in (0.0005, 0, -0.0005)
            )
            if not least - 0.05 <= printed <= most + 0.05:
                wrong[number, column] = (round(correct, 1), printed)
    assert wrong == {(4, "45k"): (-5.7, 1.3), (5, "15k"): (1.7, 1.2)}


@pytest.mark.parametrize("number", numbers())
def test_every_row_has_a_variant_in_the_plan_of_its_table(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MMMC_DATA", "data")
    table = paper_table(number)
    plans = list(STUDIES.glob(f"*_table{number}.yaml"))
    assert STUDIES / f"coco_table{number}.yaml" in plans
    for path in plans:
        plan = read_plan(path)
        rows = filled(table, [plan])[0].rows
        assert {row.row.name for row in rows} >= {row.name for row in table.rows if not row.optional}
        assert set(plan.recipes) <= {variant for row in table.rows for variant in row.variants}, path
        for row in table.rows:
            assert row.optional or any(variant in plan.recipes for variant in row.variants), (path, row.name)
            assert row.base is None or row.base in {other.name for other in table.rows}
