"""SAPD by each of its rules: its promises, the rule written again, and devices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import torch
from fake_cuda import CUDA, Waits, devices, fake_prediction, fake_targets
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.nn.utils.rnn import pad_sequence

from mmmc.assign import SAPD, Assigner, ignore_crowds
from mmmc.boxes import area
from mmmc.criterion import SAPDCriterion
from mmmc.structures import Assignment, Points, Prediction, Target
from mmmc.testing import check_assigner, make_scene

from .slow_rules import Picture
from .slow_sapd import sapd

RULES = [
    SAPD(),
    SAPD(soft_levels=2),
    SAPD(shrink=0.6, soft_levels=9),
    SAPD(levels="net"),
    SAPD(levels="net", soft_levels=1),
    SAPD(levels="net", soft_levels=2, shrink=1.0),
]
BY_RULE = pytest.mark.parametrize("rule", RULES, ids=str)


def made_up_logits(points: Points, targets: Sequence[Target]) -> Tensor:
    """What a net might say: the nearer a level's stride is to an eighth of the object's side, the better."""
    boxes = pad_sequence([target.boxes for target in targets], batch_first=True)
    size = area(boxes).clamp(min=1).sqrt().log2()[..., None] - 3
    return -(size - torch.tensor(points.strides, device=boxes.device).log2()).abs()


@dataclass(frozen=True)
class WithNet(Assigner):
    """The rule on a prediction that comes with what a net might say."""

    rule: SAPD

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        logits = made_up_logits(points, targets)
        return self.rule(points, replace(prediction, extra={"level logits": logits}), targets)


@BY_RULE
def test_promises(rule: SAPD) -> None:
    check_assigner(WithNet(rule) if rule.levels == "net" else rule)


def compare(rule: SAPD, count: int) -> None:
    for seed in range(count):
        levels = 1 + seed % 4
        where = make_scene(seed, images=1, objects=1 + seed % 13, size=(88, 96), strides=(8, 16, 32, 64)[:levels])
        assert len(where.points) <= 200
        random = torch.randn(
            1, 1 + seed % 13, levels, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)
        )
        double = Prediction(
            *(getattr(where.prediction, name).double() for name in ("logits", "boxes", "quality")),
            extra={"level logits": random},
        )
        found = rule(where.points, double, where.targets)
        gt, weight, states = sapd(rule, Picture(where.points, double, where.targets[0]), random[0].tolist())
        assert found.gt[0].tolist() == gt, f"scene {seed}"
        assert found.weight[0].tolist() == pytest.approx(weight, rel=1e-9), f"scene {seed}"
        assert found.state[0].tolist() == states, f"scene {seed}"


@BY_RULE
def test_equals_the_slow_rule(rule: SAPD) -> None:
    compare(rule, 30)


@pytest.mark.full
@BY_RULE
def test_equals_the_slow_rule_on_300_scenes(rule: SAPD) -> None:
    compare(rule, 300)


@BY_RULE
def test_on_fake_cuda(rule: SAPD) -> None:
    with FakeTensorMode(shape_env=ShapeEnv()), CUDA:
        points, said = fake_prediction()
        net = torch.zeros(2, 3, 2, dtype=torch.bfloat16, requires_grad=True)
        prediction = replace(said, extra={"level logits": net})
        targets = fake_targets()
        found = rule(points, prediction, targets)
        assert devices(found.gt, found.score, found.weight, found.state, found.finite, found.counts()) == {"cuda:0"}
        total = SAPDCriterion()(points, prediction, targets, ignore_crowds(points, found, targets)).total()
    assert (str(total.device), total.dtype, total.requires_grad) == ("cuda:0", torch.float32, True)


@BY_RULE
def test_nothing_waits(rule: SAPD, monkeypatch: pytest.MonkeyPatch) -> None:
    # As on a GPU, where values are not at hand.
    monkeypatch.setattr("mmmc.assign.shared.pairs.at_hand", lambda _: False)
    points, prediction, targets = make_scene(0, objects=(5, 0))
    prediction = replace(prediction, extra={"level logits": made_up_logits(points, targets)})
    with Waits() as waits:
        found = ignore_crowds(points, rule(points, prediction, targets), targets)
        SAPDCriterion()(points, prediction, targets, found).total()
    assert waits.seen == []
