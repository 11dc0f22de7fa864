"""Which differences between a file and PyTorch are faults."""

from __future__ import annotations

from math import nan

import pytest
import torch

from mmmc.export.parity import Call, Parity, Rivals, judge
from mmmc.postprocess import Postprocess
from mmmc.structures import Detections

RULE = Postprocess(threshold=0.05, nms=0.6, detections=4)
Row = tuple[float, float, float, int]
"""Left side, width, score, label; all boxes are 100 high and start at 0."""

WIDE = (0.0, 100.0, 0.9, 0)


def found(*rows: Row) -> Detections:
    """Best first."""
    rows = tuple(sorted(rows, key=lambda row: -row[2]))
    return Detections(
        torch.tensor([[x, 0, x + width, 100] for x, width, _, _ in rows]).reshape(-1, 4).float(),
        torch.tensor([row[2] for row in rows]).float(),
        torch.tensor([row[3] for row in rows], dtype=torch.long),
        image_id=1,
    )


def judged(ours: list[Row], theirs: list[Row], rivals: list[Row], probability: float = 0.5) -> tuple[int, list[str]]:
    """Number of matches, and of each box without a match its side and reason."""
    candidates = found(*rivals)
    pairs, calls = judge(
        found(*ours), found(*theirs), Rivals(candidates, torch.full((len(candidates),), probability)), RULE
    )
    return len(pairs), [f"{call.side}: {call.reason}" for call in calls]


def test_equal_boxes_match_whatever_their_order() -> None:
    rows: list[Row] = [WIDE, (200, 50, 0.5, 1), (300, 50, 0.5, 1)]
    assert judged(rows, rows[::-1], rows) == (3, [])
    assert judged([], [], rows) == (0, [])
    assert judged([WIDE], [(0, 99.5, 0.9005, 0)], [WIDE]) == (1, [])


@pytest.mark.parametrize("other", [(0, 98.0, 0.9, 0), (0, 100, 0.902, 0), (0, 100, 0.9, 1)])
def test_another_box_score_or_class_is_a_fault(other: Row) -> None:
    assert judged([WIDE], [other], [WIDE]) == (0, ["PyTorch: ", "file: "])


def test_what_pytorch_never_thought_of_is_a_fault() -> None:
    assert judged([WIDE], [WIDE, (500, 100, 0.8, 0)], [WIDE]) == (1, ["file: "])


def test_an_overlap_at_the_threshold_is_a_close_call() -> None:
    for width, reason in ((60.05, "an overlap at the threshold of suppression"), (70.0, "")):  # IoU 0.6005, 0.7
        second = (0, width, 0.8, 0)
        assert judged([WIDE], [WIDE, second], [WIDE, second]) == (1, [f"file: {reason}"])
    # A rival that is less sure could not have removed it.
    small = (0, 60.05, 0.8, 0)
    assert judged([small], [small, WIDE], [small, WIDE]) == (1, ["file: "])
    # Nor could one of another class.
    other = (0, 60.05, 0.8, 1)
    assert judged([WIDE], [WIDE, other], [WIDE, other]) == (1, ["file: "])


def test_two_scores_that_are_nearly_equal_are_a_close_call() -> None:
    for score, reason in ((0.8995, "two scores that are nearly equal"), (0.89, "")):
        second = (0, 90.0, score, 0)
        expected = [f"PyTorch: {reason}", f"file: {reason}"]
        assert judged([WIDE], [second], [WIDE, second]) == (0, expected)
    # Nothing is decided between boxes that do not overlap enough.
    second = (0, 50.0, 0.8995, 0)
    assert judged([WIDE], [second], [WIDE, second]) == (0, ["PyTorch: ", "file: "])


def test_what_a_close_call_decides_is_one_too() -> None:
    # The third overlaps the second by 0.65 and the first by 0.45: it stays where the second went.
    second, third = (15.0, 85.0, 0.8995, 0), (43.0, 60.0, 0.7, 0)
    matched, calls = judged([WIDE, third], [second], [WIDE, second, third])
    assert matched == 0
    assert [call.partition(": ")[2] for call in calls] == [
        "two scores that are nearly equal",
        "weighed against another close call",
        "two scores that are nearly equal",
    ]


def test_boxes_near_the_threshold_are_not_judged() -> None:
    assert judged([WIDE], [], [WIDE], probability=0.055) == (0, [])
    assert judged([], [WIDE], [WIDE], probability=0.045) == (0, [])
    assert judged([WIDE], [], [WIDE], probability=0.061) == (0, ["PyTorch: "])


def test_a_full_list_had_no_room_for_less_sure_boxes() -> None:
    rows: list[Row] = [(200.0 * i, 100.0, 0.9 - 0.1 * i, 0) for i in range(5)]
    assert judged(rows[:4], rows[1:], rows) == (3, ["PyTorch: "])
    assert judged(rows[:3], [rows[0], *rows[2:4]], rows) == (2, ["PyTorch: ", "file: "])


def parity(matched: int = 1000, close: int = 0, alone: int = 0, ap: tuple[float, float] = (0.5, 0.5)) -> Parity:
    calls = [Call("a.png", 0, 0.5, "file", "equal scores")] * close + [Call("a.png", 0, 0.5, "file", "")] * alone
    return Parity(4, matched, 0.1, 0.0, tuple(calls), (matched, matched), ap)


def test_what_makes_a_file_unfaithful() -> None:
    assert parity().faults == ()
    assert parity(matched=0).faults == ()
    assert parity(matched=995, close=5).faults == ()
    assert parity(matched=994, close=6).faults == ("6 of 1000 boxes are close calls; allowed: 0.5%, or one.",)
    assert parity(matched=50, close=1).faults == ()
    assert parity(matched=50, close=2).faults == ("2 of 52 boxes are close calls; allowed: 0.5%, or one.",)
    assert parity(alone=1).faults == ("1 of 1001 boxes have no match.",)
    assert parity(ap=(0.5, 0.5004)).faults == ()
    assert parity(ap=(0.5, 0.4994)).faults == ("AP differs by 0.060 points; allowed: 0.05.",)
    assert parity(ap=(nan, nan)).faults == ()
