"""What a record says of the agreement of both tasks."""

from __future__ import annotations

from mmmc.label_measures import AGREEMENT
from mmmc.training.record import agreement


def test_the_nearest_look_at_the_end_of_each_sixth() -> None:
    """Of 60 iterations sixths end at 10, 20 … 60; the looks at 32 and 48 are 8 away from 40, more than half a sixth."""
    rows = [
        {"kind": "assign", "step": step, **dict.fromkeys(AGREEMENT, step / 100)} for step in (8, 16, 32, 48, 60)
    ] + [{"kind": "train", "step": 20, **dict.fromkeys(AGREEMENT, 9.0)}, {"kind": "assign", "step": 20}]
    found = agreement(rows, 60)
    assert [look and look["step"] for look in found] == [8, 16, 32, None, 48, 60]
    assert found[0] == {"step": 8, **dict.fromkeys(AGREEMENT, 0.08)}
    assert agreement([], 60) == [None] * 6
