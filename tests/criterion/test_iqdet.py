"""IQDet's losses: numbers worked by hand, the slow form, and what is refused."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from assign import slow_iqdet
from assign.iqdet_scenes import random_scene

from mmmc.assign import FCOS, IQDet, ignore_crowds
from mmmc.criterion import IQDetCriterion
from mmmc.criterion.iqdet import Negatives
from mmmc.errors import InputError
from mmmc.parts import CenterPrior
from mmmc.recipe import load_recipe
from mmmc.structures import Prediction
from mmmc.testing import Scene

from .iqdet_losses import LOG2, SIDE, by_hand, losses


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
    # Points 0 and 4 leave 3/4 as negatives, 1 and 5 a half, 19 nothing: 5/2 more than the fifteen that are not read.
    rest = losses(IQDetCriterion(negatives="rest"), scene)
    assert rest["class"][0] == pytest.approx(plain["class"][0] + 2.5 * 2 * 0.25 * LOG2)
    assert rest | {"class": plain["class"]} == plain
    # The box holds points 0, 1, 4, 5 of level 0 and 16, which is not read: fourteen are left, and of 19 nothing.
    outside = losses(IQDetCriterion(negatives="outside"), scene)
    assert outside["class"][0] == pytest.approx(plain["class"][0] - 2 * 0.25 * LOG2)
    assert outside | {"class": plain["class"]} == plain
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
    # Point 19 lies outside the box and is read no more: it is a negative like the fourteen others there.
    outside = IQDetCriterion(negatives="outside")(*scene, replace(assignment, pairs=pairs)).terms["class"].sum.item()
    positive = sum((value - 0.5) ** 2 + 0.25 for value in (0.5, SIDE)) * LOG2
    assert outside == pytest.approx(positive + 15 * 2 * 0.25 * LOG2)


@pytest.mark.parametrize("start", [0, pytest.param(30, marks=pytest.mark.full)])
@pytest.mark.parametrize("negatives", ["unread", "rest", "outside"])
def test_equals_the_slow_form(start: int, negatives: Negatives) -> None:
    for seed in range(start, 30 if start == 0 else 300):
        scene = random_scene(seed)
        points, said, targets = scene
        crowd = torch.tensor([[20.0, 10, 70, 60]]) if seed % 3 == 0 else targets[0].crowd
        scene = Scene(points, said, [replace(targets[0], crowd=crowd)])
        gamma = (2.0, 1.5)[seed % 2]
        assignment = ignore_crowds(points, IQDet()(*scene), scene.targets)
        found = losses(IQDetCriterion(gamma=gamma, negatives=negatives), scene)
        expected = slow_iqdet.losses(
            slow_iqdet.Picture(points, targets[0]),
            said.extra["quality mixture"][0].tolist(),
            said.extra["samples"][0].tolist(),
            assignment.gt[0].tolist(),
            said.logits[0].tolist(),
            said.boxes[0].tolist(),
            said.quality[0].tolist(),
            gamma,
            negatives,
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


def test_how_many_objects_are_looked_at_together_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither losses nor what the mixture learns of them."""
    points, said, targets = random_scene(2, images=2)
    found = []
    for at_once in (64, 1):
        monkeypatch.setattr("mmmc.assign.shared.pairs.AT_ONCE", at_once)
        mixture = said.extra["quality mixture"].clone().requires_grad_()
        seen = replace(said, extra={**said.extra, "quality mixture": mixture})
        terms = IQDetCriterion()(points, seen, targets, IQDet()(points, seen, targets)).terms
        terms["distribution"].sum.backward()
        found.append((terms["distribution"].sum.item(), terms["distribution"].norm.item(), mixture.grad))
    assert len(targets[0].labels) > 1
    torch.testing.assert_close(found[1], found[0])
    assert found[0][2].any()


def cut(said: Prediction, index: int) -> Prediction:
    part = slice(index, index + 1)
    extra = {name: value[part] for name, value in said.extra.items()}
    return Prediction(said.logits[part], said.boxes[part], said.quality[part], extra)


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
        (lambda recipe: replace(recipe, assigner=IQDet(samples=6)), "samples is 6, but model.part says 12"),
        (lambda recipe: replace(recipe, assigner=IQDet(deviation=0.4)), "deviation is 0.4, but model.part says 0.5"),
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
