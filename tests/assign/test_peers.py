"""Seven assigners of others: the promises, the rules written again, and what they share."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch

from mmmc.assign import ATSS, OTA, PAA, TAL, Assigner, DynamicSoftLabel, MaxIoU, SimOTA
from mmmc.assign.shared.dynamic_k import cheapest, dynamic_k
from mmmc.assign.shared.pairs import iou_losses, of_labels, score_table
from mmmc.assign.shared.rules import least
from mmmc.errors import InputError
from mmmc.structures import Prediction
from mmmc.testing import check_assigner, make_scene

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
    (PAA(rule="b", square_strides=4.0), slow_rules.paa),
    (PAA(rule="b", prematch="inside"), slow_rules.paa),
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
        (lambda: MaxIoU(negative=0), "negative is 0 and positive 0.5"),
        (lambda: MaxIoU(positive=1.5), "positive 1.5"),
        (lambda: MaxIoU(square_strides=0), "square_strides is 0"),
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
    # What is no number counts nothing: 0.9 + 0.7 + 0.65.
    iou[1, 0] = math.nan
    assert dynamic_k(iou, candidate, 4).tolist() == [2, 1, 1]


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
