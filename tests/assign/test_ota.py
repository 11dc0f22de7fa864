"""Optimal transport: Sinkhorn's plan and OTA's labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linprog

from mmmc.assign import OTA
from mmmc.assign.ota import sinkhorn
from mmmc.points import make_points
from mmmc.structures import Prediction
from mmmc.testing import make_target

from .hand_scenes import POINTS, prediction, rivals


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


def test_objects_that_supply_more_than_there_are_points_leave_none_to_the_background() -> None:
    """Twins over four points, whose boxes fit at three, supply 3 each: one of them has the fourth, at any cost."""
    points, box = make_points([(2, 2)], (8,)), [0.0, 0, 16, 16]
    said = Prediction(torch.zeros(1, 4, 1), torch.tensor([[box, box, box, [90.0, 90, 99, 99]]]), torch.zeros(1, 4))
    assert (OTA()(points, said, [make_target([box, box], (16, 16))]).gt[0] >= 0).all()
    # One of them leaves the background its one.
    assert (OTA()(points, said, [make_target([box], (16, 16))]).gt[0] >= 0).tolist() == [True, True, True, False]


def test_a_point_that_says_no_number_spoils_no_plan() -> None:
    where = rivals()
    expected = OTA()(*where).gt
    where.prediction.logits[0, 10] = math.nan
    found = OTA()(*where)
    assert torch.equal(found.gt, expected)
    assert not found.finite.any()


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
