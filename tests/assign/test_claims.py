"""Objects that claim points some at a time get what they would get all at once."""

from __future__ import annotations

import pytest
import torch

from mmmc.assign import APS, ATSS, FCOS, OTA, PAA, SAPD, TAL, Assigner, DynamicSoftLabel, MaxIoU, SimOTA, ota
from mmmc.assign.shared import claims, conflicts, pairs, split
from mmmc.assign.shared.claims import Claims, of_owner, settled
from mmmc.structures import IGNORED, NEGATIVE, ObjectState, Points, Prediction, Target
from mmmc.testing import Scene, make_scene, make_target

RULES = [
    *(FCOS(), ATSS(), MaxIoU(), SimOTA(), TAL(), TAL(target="hard"), DynamicSoftLabel(), OTA()),
    *(
        APS(),
        APS(tiny="nearest", target="score"),
        APS(conflict="max_iou"),
        APS(scale=False),
        APS(spatial=False),
        APS(level_stat="shrunk"),
    ),
    *(APS(conflict="max_iou"), PAA(), PAA(prematch="inside", rule="b"), SAPD(), SAPD(soft_levels=2)),
]


@pytest.mark.parametrize("rule", RULES, ids=repr)
@pytest.mark.parametrize("at_once", [1, 3])
def test_how_many_are_looked_at_together_changes_nothing(
    rule: Assigner, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(5):
        scene = make_scene(seed, images=2, objects=(20, 0))
        whole = rule(*scene)
        with monkeypatch.context() as patch:
            for module in (claims, conflicts, ota, pairs):
                patch.setattr(module, "AT_ONCE", at_once)
            parts = rule(*scene)
        assert torch.equal(parts.gt, whole.gt)
        assert torch.equal(parts.score, whole.score)
        assert torch.equal(parts.weight, whole.weight)
        assert torch.equal(parts.state[0], whole.state[0])
        assert (whole.gt >= 0).any()


def small_scene() -> Scene:
    """Two objects over one row of points at 4, 12, 20, 28."""
    scene = make_scene(0, images=1, objects=0, size=(8, 32), strides=(8,))
    return scene._replace(targets=[make_target([[0, 0, 24, 8], [8, 0, 32, 8]], (8, 32))])


@pytest.mark.parametrize("at_once", [1, 2])
def test_claims_by_hand(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Object 0 wants points 0, 1, 2 at ranks 5, 1, 2; object 1 wants 1, 2 at ranks 1, 1 and ignores point 3.

    Point 0 has one claim; at point 1 both rank 1 and the first gets it; point 2 goes to object 1; point 3 is ignored,
    and so would point 2 be, if nobody had it.
    """
    monkeypatch.setattr(claims, "AT_ONCE", at_once)
    wanted = torch.tensor([[1, 1, 1, 0], [0, 1, 1, 0]]).bool()
    rank = torch.tensor([[5.0, 1.0, 2.0, 0.0], [0.0, 1.0, 1.0, 0.0]])
    ignored = torch.tensor([[0, 0, 0, 0], [0, 0, 1, 1]]).bool()

    def rule(_points: Points, _prediction: Prediction, target: Target) -> Claims:
        rows = [0 if box[0] == 0 else 1 for box in target.boxes.tolist()]
        admitted = torch.ones_like(wanted[rows].T)
        return Claims(wanted[rows].T, rank[rows].T, admitted, admitted, ignored[rows].T)

    points, prediction, (target,) = small_scene()
    found = settled(rule, points, prediction, target)
    assert found.gt.tolist() == [0, 0, 1, IGNORED]
    assert found.score.tolist() == [1, 1, 1, 0]
    assert found.state.tolist() == [ObjectState.CHOSEN, ObjectState.CHOSEN]


def test_an_object_that_loses_all_it_claims_is_told_why() -> None:
    def rule(_points: Points, _prediction: Prediction, _target: Target) -> Claims:
        mine = torch.tensor([[True, True], [True, True], [False, False], [False, False]])
        return Claims(mine, torch.tensor([[1.0, 2.0]]).expand(4, 2), mine, mine)

    points, prediction, (target,) = small_scene()
    found = settled(rule, points, prediction, target)
    assert found.gt.tolist() == [0, 0, NEGATIVE, NEGATIVE]
    assert found.state.tolist() == [ObjectState.CHOSEN, ObjectState.NONE_LEFT]


def test_values_of_the_owner() -> None:
    gt = torch.tensor([1, NEGATIVE, 0])
    assert of_owner(torch.tensor([5, 7]), gt)[[0, 2]].tolist() == [7, 5]
    boxes = torch.tensor([[0.0, 1.0, 2.0, 3.0], [4.0, 5.0, 6.0, 7.0]])
    assert of_owner(boxes, gt)[0].tolist() == [4, 5, 6, 7]
    assert of_owner(boxes[:0], torch.tensor([NEGATIVE])).shape == (1, 4)


@pytest.mark.parametrize(
    "rule", [APS(), APS(candidates_per_level=1), APS(rule="b", score="code"), PAA(rule="b")], ids=repr
)
def test_work_that_the_host_sees_is_needless_changes_nothing(rule: Assigner, monkeypatch: pytest.MonkeyPatch) -> None:
    helped = 0
    for seed in range(8):
        scene = make_scene(seed, images=2, objects=(60, 3))
        seen = rule(*scene)
        with monkeypatch.context() as patch:
            for module in (conflicts, pairs, split):
                patch.setattr(module, "at_hand", lambda _: False)
            blind = rule(*scene)
        assert torch.equal(seen.gt, blind.gt)
        assert all(torch.equal(a, b) for a, b in zip(seen.state, blind.state, strict=True))
        helped += int((seen.state[0] == ObjectState.FALLBACK).sum())
    assert helped or isinstance(rule, PAA)
