"""AutoAssign's learned Gaussians: where they begin, where they go, and that they are trained like the rest."""

from __future__ import annotations

import math

import pytest
import torch

from mmmc.assign import AutoAssign
from mmmc.criterion import AutoAssignCriterion
from mmmc.errors import InputError
from mmmc.model import Detector, ModelConfig
from mmmc.parts import CenterPrior
from mmmc.parts.center_prior import LearnedPrior
from mmmc.recipe import OptimizerConfig
from mmmc.structures import Supervision
from mmmc.testing import make_scene, make_target
from mmmc.training.optim import build_optimizer


def detector(part: CenterPrior | None = None) -> Detector:
    config = ModelConfig(
        "resnet18", weights="none", channels=32, groups=8, depth=1, box_bias=4.0, part=part or CenterPrior()
    )
    torch.manual_seed(0)
    return Detector(config, classes=3)


IMAGES = torch.zeros(2, 3, 64, 96, dtype=torch.uint8)
TARGETS = [make_target([[8, 8, 60, 40]], (64, 96), labels=[1]), make_target([], (64, 96))]


def test_where_they_begin() -> None:
    """Class by class, horizontal before vertical: of three classes six numbers, the third and fourth are class 1's."""
    part = CenterPrior(sigma=2.0).build(32, 3)
    assert isinstance(part, LearnedPrior)
    scene = make_scene(0)
    with torch.no_grad():
        part.mean.copy_(torch.arange(6.0))
    extra = part.extra([], scene.points, scene.prediction, Supervision(scene.targets))
    assert extra["center mean"].tolist() == [[[0, 1], [2, 3], [4, 5]]] * 2
    assert extra["center sigma"].tolist() == [[[2, 2]] * 3] * 2


def test_only_training_has_them() -> None:
    model = detector()
    assert set(model(IMAGES, Supervision(TARGETS))[1].extra) == {"center mean", "center sigma"}
    assert not model(IMAGES)[1].extra
    assert {name for name in model.state_dict() if name.startswith("part.")} == {"part.mean", "part.sigma"}


def test_without_them_the_start_is_taken() -> None:
    model = detector().eval()
    points, trained = model(IMAGES, Supervision(TARGETS))
    _, plain = model(IMAGES)
    one, other = (AutoAssign()(points, said, TARGETS).pairs for said in (trained, plain))
    assert one is not None
    assert other is not None
    torch.testing.assert_close(one, other)


def test_the_loss_moves_those_of_the_classes_that_are_there() -> None:
    model = detector()
    points, prediction = model(IMAGES, Supervision(TARGETS))
    losses = AutoAssignCriterion()(points, prediction, TARGETS, AutoAssign()(points, prediction, TARGETS))
    losses.total().backward()
    assert isinstance(model.part, LearnedPrior)
    for parameter in (model.part.mean, model.part.sigma):
        assert parameter.grad is not None
        assert (parameter.grad.view(3, 2) != 0).tolist() == [[False, False], [True, True], [False, False]]


def test_the_optimiser_takes_them_for_scales() -> None:
    """Without the weights' decay, which would draw a deviation to 0; with that of scales, 0 unless a recipe says so."""
    model = detector()
    optimizer = build_optimizer(model, OptimizerConfig(weight_decay=0.05, norm_decay=0.0), 16)
    assert isinstance(model.part, LearnedPrior)
    for parameter in (model.part.mean, model.part.sigma):
        (group,) = [group for group in optimizer.param_groups if any(parameter is p for p in group["params"])]
        assert group["weight_decay"] == 0


@pytest.mark.parametrize("sigma", [0.0, -1.0, math.inf, math.nan])
def test_an_option_that_is_not_allowed(sigma: float) -> None:
    with pytest.raises(InputError, match=f"^part CenterPrior: sigma is {sigma}; allowed: a finite number above 0"):
        CenterPrior(sigma=sigma)
