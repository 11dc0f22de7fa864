"""DW's losses: numbers worked by hand, the losses written again, and what they ask of a recipe."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from assign import slow_dw
from assign.two_objects import pictures, random_scene, two_objects
from fake_cuda import CUDA, Waits, devices, fake_cuda, fake_prediction, fake_targets  # noqa: F401

from mmmc.assign import DW, FCOS, AutoAssign, ignore_crowds
from mmmc.criterion import DWCriterion
from mmmc.errors import InputError
from mmmc.recipe import load_recipe
from mmmc.structures import IGNORED, Prediction
from mmmc.testing import Scene, make_scene, make_target

from .dw_losses import BACKGROUND, losses
from .terms import sums


def test_terms_by_hand() -> None:
    """The weights are in `assign/test_dw.py`; those of all pairs add up to 2.421299. Two objects.

    Class: -log(1/4) = 1.386294 for every pair. Box, 5 · (1 - GIoU): object 0 0.926344 · 1.25 + 0.205556 · 2.5
    = 1.671820; object 1 0.007141 · 4.464286 + 0.006443 · 4.565734 + 0.250618 · 1.25 + 0.055612 · 2.5
    + 0.969584 · 0.5 = 0.998391.
    Negative: (1 - IoU²) / 0.75 is 0.583333 and 1 in object 0, so w = 0 and 1; in object 1 1 below 0.5, 0.583333 at
    0.75, 1 at 0.5 and 0.253333 at 0.9, less 0.253333 and over 0.746667: w = 1, 1, 0.441964, 1, 0. So w adds up to 4
    over the points of class 0 and 3.441964 over those of class 1, 2.558036 less than ten.
    """
    found = sums(losses(two_objects()))
    assert found["class"] == pytest.approx((0.25 * 2.421299 * 1.386294, 2), rel=1e-5)
    assert found["box"] == pytest.approx((0.25 * (1.671820 + 0.998391), 2), rel=1e-5)
    assert found["negative"] == pytest.approx((0.75 * 7.441964 * BACKGROUND, 2.558036), rel=1e-5)


def negatives(boxes: dict[int, list[float]], *, order: int = 1, **options: float) -> tuple[float, float]:
    """Sum of the weights as a negative over all points, and norm; one class, boxes changed at some points."""
    scene = two_objects()
    said = Prediction(scene.prediction.logits[..., :1], scene.prediction.boxes, scene.prediction.quality)
    for p, box in boxes.items():
        said.boxes[0, p] = torch.tensor(box)
    target = make_target(scene.targets[0].boxes.tolist()[::order], (16, 16))
    term = losses(Scene(scene.points, said, [target]), DWCriterion(**options))["negative"]
    return term.sum.item() / (0.75 * BACKGROUND), term.norm.item()


def test_several_objects_of_a_class() -> None:
    """Each point has the least of its weights: 0 of object 0, then 1 of both, 0.441964, 1, 0; in any order."""
    for order in (1, -1):
        assert negatives({}, order=order) == pytest.approx((2.441964, 2.558036), rel=1e-5)


def test_an_object_whose_points_are_all_good_or_all_bad() -> None:
    """All IoUs with object 1 below 1/2: nothing is excused but point 0, by object 0.

    All of object 1 from 1/2 on: 0.75, 0.9, 0.75, 0.9, 0.75, that is 0.583333 and 0.253333, which become 1 and 0.
    """
    far = [90.0, 90, 99, 99]
    assert negatives({2: far, 3: far, 4: far}) == pytest.approx((4, 1), rel=1e-5)
    good, better = [2.0, 2, 14, 11], [2.0, 2, 14, 12.8]
    # Point 0 with `2 2 14 11` has IoU 72 / 164 with object 0, point 1 72 / 172: both 1 there.
    assert negatives({0: good, 1: better, 2: good, 3: better, 4: good}) == pytest.approx((3, 2), rel=1e-5)


def test_a_single_point_keeps_its_own_weight() -> None:
    """Box `0 0 6 8` holds point 0; its box `0 0 6 6` has IoU 0.75: w = 0.583333. Exact, it is 0; below 1/2, 1."""
    for side, weight in ((6.0, 0.583333), (8.0, 0.0), (2.0, 1.0)):
        scene = two_objects()
        said = Prediction(scene.prediction.logits[..., :1], scene.prediction.boxes, scene.prediction.quality)
        said.boxes[0, 0] = torch.tensor([0, 0, 6, side])
        term = losses(Scene(scene.points, said, [make_target([[0, 0, 6, 8]], (16, 16))]))["negative"]
        assert term.sum.item() == pytest.approx(0.75 * BACKGROUND * (4 + weight), rel=1e-5)
        assert term.norm.item() == pytest.approx(1 - weight, rel=1e-5)


def test_options_by_hand() -> None:
    """From 0.8 on only point 4 is excused by object 1, and point 0 no longer by object 0, whose points are both 1.

    With `power` 1 point 2 has (1 - 0.75) / 0.5 = 0.5, point 4 0.2: (0.5 - 0.2) / 0.8 = 0.375. With `gamma` 0 the
    background costs -log(0.75) each.
    """
    assert negatives({}, least_iou=0.8) == pytest.approx((4, 1), rel=1e-5)
    assert negatives({}, power=1.0) == pytest.approx((2.375, 2.625), rel=1e-5)
    assert negatives({}, gamma=0.0)[0] == pytest.approx(2.441964 / 0.0625, rel=1e-5)


def test_objects_without_a_point_count_nowhere() -> None:
    scene = two_objects()
    boxes = [*scene.targets[0].boxes.tolist(), [5, 5, 7, 7]]
    more = scene._replace(targets=[make_target(boxes, (16, 16), labels=[0, 1, 1])])
    expected = sums(losses(scene))
    for name, term in sums(losses(more)).items():
        assert term == pytest.approx(expected[name])


VARIANTS = [DWCriterion(), DWCriterion(box_power=1.0, least_iou=0.3, power=1.5, gamma=1.5)]


def compare(criterion: DWCriterion, count: int) -> None:
    for seed in range(count):
        scene = random_scene(seed, images=2)
        targets = [
            replace(target, crowd=torch.tensor([[10.0, 30, 70, 60]])) if seed % 2 else target
            for target in scene.targets
        ]
        scene = scene._replace(targets=targets)
        assignment = ignore_crowds(scene.points, DW(box_power=criterion.box_power)(*scene), targets)
        ignored = [(row == IGNORED).nonzero().flatten().tolist() for row in assignment.gt]
        expected = slow_dw.losses(
            pictures(scene), ignored, criterion.box_power, criterion.least_iou, criterion.power, criterion.gamma
        )
        found = sums(criterion(*scene, assignment))
        for name, term in expected.items():
            assert found[name] == pytest.approx(term, rel=1e-9, abs=1e-12), f"scene {seed}, {name}"


@pytest.mark.parametrize("criterion", VARIANTS, ids=repr)
def test_equals_the_slow_losses(criterion: DWCriterion) -> None:
    compare(criterion, 30)


@pytest.mark.full
@pytest.mark.parametrize("criterion", VARIANTS, ids=repr)
def test_equals_the_slow_losses_on_300_scenes(criterion: DWCriterion) -> None:
    compare(criterion, 300)


def test_what_a_recipe_must_give() -> None:
    DWCriterion().require(DW(), None)
    for assigner, said in (
        (FCOS(), "assigner is FCOS; allowed: DW"),
        (AutoAssign(), "assigner is AutoAssign"),
        (DW(box_power=1.0), r"box_power is 5\.0; allowed: the assigner's, 1\.0"),
    ):
        with pytest.raises(InputError, match=f"^criterion DWCriterion: {said}"):
            DWCriterion().require(assigner, None)  # type: ignore[arg-type]


def test_the_recipe() -> None:
    recipe, small = load_recipe("small_dw"), load_recipe("small")
    assert (recipe.assigner, recipe.criterion, recipe.postprocess.score) == (DW(), DWCriterion(), "quality")
    assert recipe.model == replace(small.model, box_bias=4.0, class_prior=0.02)
    assert replace(recipe, model=small.model, assigner=small.assigner, criterion=small.criterion) == small


def test_an_assignment_without_pairs_is_refused() -> None:
    scene = make_scene(0)
    with pytest.raises(InputError, match="needs an assignment with pairs"):
        DWCriterion()(*scene, FCOS()(*scene))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("box_power", -1.0),
        ("least_iou", 1.0),
        ("power", 0.0),
        ("power", math.inf),
        ("gamma", -1.0),
        ("gamma", math.inf),
        ("class_factor", math.inf),
        ("box_factor", math.nan),
        ("negative_factor", -1.0),
    ],
)
def test_an_option_that_is_not_allowed(name: str, value: float) -> None:
    with pytest.raises(InputError, match=f"^criterion: {name} is {value}; allowed: "):
        DWCriterion(**{name: value})


def test_factors() -> None:
    scene = make_scene(1)
    one = sums(losses(scene))
    many = sums(losses(scene, DWCriterion(class_factor=0.5, box_factor=0.75, negative_factor=0.25)))
    for name, factor in (("class", 2), ("box", 3), ("negative", 1 / 3)):
        assert many[name] == pytest.approx((factor * one[name][0], one[name][1]))


@pytest.mark.usefixtures("fake_cuda")
def test_on_a_fake_gpu() -> None:
    points, prediction = fake_prediction()
    scene = Scene(points, prediction, fake_targets())
    assignment = DW()(*scene)
    values = (assignment.gt, assignment.score, assignment.weight, assignment.pairs, assignment.state)
    assert devices(*values, assignment.finite, assignment.not_finite, assignment.counts()) == {"cuda:0"}
    with Waits() as waits:
        total = losses(scene).total()
    assert waits.seen == []
    assert (str(total.device), total.dtype, total.requires_grad) == ("cuda:0", torch.float32, True)


def test_nothing_waits() -> None:
    scene = make_scene(0, objects=(5, 0))
    with Waits() as waits:
        losses(scene).total()
    assert waits.seen == []
