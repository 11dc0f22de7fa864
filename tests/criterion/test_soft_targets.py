"""Losses that learn soft targets, and distances as distributions: by hand, and against plain formulas."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmmc.criterion import DenseCriterion
from mmmc.criterion.class_losses import ClassLoss, dense_class_loss
from mmmc.criterion.distribution import distribution_loss
from mmmc.model.head import mean_distance
from mmmc.structures import Assignment, Prediction
from mmmc.testing import Scene, make_target

from .test_common import APART, FAR, FOCAL_NEGATIVE, FOCAL_POSITIVE, HALF, LOG2, labels, scene, sums


def loss(kind: ClassLoss, probability: float, target: float, alpha: float = 0.25, gamma: float = 2.0) -> float:
    logit = torch.tensor([math.log(probability / (1 - probability))], dtype=torch.float64)
    aim = torch.tensor([target], dtype=torch.float64)
    return dense_class_loss(logit, aim, kind, alpha=alpha, gamma=gamma).item()


def test_class_losses_by_hand() -> None:
    """p = 1/4: -log p = 1.386294, -log(1 - p) = 0.287682. Cross-entropy against 1/2 is their mean, 0.836988."""
    # Quality focal: |1/2 - 1/4|² = 1/16 of it; a negative (1/4)² of 0.287682.
    assert loss("quality_focal", 0.25, 0.5) == pytest.approx(0.836988 / 16, abs=1e-6)
    assert loss("quality_focal", 0.25, 0.0) == pytest.approx(0.287682 / 16, abs=1e-6)
    assert loss("quality_focal", 0.25, 0.5, gamma=1.0) == pytest.approx(0.836988 / 4, abs=1e-6)
    # Varifocal: the target times it; a negative 3/4 of what quality focal says.
    assert loss("varifocal", 0.25, 0.5) == pytest.approx(0.836988 / 2, abs=1e-6)
    assert loss("varifocal", 0.25, 0.0) == pytest.approx(0.75 * 0.287682 / 16, abs=1e-6)
    assert loss("varifocal", 0.25, 0.0, alpha=0.5) == pytest.approx(0.5 * 0.287682 / 16, abs=1e-6)
    # Focal: hard targets.
    assert loss("focal", 0.25, 1.0) == pytest.approx(0.25 * 0.75**2 * 1.386294, abs=1e-6)


@given(st.floats(0.01, 0.99), st.floats(0.01, 0.99), st.sampled_from(["quality_focal", "varifocal"]))
@settings(deadline=None)
def test_a_soft_target_is_where_its_loss_is_least(target: float, other: float, kind: ClassLoss) -> None:
    """Which is what focal loss does not do: its least is elsewhere."""
    assert loss(kind, target, target) <= loss(kind, other, target) + 1e-9


def test_focal_loss_of_a_soft_target_is_least_elsewhere() -> None:
    assert loss("focal", 0.7, 0.6) < loss("focal", 0.6, 0.6)


def test_what_the_class_term_is_divided_by() -> None:
    where = scene(HALF, [0.0, 0.0, 16.0, 8.0])
    assignment = Assignment(
        gt=torch.tensor([[0, 0, -1]]),
        score=torch.tensor([[0.5, 0.2, 0.0]]),
        weight=torch.tensor([[2.0, 3.0, 7.0]]),
        state=[torch.zeros(1, dtype=torch.long)],
        finite=torch.tensor([True]),
    )
    for norm, expected in (("positives", 2.0), ("score", 0.7), ("weight", 5.0)):
        found = sums(DenseCriterion(class_norm=norm, class_loss="quality_focal"), where, assignment)
        assert found["class"][1] == pytest.approx(expected), norm
    # With the IoU as target: 1/2 and 1.
    by_iou = DenseCriterion(class_norm="score", class_target="iou", class_loss="quality_focal")
    assert sums(by_iou, where, assignment)["class"][1] == pytest.approx(1.5)


def test_boxes_weighed_by_the_target_or_the_class() -> None:
    """Points 0 and 1 with targets 1/2 and 1/4; the classes at point 0 have logits 0, at point 1 one has log 3."""
    where = scene(HALF, APART)
    where.prediction.logits[0, 1, 0] = math.log(3)
    assignment = labels(0, 0, -1)
    assignment.score[0, :2] = torch.tensor([0.5, 0.25])
    total, norm = sums(DenseCriterion(box_weight="score"), where, assignment)["box"]
    assert (total, norm) == pytest.approx((0.5 * 0.5 + 0.25 * 1, 0.75))
    total, norm = sums(DenseCriterion(box_weight="class"), where, assignment)["box"]
    assert (total, norm) == pytest.approx((0.5 * 0.5 + 0.75 * 1, 1.25))


@pytest.mark.parametrize("weight", ["score", "class", "iou"])
def test_what_weighs_boxes_is_no_way_to_a_lower_loss(weight: str) -> None:
    where = scene(HALF)
    where.prediction.logits.requires_grad_()
    where.prediction.boxes.requires_grad_()
    criterion = DenseCriterion(box_weight=weight, class_target="iou")
    term = criterion(*where, labels(0, -1, -1))["box"]
    assert not term.norm.requires_grad
    (gradient,) = torch.autograd.grad(term.sum, where.prediction.logits, materialize_grads=True)
    assert not gradient.any()


def test_the_iou_as_class_target_moves_no_box() -> None:
    where = scene(HALF)
    where.prediction.boxes.requires_grad_()
    where.prediction.logits.requires_grad_()
    criterion = DenseCriterion(class_target="iou", class_loss="varifocal")
    term = criterion(*where, labels(0, -1, -1))["class"].sum
    (gradient,) = torch.autograd.grad(term, where.prediction.boxes, materialize_grads=True)
    assert not gradient.any()


def test_focal_loss_is_as_before() -> None:
    plain = sums(DenseCriterion(), scene(HALF), labels(0, -1, -1))
    assert plain["class"] == pytest.approx((FOCAL_POSITIVE + 5 * FOCAL_NEGATIVE, 1.0))


# --- bins


def test_distribution_loss_by_hand() -> None:
    """Bins 0, 1, 2 with probabilities 1/2, 1/4, 1/4.

    Distance 1/4 lies a quarter of the way from 0 to 1: 3/4 · log 2 + 1/4 · log 4 = 1.25 log 2. Distance 1: log 4.
    Distance 5 is beyond the last bin: learned as 1.99, all bins but the first alike: log 4.
    """
    bins = torch.tensor([0.5, 0.25, 0.25], dtype=torch.float64).log()
    found, beyond = distribution_loss(bins.expand(3, 3), torch.tensor([0.25, 1.0, 5.0], dtype=torch.float64))
    assert found.tolist() == pytest.approx([1.25 * LOG2, 2 * LOG2, 2 * LOG2])
    assert beyond.tolist() == [False, False, True]
    # The last bin itself is within reach.
    assert not distribution_loss(bins, torch.tensor(2.0, dtype=torch.float64))[1]
    # Near the end nearly all weight is the last bin's: 0.01 · log 4 + 0.99 · log 4 here, and 0.01 · log 2 with these.
    sharp = torch.tensor([0.25, 0.5, 0.25], dtype=torch.float64).log()
    found, _ = distribution_loss(sharp, torch.tensor(2.0, dtype=torch.float64))
    assert found.item() == pytest.approx(0.01 * LOG2 + 0.99 * 2 * LOG2)


@given(st.floats(0, 3.9))
@settings(deadline=None)
def test_a_distribution_that_is_sure_of_the_distance_loses_least_and_has_it_as_its_mean(distance: float) -> None:
    left = math.floor(distance)
    share = distance - left
    probabilities = torch.full((6,), 1e-9, dtype=torch.float64)
    probabilities[left] += 1 - share
    probabilities[left + 1] += share
    logits = probabilities.log()
    mean = mean_distance(logits.view(1, 1, 6, 1, 1).expand(1, 4, 6, 1, 1))
    assert mean[0, 0].item() == pytest.approx(distance, abs=1e-6)
    least = distribution_loss(logits, torch.tensor(distance, dtype=torch.float64))[0]
    for other in (torch.zeros(6, dtype=torch.float64), logits.roll(1)):
        assert least <= distribution_loss(other, torch.tensor(distance, dtype=torch.float64))[0] + 1e-6


def binned(*bins: Tensor) -> Scene:
    """The scene of one object 0 0 16 8 with three bins a side; a point's sides are left top right bottom in strides."""
    where = scene(HALF, FAR)
    prediction = where.prediction
    extra = {"bins": torch.stack(bins)[None].requires_grad_()}
    return where._replace(prediction=Prediction(prediction.logits, prediction.boxes, prediction.quality, extra))


def test_the_term_of_bins() -> None:
    """Point 0 at (4, 4) in strides of 8: left 1/2, top 1/2, right 3/2, bottom 1/2. All bins alike: log 3 each."""
    where = binned(torch.zeros(4, 3), torch.zeros(4, 3), torch.zeros(4, 3))
    found = sums(DenseCriterion(box_weight="none", distribution_factor=0.5), where, labels(0, -1, -1))
    assert found["distribution"] == pytest.approx((0.5 * math.log(3), 1.0))
    found = sums(DenseCriterion(box_weight="none"), where, labels(0, -1, -1))
    assert found["distribution"] == pytest.approx((0.25 * math.log(3), 1.0))
    # Bins with probabilities 1/2, 1/4, 1/4: three sides of 1/2 lose 1.5 log 2, the one of 3/2 loses 2 log 2.
    uneven = torch.tensor([0.5, 0.25, 0.25]).log().expand(4, 3)
    where = binned(uneven, torch.zeros(4, 3), torch.zeros(4, 3))
    found = sums(DenseCriterion(box_weight="none", distribution_factor=1.0), where, labels(0, -1, -1))
    assert found["distribution"] == pytest.approx(((3 * 1.5 + 2) / 4 * LOG2, 1.0))
    # Weighed as boxes are: by 1/2, the IoU.
    found = sums(DenseCriterion(box_weight="iou", distribution_factor=1.0), where, labels(0, -1, -1))
    assert found["distribution"] == pytest.approx((0.5 * (3 * 1.5 + 2) / 4 * LOG2, 0.5))


def test_distances_beyond_the_last_bin_are_counted() -> None:
    """The object 0 0 64 8: at (4, 4) the right side is 7.5 strides away, at (12, 4) it is 6.5; three bins reach 2."""
    where = binned(*[torch.zeros(4, 3)] * 3)._replace(targets=[make_target([[0, 0, 64, 8]], (8, 64), labels=[1])])
    losses = DenseCriterion()(*where, labels(0, 0, -1))
    assert losses.watched["beyond bins"].sum.item() == pytest.approx(0.5)
    assert losses.watched["beyond bins"].divisor.item() == 2
    assert "beyond bins" not in losses.terms
    assert not DenseCriterion()(*scene(HALF), labels(0, -1, -1)).watched


def test_a_batch_without_objects_keeps_bins_in_the_graph() -> None:
    where = binned(*[torch.zeros(4, 3)] * 3)
    where = where._replace(targets=[make_target([], (8, 24))])
    total = DenseCriterion()(*where, labels(-1, -1, -1)).total()
    total.backward()
    gradient = where.prediction.extra["bins"].grad
    assert gradient is not None
    assert not gradient.any()
    assert total.isfinite()
