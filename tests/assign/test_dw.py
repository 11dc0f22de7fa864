"""DW's positive weights: the promises, numbers worked by hand, and the rule written again."""

from __future__ import annotations

import math

import pytest
import torch

from mmmc.assign import DW
from mmmc.errors import InputError
from mmmc.points import make_points
from mmmc.structures import NEGATIVE
from mmmc.testing import check_assigner, make_prediction, make_scene, make_target

from . import slow_dw
from .slow_auto_assign import heaviest
from .two_objects import pairs_of, pictures, random_scene, two_objects

VARIANTS = [DW(), DW(sharpness=2.0, norm_sharpness=2.5, box_power=1.0, sigma=2.0)]


@pytest.mark.parametrize("rule", VARIANTS, ids=repr)
def test_promises(rule: DW) -> None:
    check_assigner(rule)


def weights(**options: float) -> torch.Tensor:
    pairs = DW(**options)(*two_objects()).pairs
    assert pairs is not None
    return pairs[0]


def close(found: torch.Tensor, expected: list[float]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-6)


def test_weights_by_hand() -> None:
    """Object 0: G is equal at its two points and cancels. exp(5 P) · P is 0.102471 and 0.022738; the divisor, of
    exp(3 P) · P, 0.088796 + 0.021824 = 0.110620: weights 0.926344 and 0.205556, in all more than 1.

    Object 1: 2 · 1.11² = 2.4642, G is exp(-0.5 / 2.4642) = 0.816355 at the four points, 1 at point 4. P · G is
    0.002350, 0.002123, 0.058473, 0.016753, 0.151633; with exp(3 P) in all 0.002370 + 0.002140 + 0.072489 + 0.017816
    + 0.238974 = 0.333789; with exp(5 P) 0.002384, 0.002151, 0.083653, 0.018563, 0.323637.
    """
    close(weights()[0], [0.926344, 0.205556, 0, 0, 0])
    close(weights()[1], [0.007141, 0.006443, 0.250618, 0.055612, 0.969584])
    assert DW()(*two_objects()).gt.tolist() == [[0, 0, 1, 1, 1]]


def test_options_by_hand() -> None:
    """With equal exponents the weights add up to 1; with 0 and 0 they are P · G over its sum, here
    0.231331 for object 1. A wide Gaussian leaves P alone: 0.151633 of 0.249259 for point 4."""
    close(weights(norm_sharpness=5.0)[0], [0.818397, 0.181603, 0, 0, 0])
    close(weights(sharpness=3.0)[1], [0.007100, 0.006410, 0.217169, 0.053376, 0.715944])
    assert weights(sharpness=0.0, norm_sharpness=0.0)[1, 4].item() == pytest.approx(0.655477, abs=1e-5)
    wide = weights(sharpness=0.0, norm_sharpness=0.0, sigma=1e4)[1, 4].item()
    assert wide == pytest.approx(0.608335, abs=1e-5)
    # With `box_power` 0 all P are 1/4, and exp(5 / 4) / exp(3 / 4) = 1.648721 is shared by G.
    close(weights(box_power=0.0)[0], [0.824361, 0.824361, 0, 0, 0])


def compare(rule: DW, count: int) -> None:
    for seed in range(count):
        scene = random_scene(seed)
        found = rule(*scene)
        (picture,) = pictures(scene)
        expected = slow_dw.weights(picture, rule.sharpness, rule.norm_sharpness, rule.box_power, rule.sigma)
        assert found.pairs is not None
        for mine, slow in zip(pairs_of(found.pairs[0]), expected, strict=True):
            assert mine == pytest.approx(slow, rel=1e-9, abs=0), f"scene {seed}"
        gt = heaviest(picture, expected)
        assert found.gt[0].tolist() == gt, f"scene {seed}"
        best = [1.0 if m == NEGATIVE else expected[m][p] for p, m in enumerate(gt)]
        assert found.weight[0].tolist() == pytest.approx(best, rel=1e-9)
        assert found.score[0].tolist() == [float(m >= 0) for m in gt]


@pytest.mark.parametrize("rule", VARIANTS, ids=repr)
def test_equals_the_slow_rule(rule: DW) -> None:
    compare(rule, 30)


@pytest.mark.full
@pytest.mark.parametrize("rule", VARIANTS, ids=repr)
def test_equals_the_slow_rule_on_300_scenes(rule: DW) -> None:
    compare(rule, 300)


def test_every_point_in_a_box_is_a_pair_also_where_its_weight_is_below_float32() -> None:
    points = make_points([(80, 80)], (8,))
    target = make_target([[0, 0, 640, 640]], (640, 640))
    found = DW()(points, make_prediction(points, images=1, classes=1, seed=0), [target])
    assert found.pairs is not None
    assert (found.pairs > 0).all()
    assert found.pairs.isfinite().all()


def test_no_objects() -> None:
    found = DW()(*make_scene(0, objects=0))
    assert found.pairs is not None
    assert found.pairs.shape[1] == 0
    assert found.gt.eq(NEGATIVE).all()
    assert found.finite.all()


def test_what_is_not_finite_takes_no_part_and_is_named() -> None:
    scene = two_objects()
    scene.prediction.quality[0, 1] = math.nan
    found = DW()(*scene)
    assert found.pairs is not None
    assert (found.pairs[0] > 0).tolist() == [[True, False, False, False, False], [True, False, True, True, True]]
    assert {name: values[0].tolist() for name, values in found.not_finite.items()} == {
        "class": [True, True],
        "box": [False, False],
        "prior": [False, False],
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [("sharpness", -1.0), ("norm_sharpness", math.inf), ("box_power", math.nan), ("sigma", 0.0), ("sigma", math.inf)],
)
def test_an_option_that_is_not_allowed(name: str, value: float) -> None:
    with pytest.raises(InputError, match=rf"^assigner DW: {name} is {value}; allowed: a finite number"):
        DW(**{name: value})
