"""Seven assigners of others: the promises, numbers worked by hand, and the rules written again."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from mmmc.assign import ATSS, FCOS, OTA, PAA, TAL, Assigner, DynamicSoftLabel, MaxIoU, SimOTA
from mmmc.assign.dynamic_k import cheapest, dynamic_k
from mmmc.assign.ota import sinkhorn
from mmmc.assign.pairs import iou_losses, of_labels, score_table
from mmmc.assign.rules import least
from mmmc.errors import InputError
from mmmc.points import make_points
from mmmc.structures import IGNORED, NEGATIVE, ObjectState, Prediction
from mmmc.testing import check_assigner, make_scene, make_target

from . import slow_rules

CASES: list[tuple[Assigner, Callable[..., list[int]]]] = [
    (ATSS(), slow_rules.atss),
    (ATSS(topk=3, square_strides=4.0), slow_rules.atss),
    (MaxIoU(), slow_rules.max_iou),
    (MaxIoU(positive=0.6, negative=0.3, square_strides=4.0, keep_best=False), slow_rules.max_iou),
    (SimOTA(), slow_rules.simota),
    (SimOTA(region="box_and_square", radius=2.5, score="cls"), slow_rules.simota),
    (DynamicSoftLabel(), slow_rules.dynamic_soft_label),
    (DynamicSoftLabel(box_cost=1.0, center_radius=1.0, topk=5), slow_rules.dynamic_soft_label),
    (TAL(), slow_rules.tal),
    (TAL(topk=5, alpha=0.5, beta=2.0, target="hard"), slow_rules.tal),
    (PAA(), slow_rules.paa),
    (PAA(rule="a", prematch="inside"), slow_rules.paa),
    (PAA(least_iou=0.3, square_strides=4.0, topk=3), slow_rules.paa),
    (OTA(), slow_rules.ota),
    (OTA(radius=1.5, box_cost=3.0, topk=5, epsilon=0.3, iterations=20), slow_rules.ota),
]
BY_NAME = pytest.mark.parametrize(("rule", "slow"), CASES, ids=[repr(rule) for rule, _ in CASES])


@BY_NAME
def test_promises(rule: Assigner, slow: object) -> None:
    del slow
    check_assigner(rule, crowd=1000 if rule == type(rule)() else 60)


def compare(rule: Assigner, slow: Callable[..., list[int]], count: int) -> None:
    for seed in range(count):
        levels = 1 + seed % 4
        scene = make_scene(seed, images=1, objects=1 + seed % 13, size=(88, 96), strides=(8, 16, 32, 64)[:levels])
        assert len(scene.points) <= 200
        double = Prediction(*(getattr(scene.prediction, name).double() for name in ("logits", "boxes", "quality")))
        found = rule(scene.points, double, scene.targets)
        picture = slow_rules.Picture(scene.points, double, scene.targets[0])
        expected = slow(rule, picture)
        assert found.gt[0].tolist() == expected, f"scene {seed}"
        if isinstance(rule, TAL) and rule.target == "soft":
            assert found.score[0].tolist() == pytest.approx(slow_rules.tal_scores(rule, picture, expected))


@BY_NAME
def test_equals_the_slow_rule(rule: Assigner, slow: Callable[..., list[int]]) -> None:
    compare(rule, slow, 30)


@pytest.mark.full
@BY_NAME
def test_equals_the_slow_rule_on_300_scenes(rule: Assigner, slow: Callable[..., list[int]]) -> None:
    compare(rule, slow, 300)


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda: ATSS(topk=0), "topk is 0; allowed: 1 or more"),
        (lambda: ATSS(square_strides=0), "square_strides is 0; allowed: a number above 0"),
        (lambda: MaxIoU(negative=0.6), "negative is 0.6 and positive 0.5"),
        (lambda: MaxIoU(square_strides=-1), "square_strides is -1"),
        (lambda: SimOTA(radius=0), "radius is 0"),
        (lambda: SimOTA(box_cost=-1), "box_cost is -1"),
        (lambda: SimOTA(topk=0), "topk is 0"),
        (lambda: DynamicSoftLabel(box_cost=-1), "box_cost is -1"),
        (lambda: DynamicSoftLabel(center_radius=-1), "center_radius is -1"),
        (lambda: DynamicSoftLabel(topk=0), "topk is 0"),
        (lambda: TAL(topk=0), "topk is 0"),
        (lambda: TAL(alpha=-1), "alpha is -1"),
        (lambda: TAL(beta=math.nan), "beta is nan"),
        (lambda: PAA(least_iou=2), "least_iou is 2; allowed: 0 to 1"),
        (lambda: PAA(square_strides=0), "square_strides is 0"),
        (lambda: PAA(topk=0), "topk is 0"),
        (lambda: OTA(epsilon=0), "epsilon is 0"),
        (lambda: OTA(radius=0), "radius is 0"),
        (lambda: OTA(box_cost=-1), "box_cost is -1"),
        (lambda: OTA(topk=0), "topk is 0"),
        (lambda: OTA(iterations=0), "iterations is 0"),
    ],
)
def test_an_option_that_is_not_allowed(build: Callable[[], Assigner], said: str) -> None:
    with pytest.raises(InputError, match=f"^assigner .*{said}"):
        build()


# --- shared rules


def test_least_takes_the_first_of_equals_and_nothing_that_is_not_finite() -> None:
    column = torch.tensor([2.0, 1.0, 2.0, math.inf, 2.0, math.nan])[:, None]
    assert least(column, 2, 2)[:, 0].tolist() == [True, True, False, False, False, False]
    assert least(column, 9, 9)[:, 0].tolist() == [True, True, True, False, True, False]
    assert not least(column, torch.tensor([0]), 3).any()


def test_second_choices_come_after_all_first_ones() -> None:
    cost = torch.tensor([5.0, 1.0, 9.0, 2.0])[:, None]
    first = torch.tensor([True, False, True, False])[:, None]
    chosen = [cheapest(cost, first, torch.ones_like(first), torch.tensor([k]), 4)[:, 0].tolist() for k in (1, 2, 3)]
    assert chosen == [[True, False, False, False], [True, False, True, False], [True, True, True, False]]


def test_k_is_the_rounded_sum_of_the_best_overlaps() -> None:
    # Object 0: 0.9 + 0.8 + 0.7 = 2.4 without its smallest, 2. Object 1: 0.4 in all, at least 1. Object 2 has no pair.
    iou = torch.tensor([[0.9, 0.1, 0.9], [0.8, 0.3, 0.9], [0.7, 0.9, 0.9], [0.65, 0.0, 0.9]])
    candidate = torch.tensor([[1, 1, 0], [1, 1, 0], [1, 0, 0], [1, 0, 0]]).bool()
    assert dynamic_k(iou, candidate, 3).tolist() == [2, 1, 1]
    assert dynamic_k(iou, candidate, 4).tolist() == [3, 1, 1]


def test_iou_losses_end_at_an_iou_of_a_hundred_millionth() -> None:
    found = iou_losses(torch.tensor([1.0, 0.5, 1e-5, 0.0], dtype=torch.float64))
    assert found.tolist() == pytest.approx([0, math.log(2), 5 * math.log(10), 8 * math.log(10)])


def test_score_losses_are_cross_entropy_of_the_product() -> None:
    # Probabilities 1/2 and 1/5, quality 1/2: scores 0.5 and sqrt(0.1) = 0.316228.
    logits = torch.tensor([[[0.0, -math.log(4)]]], dtype=torch.float64)
    found = of_labels(score_table(logits, torch.zeros(1, 1, dtype=torch.float64)), torch.tensor([[0, 1]]))
    assert found.flatten().tolist() == pytest.approx(
        [math.log(2) - math.log(0.683772), math.log(2) - math.log(0.316228)], 1e-5
    )


# --- worked by hand: two levels, strides 8 and 16, a picture of 32 x 32

POINTS = make_points([(4, 4), (2, 2)], (8, 16))
"""Points 0-15 at 4, 12, 20, 28 in both directions; 16-19 at 8 and 24."""


def prediction(boxes: dict[int, list[float]], *, logit: float = 0.0, classes: int = 1) -> Prediction:
    """The same logits everywhere; boxes as given, elsewhere a far one."""
    drawn = torch.tensor([boxes.get(p, [90.0, 90.0, 99.0, 99.0]) for p in range(20)])[None]
    return Prediction(torch.full((1, 20, classes), logit), drawn, torch.zeros(1, 20))


def test_atss_by_hand() -> None:
    """Box 0 0 16 16, squares of 2 strides, two candidates a level.

    P3 (squares of 16): distances from (8, 8) are equal for points 0, 1, 4, 5; the first two count: point 0 at (4, 4)
    reaches 12 x 12 into the box: 144 / (256 + 256 - 144) = 0.391304. Point 1 at (12, 4): likewise. P4 (squares of 32):
    point 16 at (8, 8) covers the box: 256 / 1024 = 0.25; point 17 at (24, 8): 8 x 16 = 128 / 1152 = 0.111111.
    Mean 0.285930, unbiased deviation 0.134238, threshold 0.420168: no candidate reaches it.
    With 4 a level, point 4 and 5 too have 0.391304; point 18 0.111111 and 19 64 / 1216 = 0.052632:
    mean 0.261259, deviation 0.149469, threshold 0.410728. With 1 a level: mean 0.320652, deviation 0.099918, 0.420570.
    """
    target = make_target([[0, 0, 16, 16]], (32, 32))
    iou = torch.tensor([[0.391304], [0.391304], [0.25], [0.111111]])
    assert ATSS.threshold(iou, torch.ones_like(iou).bool()).item() == pytest.approx(0.420168, abs=1e-5)
    assert ATSS.threshold(iou[1:3], torch.ones(2, 1).bool()).item() == pytest.approx(0.420570, abs=1e-5)
    all_eight = torch.tensor([0.391304] * 4 + [0.25, 0.111111, 0.111111, 0.052632])[:, None]
    assert ATSS.threshold(all_eight, torch.ones(8, 1).bool()).item() == pytest.approx(0.410728, abs=1e-5)
    empty = ATSS(topk=2, square_strides=2.0)(POINTS, prediction({}), [target])
    assert empty.state[0].tolist() == [ObjectState.NO_CANDIDATE]
    # Level P3 alone: four equal candidates, deviation 0, all positive although rounding may part them.
    fine = make_points([(4, 4)], (8,))
    few = Prediction(torch.zeros(1, 16, 1), torch.zeros(1, 16, 4), torch.zeros(1, 16))
    assert ATSS(topk=4, square_strides=2.0)(fine, few, [target]).gt[0].nonzero().flatten().tolist() == [
        p for p in range(16) if p not in (0, 1, 4, 5)
    ]
    assert ATSS(topk=1, square_strides=2.0)(fine, few, [target]).counts()[0].tolist() == [1]


def test_max_iou_by_hand() -> None:
    """Box 0 0 16 16, squares of 2 strides: 0.391304 at points 0, 1, 4, 5 and 0.25 at point 16, as above."""
    target = make_target([[0, 0, 16, 16]], (32, 32))
    found = MaxIoU(positive=0.39, negative=0.25, square_strides=2.0)(POINTS, prediction({}), [target]).gt[0].tolist()
    assert [found[p] for p in (0, 1, 4, 5, 16, 17)] == [0, 0, 0, 0, IGNORED, NEGATIVE]
    # Point 2 at (20, 4): 4 x 12 = 48 / (512 - 48) = 0.103; ignored from that on, though outside the box.
    low = MaxIoU(positive=0.5, negative=0.1, square_strides=2.0)(POINTS, prediction({}), [target]).gt[0].tolist()
    assert [low[p] for p in (0, 1, 2, 16)] == [0, 0, IGNORED, IGNORED]
    none = MaxIoU(positive=0.5, negative=0.4, square_strides=2.0, keep_best=False)(POINTS, prediction({}), [target])
    assert none.state[0].tolist() == [ObjectState.NO_CANDIDATE]


def test_simota_by_hand() -> None:
    """Box 0 0 16 16, radius 1 stride: points 0, 1, 4, 5 (4 px from the centre) and of P4 points 16 (0 px).

    The overlaps 1, 0.75, 0.5, 0.25 and 1 of their boxes sum to 3.5, so k = 3; all classes cost the same, so that the
    overlaps decide: points 0, 16 and 1.
    """
    boxes = {0: [0, 0, 16, 16], 1: [0, 0, 16, 12], 4: [0, 0, 16, 8], 5: [0, 0, 16, 4], 16: [0, 0, 16, 16]}
    target = make_target([[0, 0, 16, 16]], (32, 32))
    found = SimOTA(radius=1.0)(POINTS, prediction(boxes), [target])
    assert (found.gt[0] == 0).nonzero().flatten().tolist() == [0, 1, 16]
    # The sum of the best two is 2.
    assert (SimOTA(radius=1.0, topk=2)(POINTS, prediction(boxes), [target]).gt[0] == 0).sum() == 2


def test_simota_takes_points_beyond_the_box_where_the_square_reaches() -> None:
    """Box 10 10 14 14 holds point 5 alone; the square of 1.5 strides has points at 4 to 20."""
    boxes = {p: [10, 10, 14, 14] for p in (5, 6)}
    target = make_target([[10, 10, 14, 14]], (32, 32))
    assert (SimOTA()(POINTS, prediction(boxes), [target]).gt[0] == 0).nonzero().flatten().tolist() == [5, 6]
    strict = SimOTA(region="box_and_square", box_cost=0.0)(POINTS, prediction(boxes), [target])
    # k is 2: point 5 is in box and square, the second choice is the first of equal cost.
    assert (strict.gt[0] == 0).nonzero().flatten().tolist() == [0, 5]


def test_paa_by_hand() -> None:
    """Box 0 0 16 16, squares of 2 strides: 0.391304 at points 0, 1, 4, 5, 0.25 at point 16 (see ATSS).

    All classes cost the same, so 1 - GIoU decides: 0 at points 0, 4 and 16, 0.2 at point 1, 0.9 at point 5. The fit
    ends with means 0.05 (the four: 0.2 / 4) and 0.9. Rule a takes the four. 0 is nearer to 0.05 than 0.2 is, so the
    likeliest member is at 0, which leaves three (rule c); point 1 lies between it and 0.9, ignored by rule b.
    """
    boxes = {0: [0, 0, 16, 16], 1: [0, 0, 16, 12.8], 4: [0, 0, 16, 16], 5: [0, 0, 16, 1.6], 16: [0, 0, 16, 16]}
    target = make_target([[0, 0, 16, 16]], (32, 32))

    def labels(**options: object) -> dict[int, list[int]]:
        gt = PAA(square_strides=2.0, **options)(POINTS, prediction(boxes), [target]).gt[0]  # type: ignore[arg-type]
        return {value: (gt == value).nonzero().flatten().tolist() for value in (0, IGNORED)}

    assert labels(rule="a") == {0: [0, 1, 4, 16], IGNORED: []}
    assert labels() == {0: [0, 4, 16], IGNORED: []}
    assert labels(rule="b") == {0: [0, 4, 16], IGNORED: [1]}
    # From an overlap of 0.3 on P4 drops out. None reaches 0.9: the object keeps its best, here four equal ones.
    assert labels(least_iou=0.3)[0] == labels(least_iou=0.9)[0] == [0, 4]
    # The best of each level alone: points 0 and 16, which are equal.
    assert labels(topk=1)[0] == [0, 16]


def test_paa_gives_a_point_to_the_square_that_overlaps_more() -> None:
    """Two boxes hold point 5 at (12, 12): its square of 2 strides covers 4..20; the smaller box overlaps it more."""
    target = make_target([[0, 0, 32, 32], [6, 6, 18, 18]], (32, 32))
    said = prediction({p: [0.0, 0, 32, 32] for p in range(20)})
    squares = PAA(square_strides=2.0)(POINTS, said, [target])
    inside = PAA(prematch="inside", topk=16)(POINTS, said, [target])
    assert squares.gt[0, 5] == 1
    # With the loss as judge the larger box has it, since all predictions are that box.
    assert inside.gt[0, 5] == 0


def test_tal_by_hand() -> None:
    """Box 0 0 16 16: overlaps 1, 0.75, 0.5 with exponent 2 and probability 1/2 give 0.5, 0.28125 and 0.125.

    The best has the best overlap, 1, as its target; the others 0.5625 and 0.25. Point 2 lies outside: it is among
    the best three and drops out without another in its place.
    """
    boxes = {0: [0, 0, 16, 16], 1: [0, 0, 16, 12], 2: [0, 0, 16, 14], 4: [0, 0, 16, 8]}
    target = make_target([[0, 0, 16, 16]], (32, 32))
    found = TAL(topk=4, beta=2.0)(POINTS, prediction(boxes), [target])
    assert {p: round(found.score[0, p].item(), 6) for p in (found.gt[0] == 0).nonzero().flatten().tolist()} == {
        0: 1.0,
        1: 0.5625,
        4: 0.25,
    }
    three = TAL(topk=3, beta=2.0, target="hard")(POINTS, prediction(boxes), [target])
    assert (three.gt[0] == 0).nonzero().flatten().tolist() == [0, 1]
    assert three.score[0, 1] == 1
    # A box beside the object has alignment 0 and is nobody's, however few there are.
    assert TAL()(POINTS, prediction({}), [target]).state[0].tolist() == [ObjectState.NO_CANDIDATE]


def test_dynamic_soft_label_by_hand() -> None:
    """Point 0 predicts the box with probability 1/2: (1 - 0.5)² · log 2; the other class 0.5² · log 2; no box cost.

    It lies sqrt(32) px from the centre, 0.707107 strides: 10 ** (0.707107 - 3) = 0.005095.
    """
    rule = DynamicSoftLabel()
    target = make_target([[0, 0, 16, 16]], (32, 32))
    said = prediction({0: [0, 0, 16, 16]}, classes=2)
    cost = rule.class_cost(said, target, torch.ones(20, 1))
    assert cost[0, 0].item() == pytest.approx(0.5 * math.log(2))
    assert rule.class_cost(said, target, torch.zeros(20, 1))[0, 0].item() == pytest.approx(0.5 * math.log(2))
    assert rule.class_cost(said, target, torch.full((20, 1), 0.5))[0, 0].item() == pytest.approx(0.25 * math.log(2))
    assert rule.prior(POINTS, POINTS.xy, target.boxes)[0, 0].item() == pytest.approx(0.005095, rel=1e-3)


# --- optimal transport


def test_sinkhorn_equals_the_plain_matrix_form() -> None:
    random = np.random.default_rng(0)
    cost = random.uniform(0, 5, (4, 30))
    cost[:3][random.uniform(size=(3, 30)) < 0.5] = np.inf
    supply, demand = np.array([3.0, 2.0, 4.0, 21.0]), np.ones(30)
    kernel, row = np.exp(-cost / 0.1), np.ones(4)
    for _ in range(50):
        column = demand / (row @ kernel)
        row = supply / (kernel @ column)
    found = sinkhorn(torch.tensor(cost), torch.tensor(supply), torch.tensor(demand), 0.1, 50).exp()
    assert torch.allclose(found, torch.tensor(row[:, None] * kernel * column), rtol=1e-9, atol=1e-300)
    assert torch.allclose(found.sum(dim=1), torch.tensor(supply))


# Marginals settle slowly where two plans cost nearly the same.
@pytest.mark.parametrize("seed", [pytest.param(0, marks=pytest.mark.full), 1, 2, 3, 4])
def test_sinkhorn_finds_the_plan_of_linear_programming(seed: int) -> None:
    """Three rows, twelve points, costs drawn apart: at epsilon 0.01 the arg-max of each column is the exact plan."""
    random = np.random.default_rng(seed)
    cost = random.uniform(0, 1, (3, 12))
    allowed = random.uniform(size=(3, 12)) < 0.7
    allowed[2] = True
    supply = np.array([2.0, 3.0, 7.0])
    assert (allowed[:2].sum(axis=1) >= supply[:2]).all()
    pairs = [(i, j) for i in range(3) for j in range(12) if allowed[i, j]]
    sides = np.zeros((15, len(pairs)))
    for number, (i, j) in enumerate(pairs):
        sides[i, number] = sides[3 + j, number] = 1
    exact = linprog([cost[pair] for pair in pairs], A_eq=sides, b_eq=[*supply, *np.ones(12)])
    best = {j: i for (i, j), share in zip(pairs, exact.x, strict=True) if share > 0.5}
    masked = torch.tensor(np.where(allowed, cost, np.inf))
    ones = torch.ones(12, dtype=torch.float64)
    for iterations in (10_000, 40_000, 160_000):
        plan = sinkhorn(masked, torch.tensor(supply), ones, 0.01, iterations).exp()
        if torch.allclose(plan.sum(dim=0), ones, atol=1e-6):
            break
    else:
        pytest.fail("the marginals do not hold to 1e-6")
    assert plan.argmax(dim=0).tolist() == [best[j] for j in range(12)]


def test_a_row_that_can_give_nothing_gives_nothing() -> None:
    cost = torch.tensor([[math.inf, math.inf], [1.0, 2.0]])
    plan = sinkhorn(cost, torch.tensor([0.0, 2.0]), torch.ones(2), 0.1, 10).exp()
    assert plan.tolist() == [[0, 0], pytest.approx([1, 1])]


def test_ota_by_hand() -> None:
    """Box 0 0 16 16, radius 1: overlaps 1, 0.75, 0.5, 0.25 and 1 as for SimOTA, k = 3.

    With probability 1/2 background costs 0.75 · 0.25 · log 2 = 0.13 everywhere, the object 0.04 more than its boxes;
    the cheapest three of the object are points 0, 16 and 1.
    """
    boxes = {0: [0, 0, 16, 16], 1: [0, 0, 16, 12], 4: [0, 0, 16, 8], 5: [0, 0, 16, 4], 16: [0, 0, 16, 16]}
    target = make_target([[0, 0, 16, 16]], (32, 32))
    found = OTA(radius=1.0, iterations=2000)(POINTS, prediction(boxes), [target])
    assert (found.gt[0] == 0).nonzero().flatten().tolist() == [0, 1, 16]
    assert (OTA(radius=0.1)(POINTS, prediction(boxes), [target]).gt[0] == 0).nonzero().flatten().tolist() == [16]


def test_no_rule_gives_a_point_out_of_the_object_with_the_wrong_class_in_doubt() -> None:
    """Two objects of two classes share a box; the class decides who gets the point where it is sure."""
    target = make_target([[0, 0, 16, 16], [0, 0, 16, 16.5]], (32, 32), labels=[0, 1])
    said = prediction({p: [0, 0, 16, 16.25] for p in (0, 1, 4, 5, 16)}, classes=2)
    said.logits[0, :, 0], said.logits[0, :, 1] = -4.0, 4.0
    for rule in (SimOTA(), DynamicSoftLabel(), OTA()):
        assert 1 in rule(POINTS, said, [target]).gt[0].tolist(), rule
    assert FCOS(range_strides=None)(POINTS, said, [target]).gt[0, 0] == 0
