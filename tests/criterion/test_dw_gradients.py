"""DW's losses: what reaches which parameter, and values that are extreme, of low precision, in crowds, or ignored."""

from __future__ import annotations

import pytest
import torch
from assign import slow_dw
from assign.two_objects import pictures, two_objects
from torch import Tensor

from mmmc.assign import DW
from mmmc.criterion import DWCriterion
from mmmc.model import Detector, ModelConfig
from mmmc.structures import IGNORED, Prediction
from mmmc.testing import Scene, make_target

from .dw_losses import BACKGROUND, losses
from .terms import assert_low_precision_is_widened, assert_reaches_all, sums


def small_scene() -> Scene:
    """Two pictures, the second without objects."""
    scene = two_objects()
    random = torch.Generator().manual_seed(3)
    said = Prediction(
        logits=torch.randn(2, 5, 2, generator=random, dtype=torch.float64),
        # Not the boxes of the table: theirs touch, where the loss has a kink.
        boxes=scene.prediction.boxes.repeat(2, 1, 1) + torch.rand(2, 5, 4, generator=random, dtype=torch.float64) / 3,
        quality=torch.randn(2, 5, generator=random, dtype=torch.float64),
    )
    return Scene(scene.points, said, [scene.targets[0], make_target([], (16, 16))])


MOVED = {"class": ["logits", "quality"], "box": ["boxes"], "negative": ["logits", "quality"]}


@pytest.mark.parametrize("term", MOVED)
def test_gradients_are_those_of_the_values_with_fixed_weights(term: str) -> None:
    scene = small_scene()
    assignment = DW()(*scene)
    inputs = {name: getattr(scene.prediction, name).clone().requires_grad_() for name in ("logits", "boxes", "quality")}

    def value(*values: Tensor) -> Tensor:
        prediction = Prediction(**(inputs | dict(zip(MOVED[term], values, strict=True))))
        return DWCriterion()(scene.points, prediction, scene.targets, assignment)[term].sum

    assert torch.autograd.gradcheck(value, [inputs[name] for name in MOVED[term]])
    loss = DWCriterion()(scene.points, Prediction(**inputs), scene.targets, assignment)[term]
    assert not loss.norm.requires_grad
    found = torch.autograd.grad(loss.sum, list(inputs.values()), materialize_grads=True)
    moved = [name for name, gradient in zip(inputs, found, strict=True) if gradient.any()]
    assert sorted(moved) == sorted(MOVED[term])


def test_extreme_logits_stay_finite() -> None:
    """In float32, where probabilities are 0 or 1 to the last bit."""
    for logit in (-200.0, 200.0):
        scene = small_scene()
        said = scene.prediction
        prediction = Prediction(
            logits=torch.full_like(said.logits, logit, dtype=torch.float32).requires_grad_(),
            boxes=said.boxes.float().requires_grad_(),
            quality=torch.full_like(said.quality, logit, dtype=torch.float32).requires_grad_(),
        )
        found = losses(scene._replace(prediction=prediction))
        assert all(term.sum.isfinite() for term in found.terms.values())
        found.total().backward()
        for value in (prediction.logits, prediction.boxes, prediction.quality):
            assert value.grad is not None
            assert value.grad.isfinite().all()


def test_a_batch_without_objects_reaches_every_parameter() -> None:
    config = ModelConfig("resnet18", weights="none", frozen_stages=0, channels=32, groups=8, depth=1)
    detector = Detector(config, classes=3)
    targets = [make_target([], (32, 32)), make_target([], (30, 32))]
    points, prediction = detector(torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8))
    found = losses(Scene(points, prediction, targets))
    assert sums(found)["class"] == sums(found)["box"] == (0, 0)
    assert found["negative"].norm == 0
    found.total().backward()
    assert_reaches_all(detector)


def test_low_precision_is_computed_in_float32() -> None:
    assert_low_precision_is_widened(losses)


def test_points_in_crowds_take_no_part() -> None:
    """The crowd covers points 2 and 3, which no object holds: four classes' worth of background less."""
    scene = two_objects()
    crowd = make_target([[0, 0, 16, 8]], (16, 16), crowd=[[0, 8, 16, 16]])
    plain = make_target([[0, 0, 16, 8]], (16, 16))
    one, other = (losses(scene._replace(targets=[target])) for target in (crowd, plain))
    assert (other["negative"].sum - one["negative"].sum).item() == pytest.approx(0.75 * 4 * BACKGROUND)
    for name in ("class", "box"):
        assert sums(one)[name] == sums(other)[name]


def test_a_point_that_is_ignored_takes_no_part_even_in_a_box() -> None:
    scene = two_objects()
    assignment = DW()(*scene)
    assignment.gt[0, 1] = IGNORED
    found = sums(DWCriterion()(*scene, assignment))
    for name, term in slow_dw.losses(pictures(scene), [[1]]).items():
        assert found[name] == pytest.approx(term), name
