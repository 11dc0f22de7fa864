"""AutoAssign's weights: the promises, numbers worked by hand, and the rule written again."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from mmmc.assign import AutoAssign
from mmmc.errors import InputError
from mmmc.points import make_points
from mmmc.structures import NEGATIVE, ObjectState, Prediction
from mmmc.testing import check_assigner, make_prediction, make_scene, make_target

from . import slow_auto_assign
from .two_objects import by_class, gaussians, pairs_of, pictures, random_scene, two_objects

VARIANTS = [AutoAssign(), AutoAssign(confidence=0.5, box_power=1.0)]


@pytest.mark.parametrize("rule", VARIANTS, ids=repr)
def test_promises(rule: AutoAssign) -> None:
    check_assigner(rule)


def test_weights_by_hand() -> None:
    """Object 0 has its centre at (8, 4), half a stride from both points: G is equal and cancels.

    exp(3 · 0.071626) = 1.239715 and exp(3 · 0.020521) = 1.063501 over their sum: 0.538254 and 0.461746. Object 1 has
    its centre at (8, 8): G is exp(-(0.25 + 0.25) / 2) = 0.778801 at the four points and 1 at point 4. exp(3 P) is
    1.008672, 1.007832, 1.239715, 1.063501, 1.576015; times G 0.785555, 0.784900, 0.965491, 0.828256, 1.576015, in
    all 4.940217. Points 0 and 1 weigh more for object 0, and object 0 has no other.
    """
    found = AutoAssign()(*two_objects())
    assert found.pairs is not None
    expected = [[0.538254, 0.461746, 0, 0, 0], [0.159012, 0.158880, 0.195435, 0.167656, 0.319017]]
    torch.testing.assert_close(found.pairs[0], torch.tensor(expected).double(), rtol=0, atol=1e-6)
    assert found.gt.tolist() == [[0, 0, 1, 1, 1]]
    assert found.score.tolist() == [[1.0] * 5]
    torch.testing.assert_close(found.weight[0], found.pairs[0].amax(dim=0))
    assert found.counts()[0].tolist() == [2, 5]


def test_learned_gaussians_by_hand() -> None:
    """Class 0 with mean (0.5, 0) and deviations (1, 9): G is exp(-1 / 2) = 0.606531 at point 0 and 1 at point 1.

    1.239715 · 0.606531 = 0.751926 and 1.063501 over their sum 1.815427: 0.414187 and 0.585813. With `confidence` 0
    G alone counts: 0.377541 and 0.622459. Class 1 keeps the start, its weights stay what they were.
    """
    extra = {
        "center mean": torch.tensor([[[0.5, 0.0], [0.0, 0.0]]], dtype=torch.float64),
        "center sigma": torch.tensor([[[1.0, 9.0], [1.0, 1.0]]], dtype=torch.float64),
    }
    found, start = AutoAssign()(*two_objects(extra)).pairs, AutoAssign()(*two_objects()).pairs
    assert found is not None
    assert start is not None
    assert found[0, 0].tolist() == pytest.approx([0.414187, 0.585813, 0, 0, 0], abs=1e-6)
    assert torch.equal(found[0, 1], start[0, 1])
    alone = AutoAssign(confidence=0.0)(*two_objects(extra)).pairs
    assert alone is not None
    assert alone[0, 0].tolist() == pytest.approx([0.377541, 0.622459, 0, 0, 0], abs=1e-6)
    # Half as wide: exp(-1 / (2 · 0.25)) = 0.135335 at point 0.
    narrow = {**extra, "center sigma": extra["center sigma"] / 2}
    half = AutoAssign(confidence=0.0)(*two_objects(narrow)).pairs
    assert half is not None
    assert half[0, 0, 0].item() == pytest.approx(0.135335 / 1.135335, abs=1e-6)


def compare(rule: AutoAssign, count: int) -> None:
    for seed in range(count):
        extra = gaussians(seed, 1) if seed % 3 else {}
        scene = random_scene(seed, extra=extra)
        found = rule(*scene)
        (picture,) = pictures(scene)
        expected = slow_auto_assign.weights(
            picture, by_class(extra) if extra else None, rule.confidence, rule.box_power
        )
        assert found.pairs is not None
        pairs = pairs_of(found.pairs[0])
        assert len(pairs) == len(expected)
        for mine, slow in zip(pairs, expected, strict=True):
            assert mine == pytest.approx(slow, rel=1e-9, abs=0), f"scene {seed}"
        gt = slow_auto_assign.heaviest(picture, expected)
        assert found.gt[0].tolist() == gt, f"scene {seed}"
        heaviest = [1.0 if m == NEGATIVE else expected[m][p] for p, m in enumerate(gt)]
        assert found.weight[0].tolist() == pytest.approx(heaviest, rel=1e-9)
        assert found.score[0].tolist() == [float(m >= 0) for m in gt]


@pytest.mark.parametrize("rule", VARIANTS, ids=repr)
def test_equals_the_slow_rule(rule: AutoAssign) -> None:
    compare(rule, 30)


@pytest.mark.full
@pytest.mark.parametrize("rule", VARIANTS, ids=repr)
def test_equals_the_slow_rule_on_300_scenes(rule: AutoAssign) -> None:
    compare(rule, 300)


def test_the_weights_of_an_object_add_up_to_1_and_every_point_in_its_box_is_a_pair() -> None:
    """Also in float32 in a large box, whose corner lies 56 strides from the centre: exp(-1596) is 0."""
    points = make_points([(80, 80)], (8,))
    target = make_target([[0, 0, 640, 640]], (640, 640))
    found = AutoAssign()(points, make_prediction(points, images=1, classes=1, seed=0), [target])
    assert found.pairs is not None
    assert found.pairs.dtype == torch.float32
    assert (found.pairs > 0).all()
    assert found.pairs.sum().item() == pytest.approx(1)
    assert found.gt.eq(0).all()


def test_a_mean_far_outside_and_a_deviation_of_0_leave_the_weights_finite() -> None:
    for mean, sigma in ((1e4, 1.0), (0.0, 0.0), (3.0, -1e-9)):
        extra = {"center mean": torch.full((1, 2, 2), mean).double(), "center sigma": torch.full((1, 2, 2), sigma)}
        found = AutoAssign()(*two_objects(extra))
        assert found.pairs is not None
        assert found.finite.all()
        assert found.pairs.sum(dim=2)[0].tolist() == pytest.approx([1, 1])


def test_what_is_not_finite_takes_no_part_and_is_named() -> None:
    scene = two_objects()
    scene.prediction.boxes[0, 1, 2] = math.nan
    scene.prediction.logits[0, 4, 1] = math.inf
    found = AutoAssign()(*scene)
    assert found.pairs is not None
    assert (found.pairs[0] > 0).tolist() == [[True, False, False, False, False], [True, False, True, True, False]]
    assert found.finite.tolist() == [False]
    assert {name: values[0].tolist() for name, values in found.not_finite.items()} == {
        "class": [False, True],
        "box": [True, True],
        "prior": [False, False],
    }
    # The class of another object alone is not looked at.
    other = two_objects()
    other.prediction.logits[0, 2, 0] = math.nan
    assert AutoAssign()(*other).finite.all()
    spoilt = two_objects(gaussians(0, 1, 2))
    spoilt.prediction.extra["center sigma"] = spoilt.prediction.extra["center sigma"].clone()  # type: ignore[index]
    spoilt.prediction.extra["center sigma"][0, 1] = math.nan
    assert AutoAssign()(*spoilt).not_finite["prior"][0].tolist() == [False, True]


def test_no_objects_and_objects_without_a_point() -> None:
    empty = AutoAssign()(*make_scene(0, objects=0))
    assert empty.pairs is not None
    assert empty.pairs.shape[1] == 0
    assert empty.gt.eq(NEGATIVE).all()
    scene = two_objects()
    small = scene._replace(targets=[make_target([[5, 5, 7, 7], [2, 2, 14, 14]], (16, 16), labels=[0, 1])])
    found = AutoAssign()(*small)
    assert found.state[0].tolist() == [ObjectState.NO_POINT, ObjectState.CHOSEN]


def test_the_prediction_is_read_without_gradient() -> None:
    scene = two_objects(gaussians(0, 1, 2))
    said = scene.prediction
    tracked = Prediction(*(getattr(said, n).requires_grad_() for n in ("logits", "boxes", "quality")), extra=said.extra)
    pairs = AutoAssign()(*scene._replace(prediction=replace(tracked))).pairs
    assert pairs is not None
    assert not pairs.requires_grad


@pytest.mark.parametrize("value", [-1.0, math.inf, math.nan])
@pytest.mark.parametrize("name", ["confidence", "box_power"])
def test_an_option_that_is_not_allowed(name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"^assigner AutoAssign: {name} is {value}; allowed: a finite number"):
        AutoAssign(**{name: value})
