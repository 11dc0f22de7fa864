"""SAPD's criterion: by hand, against a slow form, its gradients, and what it cannot be paired with."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from assign.aps_reference import giou_loss
from assign.slow_rules import NONE, Picture, focal
from assign.slow_sapd import mean_loss, middle, sapd

from mmmc.assign import FCOS, SAPD
from mmmc.criterion import DenseCriterion, SAPDCriterion
from mmmc.errors import InputError
from mmmc.losses import Losses
from mmmc.model import ModelConfig
from mmmc.parts import CenterPrior, SelectionNet
from mmmc.points import make_points
from mmmc.recipe import Recipe, WarmStart
from mmmc.structures import Prediction
from mmmc.testing import Scene, make_scene, make_target

POINTS = make_points([(4, 4), (2, 2)], (8, 16))
"""At 4, 12, 20, 28 both ways, and at 8, 24."""
LARGE = [0.0, 0.0, 28.0, 28.0]
"""Its middle is the point (12, 12), number 5, and, standing in, (8, 8), number 16."""
POSITIVE = 0.25 * 0.5**2 * math.log(2)
NEGATIVE = 0.75 * 0.5**2 * math.log(2)
"""Focal loss at p = 1/2."""


def scene(logits: list[list[float]], *boxes: list[float]) -> Scene:
    """Objects of one class; all predicted boxes overlap the large one by 1/4, but for 1/2 at number 16."""
    predicted = torch.tensor([0.0, 0.0, 7.0, 28.0]).repeat(1, len(POINTS), 1)
    predicted[0, 16, 2] = 14.0
    prediction = Prediction(
        logits=torch.zeros(1, len(POINTS), 1, requires_grad=True),
        boxes=predicted.requires_grad_(),
        quality=torch.zeros(1, len(POINTS), requires_grad=True),
        extra={"level logits": torch.tensor([logits], requires_grad=True)},
    )
    return Scene(POINTS, prediction, [make_target(list(boxes), (32, 32))])


def losses(where: Scene, criterion: SAPDCriterion | None = None, rule: SAPD | None = None) -> Losses:
    return (criterion or SAPDCriterion())(*where, (rule or SAPD(levels="net"))(*where))


def terms(found: Losses) -> dict[str, tuple[float, float]]:
    return {name: (term.sum.item(), term.norm.item()) for name, term in (found.terms | found.watched).items()}


def test_terms_by_hand() -> None:
    """Weights, worked in the test of the assigner: .140625 at number 5 and .12 at number 16; together .260625.

    1 − IoU is 3/4 and 1/2: level 1 loses less. The net gives it 3/4, and −log 3/4 = .287682.
    """
    found = terms(losses(scene([[0.0, math.log(3)]], LARGE)))
    assert found["class"] == pytest.approx((0.260625 * POSITIVE + 18 * NEGATIVE, 0.260625))
    assert found["box"] == pytest.approx((0.140625 * 0.75 + 0.12 * 0.5, 0.260625))
    assert found["quality"] == (0, 2)
    assert found["levels"] == pytest.approx((0.1 * 0.287682, 1))
    assert found["levels agree"] == (1, 1)
    # Wrong: −log 1/4 = 1.386294.
    found = terms(losses(scene([[math.log(3), 0.0]], LARGE), SAPDCriterion(levels_factor=0.5)))
    assert found["levels"] == pytest.approx((0.5 * 1.386294, 1))
    assert found["levels agree"] == (0, 1)


def test_shrink_decides_what_the_net_learns() -> None:
    """In the box shrunk to 0.6 stride 8 has four points; where three of them are right, it is the better level."""
    where = scene([[0.0, math.log(3)]], LARGE)
    with torch.no_grad():
        where.prediction.boxes[0, [6, 9, 10], 2] = 28.0
    for shrink, expected in ((0.2, 0.287682), (0.6, 1.386294)):
        found = terms(losses(where, SAPDCriterion(shrink=shrink), SAPD(shrink=shrink, levels="net")))
        assert found["levels"][0] == pytest.approx(0.1 * expected)


def test_an_object_without_a_point_teaches_the_net_nothing() -> None:
    tiny = [5.0, 5.0, 7.0, 7.0]
    where = scene([[9.0, -9.0], [0.0, math.log(3)]], tiny, LARGE)
    assert terms(losses(where))["levels"] == pytest.approx((0.1 * 0.287682, 1))


def test_a_filler_teaches_the_net_nothing() -> None:
    """Pictures with one object and with none; the second is filled up with one that means nothing."""
    points, prediction, targets = scene([[0.0, math.log(3)]], LARGE)
    twice = Prediction(
        *(torch.cat([getattr(prediction, name)] * 2) for name in ("logits", "boxes", "quality")),
        extra={"level logits": torch.tensor([[[0.0, math.log(3)]], [[9.0, -9.0]]])},
    )
    found = losses(Scene(points, twice, [*targets, make_target([], (32, 32))]))
    assert terms(found)["levels"] == pytest.approx((0.1 * 0.287682, 1))


def test_gradients_of_the_levels_reach_the_net_alone() -> None:
    """Of 0.1 · cross-entropy with regard to the logits: 0.1 · (share − 1 at the target)."""
    where = scene([[0.0, math.log(3)]], LARGE)
    inputs = [where.prediction.extra["level logits"], where.prediction.boxes, where.prediction.logits]
    found = torch.autograd.grad(losses(where)["levels"].sum, inputs, allow_unused=True)
    torch.testing.assert_close(found[0], torch.tensor([[[0.025, -0.025]]]))
    assert found[1] is None
    assert found[2] is None


def test_weights_carry_no_gradient_to_the_net() -> None:
    where = scene([[0.0, math.log(3)]], LARGE)
    found = losses(where)
    both = found["class"].sum + found["box"].sum
    (gradient,) = torch.autograd.grad(both, where.prediction.extra["level logits"], allow_unused=True)
    assert gradient is None


def test_without_a_net_there_is_no_such_term() -> None:
    where = make_scene(0)
    assignment = SAPD()(*where)
    found = SAPDCriterion()(*where, assignment)
    assert set(found.terms) == {"class", "box", "quality"}
    same = DenseCriterion(class_norm="weight", box_weight="none", quality_factor=0.0)(*where, assignment)
    assert terms(found) == terms(same)


@pytest.mark.parametrize("rule", [SAPD(levels="net"), SAPD(soft_levels=2, shrink=0.6)], ids=str)
def test_equals_the_slow_form(rule: SAPD) -> None:
    for seed in range(20):
        number = 1 + seed % 9
        points, prediction, targets = make_scene(seed, images=1, objects=number, size=(88, 96))
        generator = torch.Generator().manual_seed(seed)
        logits = torch.randn(1, number, 3, dtype=torch.float64, generator=generator)
        double = Prediction(
            *(getattr(prediction, name).double() for name in ("logits", "boxes", "quality")),
            extra={"level logits": logits},
        )
        found = terms(losses(Scene(points, double, targets), SAPDCriterion(shrink=rule.shrink), rule))
        picture = Picture(points, double, targets[0])
        gt, weight, _ = sapd(rule, picture, logits[0].tolist())
        norm = sum(weight[p] for p, m in enumerate(gt) if m != NONE)
        cls = sum(
            weight[p] * focal(picture.probability[p], None if m == NONE else picture.labels[m])
            for p, m in enumerate(gt)
        )
        box = sum(
            weight[p] * giou_loss(picture.predicted[p], picture.boxes[m], 1, 0) for p, m in enumerate(gt) if m != NONE
        )
        entropy, known = 0.0, 0
        for m, row in enumerate(logits[0].tolist()):
            regions = {level: middle(picture, m, level, rule.shrink)[0] for level in range(3)}
            means = {level: mean_loss(picture, m, region) for level, region in regions.items() if region}
            if means:
                best = min(means, key=means.__getitem__)
                entropy += math.log(sum(math.exp(value - row[best]) for value in row))
                known += 1
        assert found["class"] == pytest.approx((cls, norm), rel=1e-9), f"scene {seed}"
        assert found["box"] == pytest.approx((box, norm), rel=1e-9), f"scene {seed}"
        assert found["levels"] == pytest.approx((0.1 * entropy, known), rel=1e-9), f"scene {seed}"


def test_losses_that_are_not_finite_are_left_out_of_the_choice() -> None:
    where = scene([[0.0, math.log(3)]], LARGE)
    with torch.no_grad():
        where.prediction.logits[0, 16:] = torch.nan
    # Level 1 has no finite loss: the target is level 0.
    assert losses(where)["levels"].sum.item() == pytest.approx(0.1 * 1.386294)
    with torch.no_grad():
        where.prediction.logits[0] = torch.nan
    found = losses(where)["levels"]
    assert (found.sum.item(), found.norm.item()) == (0, 0)


def test_low_precision_is_computed_in_float32() -> None:
    where = scene([[0.0, 1.5]], LARGE)
    low = {"level logits": where.prediction.extra["level logits"].bfloat16()}
    narrow = where._replace(prediction=replace(where.prediction, extra=low))
    with torch.autocast("cpu", torch.bfloat16):
        found = losses(narrow)
    assert found["levels"].sum.dtype == torch.float32
    assert found["levels"].sum.item() == losses(where)["levels"].sum.item()


def test_what_it_can_be_paired_with() -> None:
    criterion, net = SAPDCriterion(), SelectionNet()
    for assigner, part in ((SAPD(), None), (SAPD(), net), (SAPD(levels="net"), net), (FCOS(), net), (FCOS(), None)):
        criterion.require(assigner, part)
    with pytest.raises(InputError, match=r"criterion.shrink is 0.2; allowed: assigner.shrink, which is 0.3"):
        criterion.require(SAPD(shrink=0.3), None)
    for part in (None, CenterPrior()):
        with pytest.raises(InputError, match=r"assigner.levels is net; allowed with model.part: SelectionNet"):
            criterion.require(SAPD(levels="net"), part)
    with pytest.raises(InputError, match=r"assigner.levels is net"):
        Recipe(criterion=criterion, warm_start=WarmStart(SAPD(levels="net")))
    Recipe(criterion=criterion, assigner=SAPD(levels="net"), model=ModelConfig(part=net))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"levels_factor": -1.0}, "levels_factor is -1.0; allowed: a finite number"),
        ({"levels_factor": math.inf}, "levels_factor is inf"),
        ({"shrink": 0.0}, "shrink is 0.0; allowed: above 0 to 1"),
        ({"shrink": 2.0}, "shrink is 2.0"),
        ({"alpha": 2.0}, "alpha is 2.0"),
    ],
)
def test_options_out_of_range_are_refused(options: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=f"criterion: {said}"):
        SAPDCriterion(**options)  # type: ignore[arg-type]
