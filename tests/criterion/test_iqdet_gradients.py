"""IQDet's losses: what reaches which parameter, and values that are ignored, of low precision, or not finite."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from assign.iqdet_scenes import random_scene

from mmmc.assign import IQDet, ignore_crowds
from mmmc.criterion import IQDetCriterion
from mmmc.model import Detector, ModelConfig
from mmmc.parts import QualityDistribution
from mmmc.structures import Prediction, Supervision
from mmmc.testing import Scene, make_target

from .iqdet_losses import LOG2, SIDE, by_hand
from .terms import assert_reaches_all

LEARNS = {"class": "logits", "box": "boxes", "quality": "quality", "distribution": "quality mixture"}
"""By term the one input that it moves; all else is a target or a weight."""


@pytest.mark.parametrize("term", LEARNS)
def test_gradients(term: str) -> None:
    """Of each term with regard to each input, numerically where there is one."""
    points, said, targets = random_scene(1)  # 2 levels, 2 objects
    assignment = IQDet()(points, said, targets)
    inputs = {"logits": said.logits, "boxes": said.boxes, "quality": said.quality, **said.extra}

    def value(**changed: torch.Tensor) -> torch.Tensor:
        now = {**inputs, **changed}
        extra = {name: now[name] for name in said.extra}
        prediction = Prediction(now["logits"], now["boxes"], now["quality"], extra)
        return IQDetCriterion()(points, prediction, targets, assignment)[term].sum

    for name, tensor in inputs.items():
        leaf = tensor.clone().requires_grad_()
        total = value(**{name: leaf})
        if name == LEARNS[term]:
            assert torch.autograd.gradcheck(lambda t, name=name: value(**{name: t}), leaf, fast_mode=True)
            assert torch.autograd.grad(total, leaf)[0].any()
        elif total.requires_grad:
            (gradient,) = torch.autograd.grad(total, leaf, materialize_grads=True)
            assert not gradient.any(), name


def tiny() -> Detector:
    part = QualityDistribution(samples=4, pool=2, hidden=8)
    config = ModelConfig(
        "resnet18", weights="none", frozen_stages=0, channels=32, groups=8, depth=1, part=part, box_bias=1.0
    )
    return Detector(config, classes=3)


@pytest.mark.parametrize("objects", [[], [[4, 6, 30, 40], [20, 20, 60, 62]]], ids=["none", "two"])
def test_every_parameter_is_reached(objects: list[list[float]]) -> None:
    torch.manual_seed(0)
    detector = tiny()
    targets = [make_target(objects, (64, 64)), make_target([], (64, 50), crowd=[[0, 0, 20, 20]])]
    images = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    points, said = detector(images, Supervision(targets, 0.5))
    found = IQDetCriterion()(points, said, targets, ignore_crowds(points, IQDet()(points, said, targets), targets))
    found.total().backward()
    assert_reaches_all(detector)
    for name, parameter in detector.part.named_parameters():
        assert parameter.grad.any() == bool(objects), name
    if not objects:
        assert {name: term.norm.item() for name, term in found.terms.items()} == dict.fromkeys(LEARNS, 0)
        assert found.divided()["box"] == found.divided()["quality"] == found.divided()["distribution"] == 0
        assert found.divided()["class"] > 0


def test_ignored_points_move_nothing() -> None:
    """A crowd over all of `0 0 16 16` but what the positions read: points 4 and 16 in the box, 8 outside."""
    points, said, targets = by_hand()
    samples = said.extra["samples"][:, :, 1:2]  # reads points 1 and 5
    leaves = {"logits": said.logits, "boxes": said.boxes, "quality": said.quality}
    for leaf in leaves.values():
        leaf.requires_grad_()
    crowd = torch.tensor([[0.0, 7, 10, 24]])
    scene = Scene(points, replace(said, extra={**said.extra, "samples": samples}), [replace(targets[0], crowd=crowd)])
    assignment = ignore_crowds(points, IQDet()(*scene), scene.targets)
    found = IQDetCriterion()(*scene, assignment)
    # Eighteen points are not read, of which 4, 8, 16 are the crowd's. Level 1 has no other point in the box.
    assert found["class"].sum.item() == pytest.approx(((SIDE - 0.5) ** 2 + 0.25 + 15 * 0.5) * LOG2)
    value = 0.5 * math.exp(-1)
    # Points 0, 1, 5 with IoU 1/2, 1/2, 1.
    expected = -(2 * math.log(value) + math.log(1 - value)) / 3
    assert (found["distribution"].sum.item(), found["distribution"].norm.item()) == pytest.approx((expected, 1))
    found.total().backward()
    for name, leaf in leaves.items():
        assert leaf.grad is not None
        assert not leaf.grad[0, [4, 8, 16]].any(), name


def test_low_precision_is_computed_in_float32() -> None:
    points, said, targets = by_hand()
    said = replace(said, logits=torch.randn(1, 20, 2).bfloat16(), quality=torch.randn(1, 20).bfloat16())
    assignment = IQDet()(points, said, targets)
    wide = replace(said, logits=said.logits.float(), quality=said.quality.float())
    expected = IQDetCriterion()(points, wide, targets, assignment).total()
    assert torch.equal(IQDetCriterion()(points, said, targets, assignment).total(), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(IQDetCriterion()(points, wide, targets, assignment).total(), expected)


def test_what_is_not_finite_in_the_padding_reaches_no_gradient() -> None:
    points, said, targets = random_scene(2, images=2)
    leaf = said.boxes.clone()
    padding = ~points.within(targets[1].size)
    assert padding.any()
    leaf[1, padding] = math.nan
    leaf.requires_grad_()
    mixture_leaf = said.extra["quality mixture"].clone().requires_grad_()
    extra = {**said.extra, "quality mixture": mixture_leaf}
    assignment = IQDet()(points, said, targets)
    found = IQDetCriterion()(points, replace(said, boxes=leaf, extra=extra), targets, assignment)
    found.total().backward()
    assert leaf.grad is not None
    assert mixture_leaf.grad is not None
    assert leaf.grad.isfinite().all()
    assert mixture_leaf.grad.isfinite().all()


def test_a_box_that_is_not_finite_where_nothing_is_read_does_no_harm() -> None:
    """Point 0 of the second picture, which only a filler of its objects looks at."""
    points, said, targets = by_hand()
    none = replace(targets[0], boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    extra = {name: torch.cat([value, torch.zeros_like(value)]) for name, value in said.extra.items()}
    extra["quality mixture"][1, ..., 3:] = 1
    boxes = said.boxes.repeat(2, 1, 1)
    boxes[1, 0] = math.nan
    boxes.requires_grad_()
    both = Prediction(said.logits.repeat(2, 1, 1), boxes, said.quality.repeat(2, 1), extra)
    assignment = IQDet()(points, both, [targets[0], none])
    total = IQDetCriterion()(points, both, [targets[0], none], assignment).total()
    total.backward()
    assert total.isfinite()
    assert boxes.grad is not None
    assert boxes.grad.isfinite().all()
