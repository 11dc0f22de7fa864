"""AutoAssign's losses: numbers worked by hand, the losses written again, and gradients."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from assign import slow_auto_assign
from assign.two_objects import by_class, gaussians, pictures, random_scene, two_objects
from torch import Tensor

from mmmc.assign import AutoAssign, ignore_crowds
from mmmc.criterion import AutoAssignCriterion
from mmmc.model import Detector, ModelConfig
from mmmc.parts import CenterPrior
from mmmc.structures import IGNORED, Prediction, Supervision
from mmmc.testing import Scene, make_target

from .auto_assign_losses import losses
from .terms import assert_low_precision_is_widened, assert_reaches_all, sums


def test_terms_by_hand() -> None:
    """The weights are in `assign/test_auto_assign.py`, P in `two_objects`.

    Positive: the mean of object 0 is 0.538254 · 0.071626 + 0.461746 · 0.020521 = 0.048029, that of object 1 0.066683;
    -log: 3.035957 + 2.707804 = 5.743761, over two objects.
    Negative: 1 / (1 - IoU) is 4 and 2 in object 0: m = 1 and 0. In object 1 it is 1.333333, 1.264706, 4, 2, 10, less
    1.264706 and over 8.735294: m = 0.007856, 0, 0.313131, 0.084175, 1. q = (1 - m) / 4; of class 0 it is 0 at point 0
    and 1/4 at four points, point 2 among them, which lies in object 1 alone; of class 1 it is 0.248036, 0.25,
    0.171717, 0.228956, 0. q² · -log(1 - q): 5 · 0.017980 + 0.017538 + 0.005556 + 0.013630 = 0.126624.
    G adds up to 2 · exp(-0.125) = 1.764994 and 4 · exp(-0.25) + 1 = 4.115203, together 5.880197.
    Centre: 2 / 5.880197 = 0.340125, one picture.
    """
    found = sums(losses(two_objects()))
    assert found["positive"] == pytest.approx((0.25 * 5.743761, 2), rel=1e-5)
    assert found["negative"] == pytest.approx((0.75 * 0.126624, 5.880197), rel=1e-5)
    assert found["center"] == pytest.approx((0.75 * 0.340125, 1), rel=1e-5)
    total = 0.25 * 5.743761 / 2 + 0.75 * 0.126624 / 5.880197 + 0.75 * 0.340125
    assert float(losses(two_objects()).total()) == pytest.approx(total, rel=1e-5)


def test_several_objects_of_a_class_and_a_single_point() -> None:
    """With one class, m at points 0 and 1 is the higher of both objects: 1 and 0, at point 2 to 4 as before.

    q: 0, 1/4, 0.171717, 0.228956, 0: 0.017980 + 0.005556 + 0.013630 = 0.037165. The order of the objects changes
    nothing. An object with a single point, (4, 4), excuses it altogether: m = 1.
    """
    scene = two_objects()
    one = Prediction(scene.prediction.logits[..., :1], scene.prediction.boxes, scene.prediction.quality)
    boxes = scene.targets[0].boxes.tolist()
    for order in (boxes, boxes[::-1]):
        found = losses(Scene(scene.points, one, [make_target(order, (16, 16))]))
        assert found["negative"].sum.item() == pytest.approx(0.75 * 0.037165, rel=1e-4)
    alone = Scene(scene.points, one, [make_target([[0, 0, 6, 6]], (16, 16))])
    single = losses(alone)
    assert single["negative"].sum.item() == pytest.approx(0.75 * 4 * 0.0625 * -math.log(0.75))
    # The mean over one point is its own P, whatever it weighs.
    sure = slow_auto_assign.certainty(pictures(alone)[0], 0, 0, 5.0)
    assert single["positive"].sum.item() == pytest.approx(0.25 * -math.log(sure))


def test_objects_without_a_point_count_nowhere() -> None:
    scene = two_objects()
    boxes = [*scene.targets[0].boxes.tolist(), [5, 5, 7, 7]]
    more = scene._replace(targets=[make_target(boxes, (16, 16), labels=[0, 1, 1])])
    expected = sums(losses(scene))
    for name, term in sums(losses(more)).items():
        assert term == pytest.approx(expected[name])


def test_a_picture_without_objects_does_not_count_for_the_centre() -> None:
    points, said, targets = two_objects()
    twice = Prediction(*(value.expand(2, *value.shape[1:]) for value in (said.logits, said.boxes, said.quality)))
    one, both = losses(two_objects()), losses(Scene(points, twice, [*targets, make_target([], (16, 16))]))
    assert sums(both)["center"] == pytest.approx(sums(one)["center"])


def test_an_exact_box_is_not_divided_by_zero() -> None:
    scene = two_objects()
    scene.prediction.boxes[0, 4] = torch.tensor([2.0, 2, 14, 14])
    found = losses(scene)
    # Point 4 excuses all; against 1e6 the others of object 1 are nothing.
    assert found["negative"].sum.item() == pytest.approx(0.75 * 8 * 0.0625 * -math.log(0.75), rel=1e-4)


VARIANTS = [AutoAssignCriterion(), AutoAssignCriterion(confidence=0.5, box_power=1.0, gamma=1.5)]


def compare(criterion: AutoAssignCriterion, count: int) -> None:
    for seed in range(count):
        extra = gaussians(seed, 2) if seed % 3 else {}
        scene = random_scene(seed, images=2, extra=extra)
        targets = [
            replace(target, crowd=torch.tensor([[10.0, 30, 70, 60]])) if seed % 2 else target
            for target in scene.targets
        ]
        scene = scene._replace(targets=targets)
        assignment = ignore_crowds(scene.points, AutoAssign(criterion.confidence, criterion.box_power)(*scene), targets)
        ignored = [(row == IGNORED).nonzero().flatten().tolist() for row in assignment.gt]
        expected = slow_auto_assign.losses(
            pictures(scene),
            by_class(extra) if extra else None,
            ignored,
            criterion.confidence,
            criterion.box_power,
            criterion.gamma,
        )
        found = sums(criterion(*scene, assignment))
        for name, term in expected.items():
            assert found[name] == pytest.approx(term, rel=1e-9, abs=0), f"scene {seed}, {name}"


@pytest.mark.parametrize("criterion", VARIANTS, ids=repr)
def test_equals_the_slow_losses(criterion: AutoAssignCriterion) -> None:
    compare(criterion, 30)


@pytest.mark.full
@pytest.mark.parametrize("criterion", VARIANTS, ids=repr)
def test_equals_the_slow_losses_on_300_scenes(criterion: AutoAssignCriterion) -> None:
    compare(criterion, 300)


# --- gradients


def leaves(scene: Scene) -> dict[str, Tensor]:
    said = scene.prediction
    found = {name: getattr(said, name) for name in ("logits", "boxes", "quality")} | dict(said.extra)
    return {name: value.detach().clone().requires_grad_() for name, value in found.items()}


def small_scene() -> Scene:
    """Two pictures, the second without objects; two classes with Gaussians of their own."""
    scene = two_objects()
    random = torch.Generator().manual_seed(3)
    said = Prediction(
        logits=torch.randn(2, 5, 2, generator=random, dtype=torch.float64),
        # Not the boxes of the table: theirs touch, where the loss has a kink.
        boxes=scene.prediction.boxes.repeat(2, 1, 1) + torch.rand(2, 5, 4, generator=random, dtype=torch.float64) / 3,
        quality=torch.randn(2, 5, generator=random, dtype=torch.float64),
        extra=gaussians(1, 2, classes=2),
    )
    return Scene(scene.points, said, [scene.targets[0], make_target([], (16, 16))])


@pytest.mark.parametrize("term", ["positive", "negative", "center"])
def test_gradients_are_those_of_the_values(term: str) -> None:
    """Of every term to all that is learned; but of the negative one to the boxes, which `m` keeps out."""
    scene = small_scene()
    assignment = AutoAssign()(*scene)
    inputs = leaves(scene)
    names = [name for name in inputs if not (term == "negative" and name == "boxes")]

    def value(*values: Tensor) -> Tensor:
        said = dict(inputs) | dict(zip(names, values, strict=True))
        extra = {name: said.pop(name) for name in ("center mean", "center sigma")}
        prediction = Prediction(**said, extra=extra)
        return AutoAssignCriterion()(scene.points, prediction, scene.targets, assignment)[term].sum

    assert torch.autograd.gradcheck(value, [inputs[name] for name in names])


def gradients(term: str) -> dict[str, bool]:
    """Which inputs a term moves."""
    scene = small_scene()
    inputs = leaves(scene)
    said = {name: inputs[name] for name in ("logits", "boxes", "quality")}
    extra = {name: inputs[name] for name in ("center mean", "center sigma")}
    prediction = Prediction(**said, extra=extra)
    loss = AutoAssignCriterion()(scene.points, prediction, scene.targets, AutoAssign()(*scene))[term]
    assert not loss.norm.requires_grad
    found = torch.autograd.grad(loss.sum, list(inputs.values()), materialize_grads=True)
    return {name: bool(gradient.any()) for name, gradient in zip(inputs, found, strict=True)}


def test_what_each_term_moves() -> None:
    everything = dict.fromkeys(("logits", "boxes", "quality", "center mean", "center sigma"), True)
    assert gradients("positive") == everything
    scored = {"logits": True, "quality": True}
    assert gradients("negative") == dict.fromkeys(everything, False) | scored
    assert gradients("center") == everything | dict.fromkeys(("logits", "boxes", "quality"), False)


def test_the_centre_term_widens_the_gaussians() -> None:
    """All weights of an object are divided by their sum, so that without this term nothing holds G up."""
    scene = two_objects({"center mean": torch.zeros(1, 2, 2), "center sigma": torch.ones(1, 2, 2)})
    sigma = scene.prediction.extra["center sigma"].requires_grad_()
    losses(scene)["center"].sum.backward()
    assert sigma.grad is not None
    # Object 0 has its points beside its centre, not above or below: only the horizontal deviation is felt.
    assert (sigma.grad < 0).tolist() == [[[True, False], [True, True]]]


def test_extreme_logits_stay_finite() -> None:
    """In float32, where probabilities are 0 or 1 to the last bit, and G is 0."""
    for logit in (-200.0, 200.0):
        scene = small_scene()
        said = scene.prediction
        wide = {"center mean": torch.full((2, 2, 2), 50.0), "center sigma": torch.full((2, 2, 2), 1.0)}
        prediction = Prediction(
            logits=torch.full_like(said.logits, logit, dtype=torch.float32).requires_grad_(),
            boxes=said.boxes.float().requires_grad_(),
            quality=torch.full_like(said.quality, logit, dtype=torch.float32).requires_grad_(),
            extra={name: value.requires_grad_() for name, value in wide.items()},
        )
        found = losses(scene._replace(prediction=prediction))
        assert all(term.sum.isfinite() for term in found.terms.values())
        found.total().backward()
        for value in (prediction.logits, prediction.boxes, prediction.quality, *wide.values()):
            assert value.grad is not None
            assert value.grad.isfinite().all()


def test_a_batch_without_objects_reaches_every_parameter() -> None:
    config = ModelConfig(
        "resnet18", weights="none", frozen_stages=0, channels=32, groups=8, depth=1, part=CenterPrior()
    )
    detector = Detector(config, classes=3)
    targets = [make_target([], (32, 32)), make_target([], (30, 32))]
    images = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    points, prediction = detector(images, Supervision(targets))
    found = losses(Scene(points, prediction, targets))
    assert sums(found)["positive"] == (0, 0)
    assert sums(found)["center"] == (0, 0)
    assert found["negative"].norm == 0
    found.total().backward()
    assert_reaches_all(detector)


def test_low_precision_is_computed_in_float32() -> None:
    assert_low_precision_is_widened(losses)


def test_points_in_crowds_take_no_part() -> None:
    """The crowd covers points 2 and 3; they lie in object 1 and stay. Without it they are ignored."""
    scene = two_objects()
    crowd = make_target([[0, 0, 16, 8]], (16, 16), crowd=[[0, 8, 16, 16]])
    plain = make_target([[0, 0, 16, 8]], (16, 16))
    one, other = (losses(scene._replace(targets=[target])) for target in (crowd, plain))
    # Two points, two classes of probability 1/4 each. Point 4 lies on the crowd's border.
    assert (other["negative"].sum - one["negative"].sum).item() == pytest.approx(0.75 * 4 * 0.0625 * -math.log(0.75))
    assert sums(one)["positive"] == pytest.approx(sums(other)["positive"])


def test_a_point_that_is_ignored_takes_no_part_even_in_a_box() -> None:
    scene = two_objects()
    assignment = AutoAssign()(*scene)
    assignment.gt[0, 1] = IGNORED
    found = sums(AutoAssignCriterion()(*scene, assignment))
    for name, term in slow_auto_assign.losses(pictures(scene), ignored=[[1]]).items():
        assert found[name] == pytest.approx(term), name
