"""DW's losses of a scene, as the tests ask for them."""

from __future__ import annotations

import math

from mmmc.assign import DW, ignore_crowds
from mmmc.criterion import DWCriterion
from mmmc.losses import Losses
from mmmc.testing import Scene

BACKGROUND = 0.0625 * -math.log(0.75)
"""p² · -log(1 - p) at p = 1/4: class probability and quality 1/2."""


def losses(scene: Scene, criterion: DWCriterion | None = None) -> Losses:
    criterion = criterion or DWCriterion()
    assignment = DW(box_power=criterion.box_power)(*scene)
    return criterion(*scene, ignore_crowds(scene.points, assignment, scene.targets))
