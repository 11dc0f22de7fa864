"""The losses of bags against their slow form, picture by picture, in low precision, and no waiting."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from fake_cuda import Waits
from near_scenes import near_scene

from mmmc.assign import MAL, FreeAnchor, ignore_crowds
from mmmc.criterion import BagCriterion
from mmmc.structures import Prediction
from mmmc.testing import Scene, make_scene

from .slow_bag_losses import slow_losses


def padded_scene(seed: int) -> Scene:
    """With padding, and with a crowd."""
    scene = near_scene(seed, spread=0.3)
    target = replace(scene.targets[0], size=(80, 92), crowd=torch.tensor([[40.0, 0.0, 96.0, 20.0]]))
    values = (scene.prediction.logits, scene.prediction.boxes, scene.prediction.quality)
    return scene._replace(prediction=Prediction(*(value.requires_grad_() for value in values)), targets=[target])


CASES = [
    (FreeAnchor(), BagCriterion()),
    (FreeAnchor(bag=7, bag_by="center", box_factor=1.5), BagCriterion(7, 1.5, alpha=0.3, gamma=1.5, threshold=0.3)),
    (MAL(progress=0.8), BagCriterion(40)),
]


BY_CASE = pytest.mark.parametrize(("rule", "criterion"), CASES, ids=[str(rule) for rule, _ in CASES])


def compare(rule: FreeAnchor, criterion: BagCriterion, count: int) -> None:
    criterion.require(rule, None)
    for seed in range(count):
        scene = padded_scene(seed)
        assignment = ignore_crowds(scene.points, rule(*scene), scene.targets)
        losses = criterion(*scene, assignment)
        slow = slow_losses(criterion, scene.points, scene.prediction, scene.targets[0], assignment)
        inputs = (scene.prediction.logits, scene.prediction.boxes)
        for name, expected in zip(("bag", "background"), slow, strict=True):
            found = losses[name].sum
            assert found.item() == pytest.approx(expected.item(), rel=1e-9), f"{name} of scene {seed}"
            pairs = (
                torch.autograd.grad(value, inputs, retain_graph=True, materialize_grads=True)
                for value in (found, expected)
            )
            for ours, theirs in zip(*pairs, strict=True):
                torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-12)


@BY_CASE
def test_equals_the_slow_form(rule: FreeAnchor, criterion: BagCriterion) -> None:
    compare(rule, criterion, 30)


@pytest.mark.full
@BY_CASE
def test_equals_the_slow_form_on_300_scenes(rule: FreeAnchor, criterion: BagCriterion) -> None:
    compare(rule, criterion, 300)


def test_a_batch_is_the_sum_of_its_pictures() -> None:
    """Pictures with other numbers of objects, one of them with none."""
    scene = make_scene(0, images=3, objects=(3, 0, 5))
    rule, criterion = FreeAnchor(), BagCriterion()
    together = criterion(*scene, rule(*scene))
    sums = {"bag": 0.0, "background": 0.0}
    for index, target in enumerate(scene.targets):
        part = slice(index, index + 1)
        said = Prediction(*(getattr(scene.prediction, name)[part] for name in ("logits", "boxes", "quality")))
        alone = criterion(scene.points, said, [target], rule(scene.points, said, [target]))
        for name in sums:
            sums[name] += alone[name].sum.item()
    assert {name: term.sum.item() for name, term in together.terms.items()} == pytest.approx(sums, rel=1e-5)
    assert together["bag"].norm.item() == 8
    assert together["background"].norm.item() == 8 * 50


def test_low_precision_is_widened() -> None:
    scene = make_scene(0)
    low = replace(scene.prediction, logits=scene.prediction.logits.bfloat16())
    wide = replace(low, logits=low.logits.float())
    assignment = FreeAnchor()(scene.points, wide, scene.targets)
    expected = BagCriterion()(scene.points, wide, scene.targets, assignment).total()
    with torch.autocast("cpu", torch.bfloat16):
        found = BagCriterion()(scene.points, low, scene.targets, assignment).total()
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)


def test_nothing_waits() -> None:
    scene = make_scene(0, objects=(5, 0))
    assignment = FreeAnchor()(*scene)
    with Waits() as waits:
        BagCriterion()(*scene, assignment).total()
    assert waits.seen == []
