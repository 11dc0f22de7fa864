"""The largest losses, and that what they point to is there."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mmmc.misalignment.oracles import PLAIN, Costs
from mmmc.misalignment.tide import KINDS, Tide
from mmmc.misalignment.words import ALIGNMENT, REMEDIES, RESULTS, largest_losses

ROOT = Path(__file__).parents[2]


def costs(alignment: float | None) -> Costs:
    plain = np.full((4, 10, 1), 0.25)
    return Costs(("a",), {PLAIN: plain} | ({} if alignment is None else {ALIGNMENT: plain + alignment}))


def test_the_three_largest_in_order() -> None:
    tide = Tide(0.5, {"class": 0.1, "box": 0.0, "both": 0.02, "duplicate": 0.0, "background": 0.3, "missed": 0.05}, {})
    found = largest_losses(costs(0.2), tide)
    assert [(loss.kind, loss.unit) for loss in found] == [("background", "AP50"), (ALIGNMENT, "AP"), ("class", "AP50")]
    assert found[1].cost == pytest.approx(0.2)
    assert [loss.kind for loss in largest_losses(costs(None), tide)] == ["background", "class", "missed"]


def test_what_costs_nothing_is_no_loss() -> None:
    assert largest_losses(costs(0.0), Tide(1.0, dict.fromkeys(KINDS, 0.0), {})) == []


def test_every_loss_has_a_remedy_and_every_place_is_a_heading() -> None:
    assert set(REMEDIES) == {*KINDS, ALIGNMENT}
    lines = (ROOT / RESULTS).read_text(encoding="utf-8").splitlines()
    headings = {line.lstrip("# ") for line in lines if line.startswith("#")}
    for remedies in REMEDIES.values():
        assert remedies
        for remedy in remedies:
            assert not remedy.place or remedy.place in headings, remedy
            assert bool(remedy.place) == bool(remedy.finding)
