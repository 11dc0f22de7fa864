"""What fewer rounds of the mixture decide otherwise, counted by hand and on small scenes."""

from __future__ import annotations

from dataclasses import replace

import torch

from benchmarks.rounds import labels, told
from mmmc.assign import APS
from mmmc.assign.shared import split
from mmmc.structures import IGNORED, NEGATIVE, Assignment
from mmmc.testing import make_scene


def test_shares_by_hand() -> None:
    """Point 1 goes from object 0 to 1, point 3 from nobody to object 2: three of four objects, two of four points."""
    gt = torch.tensor([[0, 0, 1, NEGATIVE, 3, IGNORED]])
    before = Assignment(gt, gt.float(), gt.float(), [], torch.ones(1, dtype=torch.bool))
    after = replace(before, gt=torch.tensor([[0, 1, 1, 2, 3, IGNORED]]))
    assert told([before], [after], 4) == "75.00 % / 50.000 %"
    assert told([before], [before], 4) == "0.00 % / 0.000 %"
    ignored = replace(before, gt=torch.tensor([[0, 0, 1, IGNORED, 3, NEGATIVE]]))
    assert told([before], [ignored], 4) == "0.00 % / 50.000 %"


def test_the_number_of_rounds_is_what_is_said() -> None:
    scenes = [make_scene(seed, images=2, objects=(20, 3)) for seed in range(4)]
    rule = APS()
    seen = [rule(*scene) for scene in scenes]
    many, one = labels(rule, scenes, split.ROUNDS), labels(rule, scenes, 1)
    assert all(torch.equal(a.gt, b.gt) for a, b in zip(seen, many, strict=True))
    assert any(not torch.equal(a.gt, b.gt) for a, b in zip(seen, one, strict=True))
