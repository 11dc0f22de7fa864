"""FreeAnchor: the promises, numbers worked by hand, and the rule written again."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from fake_cuda import Waits, devices, fake_cuda, fake_prediction, fake_targets
from near_scenes import near_scene

from mmmc.assign import MAL, FreeAnchor, ignore_crowds
from mmmc.assign.shared.bags import foremost
from mmmc.criterion import BagCriterion
from mmmc.errors import InputError
from mmmc.points import make_points
from mmmc.structures import IGNORED, Assignment, ObjectState, Prediction
from mmmc.testing import check_assigner, make_scene, make_target

from . import slow_bags
from .slow_rules import Picture

__all__ = ["fake_cuda"]

VARIANTS = [
    FreeAnchor(),
    FreeAnchor(bag=7),
    FreeAnchor(bag=12, bag_by="center", box_factor=0.75),
    FreeAnchor(bag=1, box_factor=0.0),
]


@pytest.mark.parametrize("rule", VARIANTS, ids=str)
def test_promises(rule: FreeAnchor) -> None:
    check_assigner(rule)


def compare(rule: FreeAnchor, count: int) -> None:
    for seed in range(count):
        scene = near_scene(seed, spread=0.2)
        found = rule(*scene)
        picture = Picture(scene.points, scene.prediction, scene.targets[0])
        expected = slow_bags.pairs(rule, picture)
        dense = torch.zeros(len(expected), len(scene.points), dtype=torch.float64)
        for m, bag in enumerate(expected):
            for p, weight in bag.items():
                dense[m, p] = weight
        assert found.pairs is not None
        assert torch.equal(found.pairs[0] > 0, dense > 0), f"scene {seed}"
        torch.testing.assert_close(found.pairs[0], dense, rtol=1e-9, atol=0)
        gt = slow_bags.owners(picture, expected)
        assert found.gt[0].tolist() == gt, f"scene {seed}"
        assert found.score[0].tolist() == [float(m >= 0) for m in gt]
        weight = [expected[m][p] if m >= 0 else 1.0 for p, m in enumerate(gt)]
        assert found.weight[0].tolist() == pytest.approx(weight, rel=1e-9)


@pytest.mark.parametrize("rule", VARIANTS, ids=str)
def test_equals_the_slow_rule(rule: FreeAnchor) -> None:
    compare(rule, 30)


@pytest.mark.full
@pytest.mark.parametrize("rule", VARIANTS, ids=str)
def test_equals_the_slow_rule_on_300_scenes(rule: FreeAnchor) -> None:
    compare(rule, 300)


# --- worked by hand: two levels, strides 8 and 16, a picture of 32 x 32

POINTS = make_points([(4, 4), (2, 2)], (8, 16))
"""Points 0-15 at 4, 12, 20, 28 in both directions; 16-19 at 8 and 24."""
BOXES = {0: [0.0, 0, 16, 16], 1: [0.0, 0, 16, 8], 4: [0.0, 0, 8, 16], 17: [0.0, 0, 32, 16]}
TWO = make_target([[0, 0, 16, 16], [0, 0, 32, 16]], (32, 32), labels=[0, 1])
LOG4 = math.log(4)
"""As factor on 1 - GIoU it makes a GIoU of 1/2 a half."""


def prediction(boxes: dict[int, list[float]]) -> Prediction:
    """Two classes of probability 1/2 everywhere; boxes as given, elsewhere a far one."""
    drawn = torch.tensor([boxes.get(p, [90.0, 90.0, 99.0, 99.0]) for p in range(20)])[None]
    return Prediction(torch.zeros(1, 20, 2), drawn, torch.zeros(1, 20))


def weights(assignment: Assignment, m: int) -> dict[int, float]:
    assert assignment.pairs is not None
    row = assignment.pairs[0, m].tolist()
    return {p: value for p, value in enumerate(row) if value > 0}


def test_by_hand() -> None:
    """Object 0 is 0 0 16 16: points 0, 1, 4, 5 and 16 lie in it. Object 1 is 0 0 32 16, with points 0 … 7, 16, 17.

    IoU, here also GIoU, with object 0: 1, 1/2, 1/2 at points 0, 1, 4, and 0 at 5 and 16: a bag of three is 0, 1, 4.
    P is 1/2 · 4^-(1 - GIoU): 1/2, 1/4, 1/4. 1 / (1 - P) is 2, 4/3, 4/3, together 14/3: weights 3/7, 2/7, 2/7.

    With object 1: 1 at 17, 1/2 at 0, 1/4 at 1 and 4, of which 1 is nearer to (16, 8): 0.71 against 1.58 strides.
    P is 1/2, 1/4 and 4^-0.75 / 2 = 0.176777; 2, 4/3, 1.214738 have the sum 4.548071: weights 0.439747, 0.293164,
    0.267089. Points 0 and 1 weigh more for object 0.
    """
    found = FreeAnchor(bag=3, box_factor=LOG4)(POINTS, prediction(BOXES), [TWO])
    assert weights(found, 0) == pytest.approx({0: 3 / 7, 1: 2 / 7, 4: 2 / 7})
    assert weights(found, 1) == pytest.approx({17: 0.439747, 0: 0.293164, 1: 0.267089}, rel=1e-5)
    assert {p: m for p, m in enumerate(found.gt[0].tolist()) if m >= 0} == {0: 0, 1: 0, 4: 0, 17: 1}
    assert found.weight[0, 17].item() == pytest.approx(0.439747, rel=1e-5)
    assert found.counts()[0].tolist() == [3, 3]
    # Twice the factor: a GIoU of 1/2 makes a quarter, P is 1/2, 1/8, 1/8; 2, 8/7, 8/7 have the sum 30/7.
    steep = FreeAnchor(bag=3, box_factor=2 * LOG4)(POINTS, prediction(BOXES), [TWO])
    assert weights(steep, 0) == pytest.approx({0: 7 / 15, 1: 4 / 15, 4: 4 / 15})


def test_equal_overlaps_are_settled_by_the_distance() -> None:
    """Points 5 and 16 overlap alike, not at all; 16 is in the centre. A box of fewer points gives all of them."""
    assert sorted(weights(FreeAnchor(bag=4)(POINTS, prediction(BOXES), [TWO]), 0)) == [0, 1, 4, 16]
    assert sorted(weights(FreeAnchor()(POINTS, prediction(BOXES), [TWO]), 0)) == [0, 1, 4, 5, 16]
    # A detector that predicts nothing near: the centre, then the first of four points at 0.71 strides.
    assert sorted(weights(FreeAnchor(bag=2)(POINTS, prediction({}), [TWO]), 0)) == [0, 16]
    # By the centre it is always so: object 1 has its centre at (16, 8), half a stride from 16 and 17.
    center = FreeAnchor(bag=3, bag_by="center")(POINTS, prediction(BOXES), [TWO])
    assert sorted(weights(center, 0)) == [0, 1, 16]
    assert sorted(weights(center, 1)) == [1, 16, 17]


def test_a_match_takes_all_the_weight_and_stays_finite() -> None:
    """P = 1 at point 0 in float32: 1 - P counts as 1e-12."""
    said = prediction(BOXES)
    said.logits[0, 0] = 100.0
    found = FreeAnchor(bag=3, box_factor=LOG4)(POINTS, said, [TWO])
    assert weights(found, 0)[0] == 1
    assert weights(found, 0)[1] == pytest.approx(4e-12 / 3, rel=1e-4)


def test_a_point_that_two_objects_want_alike_is_shown_with_the_smaller() -> None:
    """Point 0 is the only one of both boxes, so it weighs 1 in both."""
    target = make_target([[1, 1, 8, 8], [2, 2, 7, 7]], (32, 32))
    found = FreeAnchor()(POINTS, prediction({}), [target])
    assert found.gt[0, 0] == 1
    assert found.counts()[0].tolist() == [1, 1]
    assert found.state[0].tolist() == [ObjectState.CHOSEN] * 2


def test_foremost_takes_no_more_than_it_may() -> None:
    value = torch.tensor([[[1.0, 3.0, 1.0, 1.0, 9.0]]])
    away = torch.tensor([[[3.0, 0.0, 1.0, 1.0, 0.0]]])
    allowed = torch.tensor([[[True, True, True, True, False]]])
    for count, expected in ((1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (4, [0, 1, 2, 3]), (9, [0, 1, 2, 3])):
        assert foremost(value, away, allowed, count)[0, 0].nonzero().flatten().tolist() == expected


def test_what_is_not_finite_takes_no_part_and_is_named() -> None:
    """Point 0 lies in both objects; the class of object 1 is not a number there, its box is finite."""
    said = prediction(BOXES)
    said.logits[0, 0, 1] = math.nan
    said.boxes[0, 4] = math.inf
    found = FreeAnchor(bag=3)(POINTS, said, [TWO])
    assert sorted(weights(found, 0)) == [0, 1, 16]
    assert sorted(weights(found, 1)) == [1, 16, 17]
    assert not found.finite.item()
    assert [found.not_finite[term][0].tolist() for term in ("class", "box")] == [[False, True], [True, True]]
    all_bad = replace(said, boxes=torch.full_like(said.boxes, math.nan))
    assert FreeAnchor()(POINTS, all_bad, [TWO]).state[0].tolist() == [ObjectState.NO_CANDIDATE] * 2


def test_no_object_and_crowds() -> None:
    empty = make_target([], (32, 32), crowd=[[0, 0, 16, 16]])
    found = FreeAnchor()(POINTS, prediction(BOXES), [empty])
    assert found.pairs is not None
    assert found.pairs.shape == (1, 0, 20)
    assert (found.gt == -1).all()
    crowded = replace(TWO, crowd=torch.tensor([[0.0, 0.0, 16.0, 32.0]]))
    points = ignore_crowds(POINTS, FreeAnchor(bag=3)(POINTS, prediction(BOXES), [crowded]), [crowded]).gt[0].tolist()
    assert [p for p, m in enumerate(points) if m == IGNORED] == [5, 8, 9, 12, 13, 16, 18]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bag": 0}, "bag is 0; allowed: 1 or more"),
        ({"box_factor": -1.0}, "box_factor is -1.0; allowed: a finite number of at least 0"),
        ({"box_factor": math.nan}, "box_factor is nan"),
        ({"box_factor": math.inf}, "box_factor is inf"),
    ],
)
def test_an_option_that_is_not_allowed(options: dict[str, object], said: str) -> None:
    with pytest.raises(InputError, match=f"^assigner FreeAnchor: {said}"):
        FreeAnchor(**options)  # type: ignore[arg-type]


# --- on a device


@pytest.mark.usefixtures("fake_cuda")
@pytest.mark.parametrize("rule", [FreeAnchor(), FreeAnchor(bag_by="center"), MAL(bag=50, progress=0.5)], ids=str)
def test_on_fake_cuda(rule: FreeAnchor) -> None:
    points, said = fake_prediction()
    targets = fake_targets()
    with Waits() as waits:
        assignment = ignore_crowds(points, rule(points, said, targets), targets)
        total = BagCriterion()(points, said, targets, assignment).total()
    assert waits.seen == []
    values = (assignment.gt, assignment.weight, assignment.pairs, assignment.state, assignment.finite)
    assert devices(*values, assignment.counts()) == {"cuda:0"}
    assert (str(total.device), total.dtype, total.requires_grad) == ("cuda:0", torch.float32, True)


@pytest.mark.parametrize("rule", VARIANTS, ids=str)
def test_nothing_waits(rule: FreeAnchor) -> None:
    scene = make_scene(0, objects=(5, 0))
    with Waits() as waits:
        rule(*scene)
    assert waits.seen == []
