"""AutoAssign's losses of its own labels, for its tests."""

from __future__ import annotations

from mmmc.assign import AutoAssign, ignore_crowds
from mmmc.criterion import AutoAssignCriterion
from mmmc.losses import Losses
from mmmc.testing import Scene


def losses(scene: Scene, criterion: AutoAssignCriterion | None = None) -> Losses:
    criterion = criterion or AutoAssignCriterion()
    assignment = AutoAssign(criterion.confidence, criterion.box_power)(*scene)
    return criterion(*scene, ignore_crowds(scene.points, assignment, scene.targets))
