"""The common criterion: every term and option against numbers worked by hand, torchvision's loss and its gradients."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.models.detection.fcos import FCOSHead

from mmmc.assign import FCOS
from mmmc.boxes import paired_giou
from mmmc.criterion import DenseCriterion
from mmmc.errors import InputError
from mmmc.model import Detector, ModelConfig
from mmmc.points import make_points
from mmmc.structures import IGNORED, NEGATIVE, Assignment, Prediction
from mmmc.testing import Scene, make_scene, make_target

from .terms import assert_reaches_all

LOG2 = math.log(2)
FOCAL_POSITIVE = 0.25 * 0.5**2 * LOG2
"""At logit 0: α (1 - p)² · -log p with p = 1/2."""
FOCAL_NEGATIVE = 0.75 * 0.5**2 * LOG2
THIRD = math.sqrt(1 / 3)
"""Centerness of a point that is 4 from the left and 12 from the right side, in the middle vertically."""


def labels(*gt: int, score: float = 1.0, weight: float = 1.0) -> Assignment:
    """Labels of one picture with one object."""
    index = torch.tensor([gt])
    return Assignment(
        gt=index,
        score=(index >= 0) * score,
        weight=torch.full(index.shape, weight),
        state=[torch.zeros(1, dtype=torch.long)],
        finite=torch.tensor([True]),
    )


def scene(*boxes: list[float], quality: float = 0.0) -> Scene:
    """Points (4, 4), (12, 4), (20, 4), two classes with logit 0, and one object, `0 0 16 8` of class 1."""
    points = make_points([(1, 3)], [8])
    prediction = Prediction(
        logits=torch.zeros(1, 3, 2),
        boxes=torch.tensor([[*boxes, *[[-9.0, 3.0, 50.0, 60.0]] * (3 - len(boxes))]]),
        quality=torch.full((1, 3), quality),
    )
    return Scene(points, prediction, [make_target([[0, 0, 16, 8]], (8, 24), labels=[1])])


HALF = [0.0, 0.0, 8.0, 8.0]
"""IoU and GIoU with the object: 1/2."""
APART = [16.0, 0.0, 32.0, 8.0]
"""IoU with the object 0, GIoU 0: the enclosing box is the union."""
FAR = [32.0, 0.0, 48.0, 8.0]
"""IoU with the object 0, GIoU -1/3: a third of the enclosing box is neither."""


def sums(criterion: DenseCriterion, where: Scene, assignment: Assignment) -> dict[str, tuple[float, float]]:
    losses = criterion(*where, assignment)
    return {name: (term.sum.item(), term.norm.item()) for name, term in losses.terms.items()}


def test_terms_of_one_positive_by_hand() -> None:
    criterion = DenseCriterion(quality_target="giou", box_weight="centerness")
    terms = sums(criterion, scene(HALF, quality=2.0), labels(0, NEGATIVE, NEGATIVE))
    assert terms["class"] == pytest.approx((FOCAL_POSITIVE + 5 * FOCAL_NEGATIVE, 1.0))
    assert terms["box"] == pytest.approx((THIRD * 0.5, THIRD))
    # Cross-entropy of logit 2 against 1/2: log(1 + e²) - 2 · 1/2.
    assert terms["quality"] == pytest.approx((math.log1p(math.exp(2)) - 1, 1.0))
    losses = criterion(*scene(HALF), labels(0, NEGATIVE, NEGATIVE))
    assert float(losses.divided()["box"]) == pytest.approx(0.5)
    assert float(losses.total()) == pytest.approx(FOCAL_POSITIVE + 5 * FOCAL_NEGATIVE + 0.5 + LOG2)


def test_the_class_of_the_object_is_the_one_that_is_learned() -> None:
    where = scene(HALF)
    where.prediction.logits[0, 0, 1] = 20.0  # Right, and certain of it.
    assert sums(DenseCriterion(), where, labels(0, -1, -1))["class"][0] == pytest.approx(5 * FOCAL_NEGATIVE)
    where.prediction.logits[0, 0] = torch.tensor([20.0, 0.0])  # Certain of the other one.
    expected = FOCAL_POSITIVE + 0.75 * 20 + 4 * FOCAL_NEGATIVE
    assert sums(DenseCriterion(), where, labels(0, -1, -1))["class"][0] == pytest.approx(expected)


def test_alpha_gamma_and_factors() -> None:
    where, assignment = scene(HALF), labels(0, -1, -1)
    plain = sums(DenseCriterion(alpha=0.5, gamma=0.0), where, assignment)
    assert plain["class"][0] == pytest.approx(0.5 * 6 * LOG2)
    one = sums(DenseCriterion(), where, assignment)
    many = sums(DenseCriterion(class_factor=2, box_factor=3, quality_factor=0.5), where, assignment)
    for name, factor in (("class", 2), ("box", 3), ("quality", 0.5)):
        assert many[name] == pytest.approx((factor * one[name][0], one[name][1]))


def quality_target(criterion: DenseCriterion, box: list[float]) -> float:
    """The target t of the first point, from the cross-entropies log(1 + e^q) - q t at q = 1."""
    return math.log1p(math.e) - sums(criterion, scene(box, quality=1.0), labels(0, -1, -1))["quality"][0]


@pytest.mark.parametrize(
    ("target", "span", "box", "expected"),
    [
        ("centerness", "clamp", HALF, THIRD),
        ("centerness", "half", FAR, THIRD),
        ("iou", "clamp", HALF, 0.5),
        ("iou", "clamp", FAR, 0.0),
        ("giou", "clamp", HALF, 0.5),
        ("giou", "clamp", APART, 0.0),
        ("giou", "clamp", FAR, 0.0),
        ("giou", "half", HALF, 0.75),
        ("giou", "half", APART, 0.5),
        ("giou", "half", FAR, 1 / 3),
        ("giou", "half", [0.0, 0.0, 16.0, 8.0], 1.0),
    ],
)
def test_quality_targets(target: str, span: str, box: list[float], expected: float) -> None:
    criterion = DenseCriterion(quality_target=target, quality_range=span)
    assert quality_target(criterion, box) == pytest.approx(expected, abs=1e-6)


def test_a_target_below_zero_has_no_lowest_loss() -> None:
    """Why a GIoU is clamped: against -0.3 the loss falls by 0.3 with every unit of the logit, for ever."""
    against = torch.tensor(-0.3)
    assert float(binary_cross_entropy_with_logits(torch.tensor(-10.0), against)) == pytest.approx(-3.0, abs=1e-4)
    assert float(binary_cross_entropy_with_logits(torch.tensor(-50.0), against)) == pytest.approx(-15.0)
    for span in ("clamp", "half"):
        criterion = DenseCriterion(quality_range=span)
        for logit in (-50.0, -10.0, 10.0):
            assert sums(criterion, scene(FAR, quality=logit), labels(0, -1, -1))["quality"][0] >= 0


@pytest.mark.parametrize(
    ("weight", "first", "second"), [("none", 1.0, 1.0), ("centerness", THIRD, 0.0), ("iou", 0.5, 0.25)]
)
def test_box_weights(weight: str, first: float, second: float) -> None:
    """Two positives; the second lies outside the object at (20, 4), where centerness is 0 by definition."""
    quarter = [0.0, 0.0, 4.0, 8.0]
    where = scene(HALF, APART, quarter)
    total, norm = sums(DenseCriterion(box_weight=weight), where, labels(0, NEGATIVE, 0))["box"]
    assert norm == pytest.approx(first + second)
    assert total == pytest.approx(first * 0.5 + second * 0.75)


def test_soft_scores_and_weights() -> None:
    where = scene(HALF)
    one = sums(DenseCriterion(), where, labels(0, NEGATIVE, NEGATIVE))
    double = sums(DenseCriterion(), where, labels(0, NEGATIVE, NEGATIVE, weight=2.0))
    assert double["class"] == pytest.approx((2 * one["class"][0], 1.0))
    assert double["box"] == pytest.approx((2 * one["box"][0], 2 * one["box"][1]))
    assert double["quality"] == pytest.approx((2 * one["quality"][0], 1.0))
    # Focal loss of a target 1/2 at p = 1/2: both factors are in the middle between the two classes.
    soft = sums(DenseCriterion(), where, labels(0, NEGATIVE, NEGATIVE, score=0.5))
    assert soft["class"][0] == pytest.approx(0.5 * 0.5**2 * LOG2 + 5 * FOCAL_NEGATIVE)
    # The same by the IoU of the predicted box, whatever the assignment says.
    by_iou = sums(DenseCriterion(class_target="iou"), where, labels(0, NEGATIVE, NEGATIVE))
    assert by_iou["class"][0] == pytest.approx(soft["class"][0])


def test_ignored_points_take_no_part() -> None:
    prediction = scene(HALF, APART, quality=1.0).prediction
    inputs = [value.clone().requires_grad_() for value in (prediction.logits, prediction.boxes, prediction.quality)]
    where = scene(HALF)._replace(prediction=Prediction(*inputs))
    losses = DenseCriterion()(*where, labels(0, IGNORED, NEGATIVE))
    assert losses["class"].sum.item() == pytest.approx(FOCAL_POSITIVE + 3 * FOCAL_NEGATIVE)
    assert losses["class"].norm.item() == 1
    losses.total().backward()
    for value in inputs:
        assert value.grad is not None
        assert not value.grad[0, 1].any(), "a gradient reaches the ignored point"
        assert value.grad[0, 0].any()


def gradients(criterion: DenseCriterion, term: str, box: list[float], quality: float) -> torch.Tensor:
    """Of one term with regard to the first point's box."""
    where = scene(box, quality=quality)
    where.prediction.boxes.requires_grad_()
    where.prediction.quality.requires_grad_()  # So that there is always a gradient to ask for.
    loss = criterion(*where, labels(0, NEGATIVE, NEGATIVE))[term].sum
    (gradient,) = torch.autograd.grad(loss, where.prediction.boxes, materialize_grads=True)
    return gradient[0, 0]


def giou_gradient(box: list[float]) -> torch.Tensor:
    predicted = torch.tensor([box], requires_grad=True)
    (gradient,) = torch.autograd.grad(paired_giou(predicted, torch.tensor([[0.0, 0.0, 16.0, 8.0]])).sum(), predicted)
    return gradient[0]


BOX = [1.0, 1.0, 9.0, 9.5]


@pytest.mark.parametrize("target", ["iou", "giou"])
def test_a_detached_quality_moves_no_box(target: str) -> None:
    assert not gradients(DenseCriterion(quality_target=target), "quality", BOX, 1.5).any()


def test_the_gradient_of_an_attached_quality_is_minus_the_logit() -> None:
    criterion = DenseCriterion(quality_detach=False)
    found = gradients(criterion, "quality", BOX, 1.5)
    assert found.abs().max() > 0.01
    torch.testing.assert_close(found, -1.5 * giou_gradient(BOX))
    half = gradients(replace(criterion, quality_range="half"), "quality", BOX, 1.5)
    torch.testing.assert_close(half, -0.75 * giou_gradient(BOX))


# `1 1 9 9.5` shares 8 · 7 with the object; the union is 128 + 8 · 8.5 - 8 · 7 = 140.
@pytest.mark.parametrize(("weight", "value"), [("none", 1.0), ("centerness", THIRD), ("iou", 56 / 140)])
def test_the_box_weight_carries_no_gradient(weight: str, value: float) -> None:
    found = gradients(DenseCriterion(box_weight=weight), "box", BOX, 0.0)
    torch.testing.assert_close(found, -value * giou_gradient(BOX))


def test_a_batch_without_objects_reaches_every_parameter() -> None:
    config = ModelConfig("resnet18", weights="none", frozen_stages=0, channels=32, groups=8, depth=1)
    detector = Detector(config, classes=3)
    points, prediction = detector(torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8))
    targets = [make_target([], (32, 32)), make_target([], (30, 32))]
    losses = DenseCriterion()(points, prediction, targets, FCOS()(points, prediction, targets))
    assert {name: term.norm.item() for name, term in losses.terms.items()} == {"class": 0, "box": 0, "quality": 0}
    assert losses.divided()["box"].item() == losses.divided()["quality"].item() == 0
    losses.total().backward()
    assert_reaches_all(detector)
    assert detector.head.class_logits.weight.grad.any()  # type: ignore[union-attr]


def test_one_empty_picture_adds_only_background() -> None:
    where = make_scene(0, images=1)
    empty = replace(where.targets[0], boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    twice = Prediction(*(torch.cat([getattr(where.prediction, name)] * 2) for name in ("logits", "boxes", "quality")))
    alone = sums(DenseCriterion(), where, FCOS()(*where))
    both = Scene(where.points, twice, [where.targets[0], empty])
    together = sums(DenseCriterion(), both, FCOS()(*both))
    assert together["box"] == pytest.approx(alone["box"])
    assert together["quality"] == pytest.approx(alone["quality"])
    assert together["class"][1] == alone["class"][1]
    assert together["class"][0] > alone["class"][0]


def test_equal_to_torchvision() -> None:
    """Same labels, boxes weighted equally, centerness as target: the three losses of torchvision's FCOS."""
    where = make_scene(1, objects=(5, 0), strides=(8, 16, 32))
    points, prediction, targets = where
    assignment = FCOS()(*where)
    assert assignment.positive.sum() > 20
    half = points.stride[:, None] / 2
    anchors = torch.cat([points.xy - half, points.xy + half], dim=1)
    boxes = prediction.boxes
    strides = torch.cat([points.xy - boxes[..., :2], boxes[..., 2:] - points.xy], dim=2) / points.stride[:, None]
    theirs = FCOSHead(32, 1, 3, num_convs=1).compute_loss(
        [{"labels": target.labels, "boxes": target.boxes} for target in targets],
        {"cls_logits": prediction.logits, "bbox_regression": strides, "bbox_ctrness": prediction.quality[..., None]},
        [anchors, anchors],
        list(assignment.gt),
    )
    ours = DenseCriterion(quality_target="centerness", box_weight="none")(*where, assignment).divided()
    for name, other in (("class", "classification"), ("box", "bbox_regression"), ("quality", "bbox_ctrness")):
        torch.testing.assert_close(ours[name], theirs[other], rtol=1e-5, atol=1e-6)


def test_low_precision_is_computed_in_float32() -> None:
    where = make_scene(2)
    assignment = FCOS()(*where)
    logits, quality = where.prediction.logits.bfloat16(), where.prediction.quality.bfloat16()
    low = where._replace(prediction=replace(where.prediction, logits=logits, quality=quality))
    wide = where._replace(prediction=replace(where.prediction, logits=logits.float(), quality=quality.float()))
    expected = sums(DenseCriterion(), wide, assignment)
    assert sums(DenseCriterion(), low, assignment) == expected
    with torch.autocast("cpu", torch.bfloat16):
        assert sums(DenseCriterion(), wide, assignment) == expected
    assert DenseCriterion()(*low, assignment).total().dtype == torch.float32
    double = where._replace(prediction=replace(where.prediction, boxes=where.prediction.boxes.double()))
    assert DenseCriterion()(*double, assignment).total().dtype == torch.float64


def test_loss_maps_add_up_to_the_sums() -> None:
    where = make_scene(4)
    assignment = FCOS()(*where)
    maps = DenseCriterion().point_losses(*where, assignment)
    terms = DenseCriterion()(*where, assignment).terms
    assert set(maps) == {*terms, "box weight", "class norm"}
    for name, term in terms.items():
        torch.testing.assert_close(maps[name].sum(), term.sum)
    assert [map.shape for map in where.points.split(maps["class"][0])] == list(where.points.shapes)


@pytest.mark.parametrize(
    ("field", "value"),
    [("alpha", 1.5), ("gamma", -1.0), ("class_factor", math.inf), ("box_factor", -1.0), ("quality_factor", math.nan)],
)
def test_options_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(InputError, match=f"criterion: {field} is {value}; allowed: "):
        DenseCriterion(**{field: value})
