"""DW's losses: numbers worked by hand, the losses written again, gradients, and what they ask of a recipe."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from assign import slow_dw
from assign.two_objects import pictures, random_scene, two_objects
from fake_cuda import CUDA, Waits, devices, fake_cuda, fake_prediction, fake_targets  # noqa: F401
from torch import Tensor

from mmmc.assign import DW, FCOS, AutoAssign, ignore_crowds
from mmmc.criterion import DWCriterion
from mmmc.errors import InputError
from mmmc.losses import Losses
from mmmc.model import Detector, ModelConfig
from mmmc.recipe import load_recipe
from mmmc.structures import IGNORED, Prediction
from mmmc.testing import Scene, make_scene, make_target

BACKGROUND = 0.0625 * -math.log(0.75)
"""p² · -log(1 - p) at p = 1/4: class probability and quality 1/2."""


def losses(scene: Scene, criterion: DWCriterion | None = None) -> Losses:
    criterion = criterion or DWCriterion()
    assignment = DW(box_power=criterion.box_power)(*scene)
    return criterion(*scene, ignore_crowds(scene.points, assignment, scene.targets))


def sums(found: Losses) -> dict[str, tuple[float, float]]:
    return {name: (term.sum.item(), term.norm.item()) for name, term in found.terms.items()}


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


# --- gradients


def small_scene() -> Scene:
    """Two pictures, the second without objects."""
    scene = two_objects()
    random = torch.Generator().manual_seed(3)
    said = Prediction(
        logits=torch.randn(2, 5, 2, generator=random, dtype=torch.float64),
        # Not the boxes of the table: theirs touch, where the loss has a kink.
        boxes=scene.prediction.boxes.repeat(2, 1, 1) + torch.rand(2, 5, 4, generator=random, dtype=torch.float64) / 3,
        quality=torch.randn(2, 5, generator=random, dtype=torch.float64),
    )
    return Scene(scene.points, said, [scene.targets[0], make_target([], (16, 16))])


MOVED = {"class": ["logits", "quality"], "box": ["boxes"], "negative": ["logits", "quality"]}


@pytest.mark.parametrize("term", MOVED)
def test_gradients_are_those_of_the_values_with_fixed_weights(term: str) -> None:
    scene = small_scene()
    assignment = DW()(*scene)
    inputs = {name: getattr(scene.prediction, name).clone().requires_grad_() for name in ("logits", "boxes", "quality")}

    def value(*values: Tensor) -> Tensor:
        prediction = Prediction(**(inputs | dict(zip(MOVED[term], values, strict=True))))
        return DWCriterion()(scene.points, prediction, scene.targets, assignment)[term].sum

    assert torch.autograd.gradcheck(value, [inputs[name] for name in MOVED[term]])
    loss = DWCriterion()(scene.points, Prediction(**inputs), scene.targets, assignment)[term]
    assert not loss.norm.requires_grad
    found = torch.autograd.grad(loss.sum, list(inputs.values()), materialize_grads=True)
    moved = [name for name, gradient in zip(inputs, found, strict=True) if gradient.any()]
    assert sorted(moved) == sorted(MOVED[term])


def test_extreme_logits_stay_finite() -> None:
    """In float32, where probabilities are 0 or 1 to the last bit."""
    for logit in (-200.0, 200.0):
        scene = small_scene()
        said = scene.prediction
        prediction = Prediction(
            logits=torch.full_like(said.logits, logit, dtype=torch.float32).requires_grad_(),
            boxes=said.boxes.float().requires_grad_(),
            quality=torch.full_like(said.quality, logit, dtype=torch.float32).requires_grad_(),
        )
        found = losses(scene._replace(prediction=prediction))
        assert all(term.sum.isfinite() for term in found.terms.values())
        found.total().backward()
        for value in (prediction.logits, prediction.boxes, prediction.quality):
            assert value.grad is not None
            assert value.grad.isfinite().all()


def test_a_batch_without_objects_reaches_every_parameter() -> None:
    config = ModelConfig("resnet18", weights="none", frozen_stages=0, channels=32, groups=8, depth=1)
    detector = Detector(config, classes=3)
    targets = [make_target([], (32, 32)), make_target([], (30, 32))]
    points, prediction = detector(torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8))
    found = losses(Scene(points, prediction, targets))
    assert sums(found)["class"] == sums(found)["box"] == (0, 0)
    assert found["negative"].norm == 0
    found.total().backward()
    for name, parameter in detector.named_parameters():
        assert parameter.grad is not None, f"{name} is not in the graph"
        assert parameter.grad.isfinite().all(), name


def test_low_precision_is_computed_in_float32() -> None:
    scene = make_scene(2)
    logits, quality = scene.prediction.logits.bfloat16(), scene.prediction.quality.bfloat16()
    low = scene._replace(prediction=replace(scene.prediction, logits=logits, quality=quality))
    wide = scene._replace(prediction=replace(scene.prediction, logits=logits.float(), quality=quality.float()))
    expected = sums(losses(wide))
    assert sums(losses(low)) == expected
    with torch.autocast("cpu", torch.bfloat16):
        assert sums(losses(wide)) == expected
    assert losses(low).total().dtype == torch.float32


def test_points_in_crowds_take_no_part() -> None:
    """The crowd covers points 2 and 3, which no object holds: four classes' worth of background less."""
    scene = two_objects()
    crowd = make_target([[0, 0, 16, 8]], (16, 16), crowd=[[0, 8, 16, 16]])
    plain = make_target([[0, 0, 16, 8]], (16, 16))
    one, other = (losses(scene._replace(targets=[target])) for target in (crowd, plain))
    assert (other["negative"].sum - one["negative"].sum).item() == pytest.approx(0.75 * 4 * BACKGROUND)
    for name in ("class", "box"):
        assert sums(one)[name] == sums(other)[name]


def test_a_point_that_is_ignored_takes_no_part_even_in_a_box() -> None:
    scene = two_objects()
    assignment = DW()(*scene)
    assignment.gt[0, 1] = IGNORED
    found = sums(DWCriterion()(*scene, assignment))
    for name, term in slow_dw.losses(pictures(scene), [[1]]).items():
        assert found[name] == pytest.approx(term), name


# --- what it asks for


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
    with pytest.raises(TypeError, match="needs an assignment with pairs"):
        DWCriterion()(*scene, FCOS()(*scene))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("box_power", -1.0),
        ("least_iou", 1.0),
        ("power", 0.0),
        ("gamma", -1.0),
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


# --- on a GPU, without one


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
