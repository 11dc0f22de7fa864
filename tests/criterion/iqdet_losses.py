"""A scene of IQDet that is worked by hand, and its losses."""

from __future__ import annotations

import math

import torch
from assign.iqdet_scenes import POINTS, mixture, with_extra

from mmmc.assign import IQDet, ignore_crowds
from mmmc.criterion import IQDetCriterion
from mmmc.structures import Prediction
from mmmc.testing import Scene, make_target

SIDE = 0.5 * math.exp(-0.5)
"""Value one deviation from the middle of a Gaussian of logit 0, which has half of the shares."""


LOG2 = math.log(2)


def by_hand() -> Scene:
    """One object `0 0 16 16` of class 1; its positions are (8, 8) and (12, 8) on level 0 and point 19 itself.

    All logits are 0. Boxes are the object, but point 0 says `0 0 16 8` and point 1 `0 0 8 16`.
    """
    boxes = torch.tensor([0.0, 0, 16, 16]).repeat(1, 20, 1)
    boxes[0, 0, 3], boxes[0, 1, 2] = 8, 8
    said = Prediction(torch.zeros(1, 20, 2), boxes, torch.zeros(1, 20))
    samples = [[[8, 8, 0], [12, 8, 0], [24, 24, 1]]]
    said = with_extra(said, [mixture((0, 0.5), (0, 1.0))], samples)
    return Scene(POINTS, said, [make_target([[0, 0, 16, 16]], (32, 32), labels=[1])])


def losses(criterion: IQDetCriterion, scene: Scene) -> dict[str, tuple[float, float]]:
    assignment = ignore_crowds(scene.points, IQDet()(*scene), scene.targets)
    terms = criterion(*scene, assignment).terms
    return {name: (term.sum.item(), term.norm.item()) for name, term in terms.items()}
