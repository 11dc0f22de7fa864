"""IQDet's losses: numbers worked by hand, the slow form, gradients, and what a batch may lack."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from assign import slow_iqdet
from assign.iqdet_scenes import POINTS, mixture, random_scene, with_extra

from mmmc.assign import FCOS, IQDet, ignore_crowds
from mmmc.criterion import IQDetCriterion
from mmmc.errors import InputError
from mmmc.model import Detector, ModelConfig
from mmmc.parts import CenterPrior, QualityDistribution
from mmmc.recipe import load_recipe
from mmmc.structures import Prediction, Supervision
from mmmc.testing import Scene, make_target

LOG2 = math.log(2)
SIDE = 0.5 * math.exp(-0.5)
"""Value one deviation from the middle of a Gaussian of logit 0, which has half of the shares."""


def by_hand() -> Scene:
    """One object `0 0 16 16` of class 1; its positions are (8, 8) and (12, 8) on level 0 and point 19 itself.

    All logits are 0. Boxes are the object, but point 0 says `0 0 16 8` and point 1 `0 0 8 16`.
    """
    boxes = torch.tensor([0.0, 0, 16, 16]).repeat(1, 20, 1)
    boxes[0, 0, 3], boxes[0, 1, 2] = 8, 8
    said = Prediction(torch.zeros(1, 20, 2), boxes, torch.zeros(1, 20))
    samples = [[[8, 8, 0], [12, 8, 0], [24, 24, 1]]]
    said = with_extra(said, [mixture((0, 0.5), (0, 1.0))], samples)
    return Scene(POINTS, said, [make_target([[0, 0, 16, 16]], (32, 32), labels=[1])])


def losses(criterion: IQDetCriterion, scene: Scene) -> dict[str, tuple[float, float]]:
    assignment = ignore_crowds(scene.points, IQDet()(*scene), scene.targets)
    terms = criterion(*scene, assignment).terms
    return {name: (term.sum.item(), term.norm.item()) for name, term in terms.items()}


def test_the_terms_by_hand() -> None:
    """Read are points 0, 1, 4, 5 a quarter each, then 1 and 5 a half each, then 19, which lies outside the box.

    Values: 1/2; SIDE; at (24, 24), which is (2, 2), with deviation 1: 1/2 e^-4.
    """
    values = [0.5, SIDE, 0.5 * math.exp(-4)]
    found = losses(IQDetCriterion(), by_hand())
    # At logit 0 any target costs log 2, times its squared distance from 1/2. Fifteen points are not read.
    positive = sum((value - 0.5) ** 2 + 0.25 for value in values) * LOG2
    assert found["class"] == pytest.approx((positive + 15 * 2 * 0.25 * LOG2, 3))
    # Box read first: 0 0 14 14, then 0 0 12 16, then the object itself; all within the object, so GIoU is IoU.
    ious = [14 * 14 / 256, 12 / 16, 1.0]
    box = sum(value * (1 - iou) for value, iou in zip(values, ious, strict=True))
    assert found["box"] == pytest.approx((box, sum(values)))
    assert found["quality"] == pytest.approx((3 * LOG2, 3))
    # Level 0 holds points 0, 1, 4, 5 at (±1/2, ±1/2), one deviation off in both directions: value e^-1 / 2, IoU 1/2,
    # 1/2, 1, 1. Level 1 holds point 16 in the middle: value 1/2, IoU 1.
    value = 0.5 * math.exp(-1)
    fine = (3 * -math.log(value) - math.log(1 - value)) / 4
    assert found["distribution"] == pytest.approx((fine + LOG2, 2))


def test_the_quality_learns_the_iou_of_the_box_that_is_read() -> None:
    scene = by_hand()
    scene.prediction.quality.fill_(1.0)
    total = sum(math.log1p(math.e) - iou for iou in (14 * 14 / 256, 12 / 16, 1.0))
    assert losses(IQDetCriterion(), scene)["quality"] == pytest.approx((total, 3))


def test_the_class_of_the_object_is_learned_between_the_points() -> None:
    """Of points 0, 1, 4, 5 the first says logit 4 of class 1: read 1, then 0, then 0."""
    scene = by_hand()
    scene.prediction.logits[0, 0, 1] = 4.0
    p = 1 / (1 + math.exp(-1))
    right = (p - 0.5) ** 2 * (math.log1p(math.e) - 0.5) + 0.25 * LOG2
    others = sum((value - 0.5) ** 2 + 0.25 for value in (SIDE, 0.5 * math.exp(-4))) * LOG2
    assert losses(IQDetCriterion(), scene)["class"][0] == pytest.approx(right + others + 7.5 * LOG2)
    scene.prediction.logits[0, 0] = torch.tensor([4.0, 0.0])
    wrong = p**2 * math.log1p(math.e)
    assert losses(IQDetCriterion(), scene)["class"][0] == pytest.approx(wrong + others + 7.5 * LOG2)


def test_options() -> None:
    scene = by_hand()
    plain = losses(IQDetCriterion(), scene)
    factors = IQDetCriterion(class_factor=2, box_factor=3, quality_factor=0.5, distribution_factor=0.25)
    many = losses(factors, scene)
    for name, factor in (("class", 2), ("box", 3), ("quality", 0.5), ("distribution", 0.25)):
        assert many[name] == pytest.approx((factor * plain[name][0], plain[name][1]))
    # Without a modulating factor each of 30 + 6 logits costs log 2.
    assert losses(IQDetCriterion(gamma=0.0), scene)["class"][0] == pytest.approx(36 * LOG2)
    focal = losses(IQDetCriterion(class_loss="focal", gamma=0.0, alpha=0.125), scene)["class"][0]
    values = sum([0.5, SIDE, 0.5 * math.exp(-4)])
    assert focal == pytest.approx((0.875 * (36 - values) + 0.125 * values) * LOG2)


def test_a_pair_that_is_taken_out_of_the_assignment_takes_no_part() -> None:
    scene = by_hand()
    assignment = IQDet()(*scene)
    assert assignment.pairs is not None
    pairs = assignment.pairs.clone()
    pairs[0, 0, 19] = 0
    terms = IQDetCriterion()(*scene, replace(assignment, pairs=pairs)).terms
    assert [terms[name].norm.item() for name in ("class", "box", "quality")] == pytest.approx([2, 0.5 + SIDE, 2])


@pytest.mark.parametrize("start", [0, pytest.param(30, marks=pytest.mark.full)])
def test_equals_the_slow_form(start: int) -> None:
    for seed in range(start, 30 if start == 0 else 300):
        scene = random_scene(seed)
        points, said, targets = scene
        crowd = torch.tensor([[20.0, 10, 70, 60]]) if seed % 3 == 0 else targets[0].crowd
        scene = Scene(points, said, [replace(targets[0], crowd=crowd)])
        gamma = (2.0, 1.5)[seed % 2]
        assignment = ignore_crowds(points, IQDet()(*scene), scene.targets)
        found = losses(IQDetCriterion(gamma=gamma), scene)
        expected = slow_iqdet.losses(
            slow_iqdet.Picture(points, targets[0]),
            said.extra["quality mixture"][0].tolist(),
            said.extra["samples"][0].tolist(),
            assignment.gt[0].tolist(),
            said.logits[0].tolist(),
            said.boxes[0].tolist(),
            said.quality[0].tolist(),
            gamma,
        )
        assert found.keys() == expected.keys()
        for name, term in expected.items():
            assert found[name] == pytest.approx(term, rel=1e-9), (seed, name)


def test_a_batch_is_the_sum_of_its_pictures() -> None:
    points, said, targets = random_scene(2, images=2)
    targets[1] = replace(targets[1], boxes=targets[1].boxes[:1], labels=targets[1].labels[:1])
    both = losses(IQDetCriterion(), Scene(points, said, targets))
    each = [losses(IQDetCriterion(), Scene(points, cut(said, index), [target])) for index, target in enumerate(targets)]
    for name, (total, norm) in both.items():
        assert (total, norm) == pytest.approx([sum(part[name][k] for part in each) for k in (0, 1)], rel=1e-12)


def cut(said: Prediction, index: int) -> Prediction:
    part = slice(index, index + 1)
    extra = {name: value[part] for name, value in said.extra.items()}
    return Prediction(said.logits[part], said.boxes[part], said.quality[part], extra)


LEARNS = {"class": "logits", "box": "boxes", "quality": "quality", "distribution": "quality mixture"}
"""By term the one input that it moves; all else is a target or a weight."""


@pytest.mark.parametrize("term", LEARNS)
def test_gradients(term: str) -> None:
    """Of each term with regard to each input, numerically where there is one."""
    points, said, targets = random_scene(1)  # 2 levels, 2 objects
    assignment = IQDet()(points, said, targets)
    inputs = {"logits": said.logits, "boxes": said.boxes, "quality": said.quality, **said.extra}

    def value(**changed: torch.Tensor) -> torch.Tensor:
        now = {**inputs, **changed}
        extra = {name: now[name] for name in said.extra}
        prediction = Prediction(now["logits"], now["boxes"], now["quality"], extra)
        return IQDetCriterion()(points, prediction, targets, assignment)[term].sum

    for name, tensor in inputs.items():
        leaf = tensor.clone().requires_grad_()
        total = value(**{name: leaf})
        if name == LEARNS[term]:
            assert torch.autograd.gradcheck(lambda t, name=name: value(**{name: t}), leaf, fast_mode=True)
            assert torch.autograd.grad(total, leaf)[0].any()
        elif total.requires_grad:
            (gradient,) = torch.autograd.grad(total, leaf, materialize_grads=True)
            assert not gradient.any(), name


def tiny() -> Detector:
    part = QualityDistribution(samples=4, pool=2, hidden=8)
    config = ModelConfig(
        "resnet18", weights="none", frozen_stages=0, channels=32, groups=8, depth=1, part=part, box_bias=1.0
    )
    return Detector(config, classes=3)


@pytest.mark.parametrize("objects", [[], [[4, 6, 30, 40], [20, 20, 60, 62]]], ids=["none", "two"])
def test_every_parameter_is_reached(objects: list[list[float]]) -> None:
    torch.manual_seed(0)
    detector = tiny()
    targets = [make_target(objects, (64, 64)), make_target([], (64, 50), crowd=[[0, 0, 20, 20]])]
    images = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    points, said = detector(images, Supervision(targets, 0.5))
    found = IQDetCriterion()(points, said, targets, ignore_crowds(points, IQDet()(points, said, targets), targets))
    found.total().backward()
    for name, parameter in detector.named_parameters():
        assert parameter.grad is not None, f"{name} is not in the graph"
        assert parameter.grad.isfinite().all(), name
        if name.startswith("part."):
            assert parameter.grad.any() == bool(objects), name
    if not objects:
        assert {name: term.norm.item() for name, term in found.terms.items()} == dict.fromkeys(LEARNS, 0)
        assert found.divided()["box"] == found.divided()["quality"] == found.divided()["distribution"] == 0
        assert found.divided()["class"] > 0


def test_ignored_points_move_nothing() -> None:
    """A crowd over all of `0 0 16 16` but what the positions read: points 4 and 16 in the box, 8 outside."""
    points, said, targets = by_hand()
    samples = said.extra["samples"][:, :, 1:2]  # reads points 1 and 5
    leaves = {"logits": said.logits, "boxes": said.boxes, "quality": said.quality}
    for leaf in leaves.values():
        leaf.requires_grad_()
    crowd = torch.tensor([[0.0, 7, 10, 24]])
    scene = Scene(points, replace(said, extra={**said.extra, "samples": samples}), [replace(targets[0], crowd=crowd)])
    assignment = ignore_crowds(points, IQDet()(*scene), scene.targets)
    found = IQDetCriterion()(*scene, assignment)
    # Eighteen points are not read, of which 4, 8, 16 are the crowd's. Level 1 has no other point in the box.
    assert found["class"].sum.item() == pytest.approx(((SIDE - 0.5) ** 2 + 0.25 + 15 * 0.5) * LOG2)
    value = 0.5 * math.exp(-1)
    # Points 0, 1, 5 with IoU 1/2, 1/2, 1.
    expected = -(2 * math.log(value) + math.log(1 - value)) / 3
    assert (found["distribution"].sum.item(), found["distribution"].norm.item()) == pytest.approx((expected, 1))
    found.total().backward()
    for name, leaf in leaves.items():
        assert leaf.grad is not None
        assert not leaf.grad[0, [4, 8, 16]].any(), name


def test_low_precision_is_computed_in_float32() -> None:
    points, said, targets = by_hand()
    said = replace(said, logits=torch.randn(1, 20, 2).bfloat16(), quality=torch.randn(1, 20).bfloat16())
    assignment = IQDet()(points, said, targets)
    wide = replace(said, logits=said.logits.float(), quality=said.quality.float())
    expected = IQDetCriterion()(points, wide, targets, assignment).total()
    assert torch.equal(IQDetCriterion()(points, said, targets, assignment).total(), expected)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(IQDetCriterion()(points, wide, targets, assignment).total(), expected)


def test_what_is_not_finite_in_the_padding_reaches_no_gradient() -> None:
    points, said, targets = random_scene(2, images=2)
    leaf = said.boxes.clone()
    padding = ~points.within(targets[1].size)
    assert padding.any()
    leaf[1, padding] = math.nan
    leaf.requires_grad_()
    mixture_leaf = said.extra["quality mixture"].clone().requires_grad_()
    extra = {**said.extra, "quality mixture": mixture_leaf}
    assignment = IQDet()(points, said, targets)
    found = IQDetCriterion()(points, replace(said, boxes=leaf, extra=extra), targets, assignment)
    found.total().backward()
    assert leaf.grad is not None
    assert mixture_leaf.grad is not None
    assert leaf.grad.isfinite().all()
    assert mixture_leaf.grad.isfinite().all()


def test_a_box_that_is_not_finite_where_nothing_is_read_does_no_harm() -> None:
    """Point 0 of the second picture, which only a filler of its objects looks at."""
    points, said, targets = by_hand()
    none = replace(targets[0], boxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
    extra = {name: torch.cat([value, torch.zeros_like(value)]) for name, value in said.extra.items()}
    extra["quality mixture"][1, ..., 3:] = 1
    boxes = said.boxes.repeat(2, 1, 1)
    boxes[1, 0] = math.nan
    boxes.requires_grad_()
    both = Prediction(said.logits.repeat(2, 1, 1), boxes, said.quality.repeat(2, 1), extra)
    assignment = IQDet()(points, both, [targets[0], none])
    total = IQDetCriterion()(points, both, [targets[0], none], assignment).total()
    total.backward()
    assert total.isfinite()
    assert boxes.grad is not None
    assert boxes.grad.isfinite().all()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("alpha", 1.5),
        ("gamma", -1.0),
        ("class_factor", math.inf),
        ("box_factor", -1.0),
        ("quality_factor", math.nan),
        ("distribution_factor", -0.5),
    ],
)
def test_options_out_of_range_are_refused(field: str, value: float) -> None:
    with pytest.raises(InputError, match=f"criterion IQDetCriterion: {field} is {value}; allowed: "):
        IQDetCriterion(**{field: value})


@pytest.mark.parametrize(
    ("build", "said"),
    [
        (lambda recipe: replace(recipe, assigner=FCOS()), "assigner is FCOS; allowed: IQDet"),
        (lambda recipe: replace(recipe, model=replace(recipe.model, part=None)), "model.part is null"),
        (lambda recipe: replace(recipe, model=replace(recipe.model, part=CenterPrior())), "model.part is CenterPrior"),
    ],
)
def test_a_recipe_that_cannot_feed_it_is_refused(build: Callable[[object], object], said: str) -> None:
    recipe = load_recipe("small_iqdet")
    with pytest.raises(InputError, match=said):
        build(recipe)


def test_predictions_and_labels_of_another_method_are_refused() -> None:
    scene = by_hand()
    with pytest.raises(InputError, match="needs predictions with the part"):
        IQDetCriterion()(*scene, replace(IQDet()(*scene), pairs=None))
    bare = scene._replace(prediction=replace(scene.prediction, extra={}))
    with pytest.raises(InputError, match="needs predictions with the part"):
        IQDetCriterion()(*bare, IQDet()(*bare))
