"""Objects whose pairs are weighed some at a time get what they would get all at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import pytest
import torch
from fake_cuda import Waits, devices, fake_cuda, fake_prediction, fake_targets
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from mmmc.assign import DW, MAL, Assigner, AutoAssign, FreeAnchor
from mmmc.assign.shared import claims
from mmmc.criterion import AutoAssignCriterion, BagCriterion, Criterion, DWCriterion
from mmmc.structures import Assignment, ObjectState, Prediction
from mmmc.testing import Scene, make_scene, make_target

__all__ = ["fake_cuda"]

METHODS: list[tuple[Assigner, Criterion]] = [
    (FreeAnchor(), BagCriterion()),
    (MAL(progress=0.6), BagCriterion(bag=40)),
    (AutoAssign(), AutoAssignCriterion()),
    (DW(), DWCriterion()),
]
methods = pytest.mark.parametrize(("rule", "criterion"), METHODS, ids=["FreeAnchor", "MAL", "AutoAssign", "DW"])


def crowded_scene(seed: int) -> Scene:
    """20 objects, none and 3, with learned Gaussians; everything with gradient."""
    scene = make_scene(seed, images=3, objects=(20, 0, 3))
    random = torch.Generator().manual_seed(seed)
    said = scene.prediction
    extra = {
        "center mean": torch.randn(3, 3, 2, generator=random),
        "center sigma": 0.5 + torch.rand(3, 3, 2, generator=random),
    }
    tracked = [value.requires_grad_() for value in (said.logits, said.boxes, said.quality, *extra.values())]
    return scene._replace(prediction=Prediction(*tracked[:3], dict(zip(extra, tracked[3:], strict=True))))


def everything(assignment: Assignment) -> list[Tensor]:
    values = (assignment.gt, assignment.score, assignment.weight, assignment.pairs, assignment.state)
    return tree_leaves([*values, assignment.finite, dict(assignment.not_finite)])


def learned(scene: Scene, assignment: Assignment, criterion: Criterion) -> Mapping[str, Any]:
    said = scene.prediction
    leaves = [said.logits, said.boxes, said.quality, *said.extra.values()]
    found = criterion(*scene, assignment)
    gradients = torch.autograd.grad(found.total(), leaves, allow_unused=True)
    return {"terms": {name: (term.sum, term.norm) for name, term in found.terms.items()}, "gradients": gradients}


@methods
@pytest.mark.parametrize("at_once", [1, 7])
def test_how_many_are_looked_at_together_changes_nothing(
    rule: Assigner, criterion: Criterion, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for seed in range(3):
        scene = crowded_scene(seed)
        whole = rule(*scene)
        expected = learned(scene, whole, criterion)
        with monkeypatch.context() as patch:
            patch.setattr(claims, "AT_ONCE", at_once)
            parts = rule(*scene)
            found = learned(scene, parts, criterion)
        assert all(torch.equal(*pair) for pair in zip(everything(parts), everything(whole), strict=True))
        assert (whole.gt >= 0).any()
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("rule", [rule for rule, _ in METHODS], ids=str)
def test_what_is_not_finite_is_named_in_every_part(rule: Assigner, monkeypatch: pytest.MonkeyPatch) -> None:
    scene = make_scene(0, images=2, objects=(20, 5))
    scene.prediction.logits[0, :, 1] = math.nan
    whole = rule(*scene)
    monkeypatch.setattr(claims, "AT_ONCE", 3)
    parts = rule(*scene)
    assert all(torch.equal(*pair) for pair in zip(everything(parts), everything(whole), strict=True))
    assert parts.finite.tolist() == [False, True]


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)], ids=str)
def test_of_equal_pairs_in_different_parts_the_smallest_object_is_shown(
    order: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The only point in all three boxes weighs 1 in each; the box in the middle of the list is the smallest."""
    monkeypatch.setattr(claims, "AT_ONCE", 1)
    scene = make_scene(0, images=1, objects=0, size=(8, 8), strides=(8,))
    boxes = [[1.0, 1, 8, 8], [3.0, 3, 6, 6], [2.0, 2, 7, 7]]
    target = make_target([boxes[index] for index in order], (8, 8))
    found = FreeAnchor()(*scene._replace(targets=[target]))
    assert found.gt.tolist() == [[order.index(1)]]
    assert found.state[0].tolist() == [ObjectState.CHOSEN] * 3


class Sizes(TorchDispatchMode):
    """The largest number of values that an operation made, by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        made = [leaf.numel() for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self.seen[name] = max([self.seen.get(name, 0), *made])
        return result


@methods
def test_of_all_pairs_at_once_only_the_weights_exist(
    rule: Assigner, criterion: Criterion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 8 objects at a time nothing is larger than the four sides of their boxes, once for each point."""
    monkeypatch.setattr(claims, "AT_ONCE", 8)
    scene = make_scene(0, images=1, objects=60)
    with Sizes() as making:
        assignment = rule(*scene)
    assert making.seen.pop("new_empty") == 60 * len(scene.points)
    assert max(making.seen.values()) <= 8 * 4 * len(scene.points)
    said = scene.prediction
    leaves = [value.requires_grad_() for value in (said.logits, said.boxes, said.quality)]
    with Sizes() as learning:
        torch.autograd.grad(criterion(*scene, assignment).total(), leaves, allow_unused=True)
    assert max(learning.seen.values()) <= 8 * 4 * len(scene.points)


@methods
def test_nothing_waits_between_parts(rule: Assigner, criterion: Criterion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "AT_ONCE", 2)
    scene = crowded_scene(0)
    with Waits() as waits:
        learned(scene, rule(*scene), criterion)
    assert waits.seen == []


@pytest.mark.usefixtures("fake_cuda")
@methods
def test_parts_stay_on_a_fake_gpu(rule: Assigner, criterion: Criterion, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "AT_ONCE", 1)
    points, said = fake_prediction()
    targets = fake_targets()
    with Waits() as waits:
        assignment = rule(points, said, targets)
        total = criterion(points, said, targets, assignment).total()
    assert waits.seen == []
    assert devices(everything(assignment), total) == {"cuda:0"}


@pytest.mark.parametrize(("rule", "criterion"), METHODS[2:], ids=["AutoAssign", "DW"])
def test_nothing_of_every_pair_is_kept_for_backward(
    rule: Assigner, criterion: Criterion, monkeypatch: pytest.MonkeyPatch
) -> None:
    """40 objects more cost less than a value for each of their pairs."""
    monkeypatch.setattr(claims, "AT_ONCE", 8)
    kept = {}
    for number in (20, 60):
        scene = make_scene(0, images=1, objects=number, size=(256, 256))
        for value in (scene.prediction.logits, scene.prediction.boxes, scene.prediction.quality):
            value.requires_grad_()
        sizes: list[int] = []
        with torch.autograd.graph.saved_tensors_hooks(
            lambda x, sizes=sizes: (sizes.append(x.numel()), x)[1], lambda x: x
        ):
            criterion(*scene, rule(*scene)).total()
        kept[number] = sum(sizes)
    assert kept[60] > 0
    assert kept[60] - kept[20] < 40 * len(scene.points)
