"""Rules that assigners share: membership, conflicts, crowds, the lift to a batch."""

from __future__ import annotations

from dataclasses import replace

import torch

from mmmc.assign import FCOS, ignore_crowds
from mmmc.assign.shared.rules import inside, lowest, per_image
from mmmc.structures import IGNORED, NEGATIVE, ObjectState
from mmmc.testing import Scene, make_prediction, make_scene, make_target


def test_inside_is_strict() -> None:
    xy = torch.tensor([[1.0, 1.0], [0.0, 1.0], [1.0, 2.0], [3.0, 1.0]])
    boxes = torch.tensor([[0.0, 0.0, 2.0, 2.0], [0.5, 0.5, 3.5, 9.0]])
    assert inside(xy, boxes).tolist() == [[True, True], [False, False], [False, True], [False, True]]
    assert inside(xy, boxes[:0]).shape == (4, 0)


def test_lowest_takes_the_cheapest_candidate_and_of_equals_the_first() -> None:
    cost = torch.tensor([[3.0, 1.0, 1.0], [3.0, 1.0, 2.0], [3.0, 1.0, 2.0]])
    candidate = torch.tensor([[True, True, True], [True, False, True], [False, False, False]])
    assert lowest(cost, candidate).tolist() == [1, 2, NEGATIVE]
    assert lowest(cost[:, :0], candidate[:, :0]).tolist() == [NEGATIVE] * 3


def test_per_image_widens_and_detaches() -> None:
    scene = make_scene(0)
    seen = []
    rule = FCOS().image

    def spy(points, prediction, target):
        seen.append(prediction)
        return rule(points, prediction, target)

    prediction = replace(
        scene.prediction,
        logits=scene.prediction.logits.bfloat16().requires_grad_(),
        extra={"bins": torch.zeros(2, len(scene.points), 5, dtype=torch.bfloat16)},
    )
    per_image(spy, scene.points, prediction, scene.targets)
    assert [(each.logits.dtype, each.logits.requires_grad, len(each.logits)) for each in seen] == [
        (torch.float32, False, 1)
    ] * 2
    assert seen[1].extra["bins"].shape == (1, len(scene.points), 5)
    assert torch.equal(seen[1].boxes, scene.prediction.boxes[1:])
    double = replace(prediction, boxes=prediction.boxes.double())
    assert per_image(rule, scene.points, double, scene.targets).score.dtype == torch.float64


def crowded() -> Scene:
    """One object, and a crowd that covers its right half and the points right of it."""
    points = make_scene(0, images=1, objects=0, size=(32, 32), strides=(8,)).points
    target = make_target([[0, 0, 16, 32]], (32, 32), crowd=[[8, 0, 28, 16]])
    return Scene(points, make_prediction(points, images=1, classes=1, seed=0), [target])


def test_points_in_crowds_are_ignored_unless_an_object_has_them() -> None:
    scene = crowded()
    assignment = FCOS(None, None)(*scene)
    result = ignore_crowds(scene.points, assignment, scene.targets)
    (labels,) = scene.points.split(result.gt[0])
    # Points at 4, 12, 20, 28. The crowd's border at 28 is not inside.
    assert labels.tolist() == [
        [0, 0, IGNORED, NEGATIVE],
        [0, 0, IGNORED, NEGATIVE],
        [0, 0, NEGATIVE, NEGATIVE],
        [0, 0, NEGATIVE, NEGATIVE],
    ]
    assert torch.equal(result.score, assignment.score)
    assert result.state[0].tolist() == [ObjectState.CHOSEN]
    assert not (assignment.gt == IGNORED).any(), "the assignment that came in has been changed"


def test_without_crowds_nothing_is_ignored() -> None:
    scene = make_scene(3)
    assignment = FCOS()(*scene)
    assert torch.equal(ignore_crowds(scene.points, assignment, scene.targets).gt, assignment.gt)
