"""APS by hand, step by step; against a slow reference; and its properties."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from mmmc.assign import APS, FCOS
from mmmc.assign.aps_steps import Split, Steps
from mmmc.assign.candidates import Candidates
from mmmc.errors import InputError
from mmmc.points import make_points
from mmmc.structures import IGNORED, NEGATIVE, ObjectState, Points, Prediction
from mmmc.testing import check_assigner, make_scene, make_target

from . import aps_reference

AUTHORS = APS(score="code", rule="c", score_scale="code", iou_smooth=1.0, conflict="area_first")
"""The released code's choices, as far as they are rules of ours."""


def row_points(*strides: int) -> Points:
    """A row of points at y = 8: 8 on stride 8 (x = 4, 12 … 60), 4 on stride 16, 2 on stride 32, 1 on stride 64."""
    points = make_points([(1, 64 // stride) for stride in strides], strides)
    return replace(points, xy=torch.stack([points.xy[:, 0], torch.full((len(points),), 8.0)], dim=1))


def losses_prediction(points: Points, box: Sequence[float], cls: Sequence[float], reg: Sequence[float]) -> Prediction:
    """A prediction of one class whose `bce` class loss and box loss (1 − IoU of a narrower box) are those given.

    With one class, binary cross-entropy −log σ(x) = c means x = −log(e^c − 1). A predicted box of the same top, bottom
    and left side as `box` and the share 1 − r of its width has IoU and GIoU 1 − r.
    """
    c, r = torch.tensor(cls, dtype=torch.float64), torch.tensor(reg, dtype=torch.float64)
    x1, y1, x2, y2 = box
    right = x1 + (1 - r) * (x2 - x1)
    boxes = torch.stack([torch.full_like(r, x1), torch.full_like(r, y1), right, torch.full_like(r, y2)], dim=1)
    logits = -(c.exp() - 1).log()
    return Prediction(logits[None, :, None], boxes[None], torch.zeros(1, len(points), dtype=torch.float64))


def steps(rule: APS, points: Points, cls: Sequence[float], reg: Sequence[float], box: Sequence[float]) -> Steps:
    """APS on one object of one class with these losses at each point; the class loss is `bce` to be set by hand."""
    prediction = losses_prediction(points, box, cls, reg)
    height = 64
    return replace(rule, class_loss="bce").steps(points, prediction, [make_target([box], (height, 64))])


def kept(candidates: Candidates) -> list[list[int]]:
    """Candidates of the only object, level by level, best first."""
    return [
        [p for p, ok in zip(points, valid, strict=True) if ok]
        for points, valid in zip(candidates.point[0, 0].tolist(), candidates.valid[0, 0].tolist(), strict=True)
    ]


BOX = [0.0, 0.0, 64.0, 16.0]
EIGHT = row_points(8)
"""Points 0 … 7 on one level."""


# --- step 1: candidates


def test_candidates_are_the_k_points_of_least_sum_on_each_level() -> None:
    points = row_points(8, 16)
    cls = [0.9, 0.2, 0.5, 0.4, 0.7, 0.1, 0.8, 0.6, 0.3, 0.1, 0.4, 0.2]
    reg = [0.1, 0.2, 0.1, 0.5, 0.1, 0.1, 0.9, 0.1, 0.3, 0.7, 0.1, 0.1]
    # Sums: 1.0 .4 .6 .9 .8 .2 1.7 .7 | .6 .8 .5 .3
    found = steps(APS(candidates_per_level=3), points, cls, reg, BOX)
    assert kept(found.candidates) == [[5, 1, 2], [11, 10, 8]]
    torch.testing.assert_close(found.candidates.cls[0, 0, 0], torch.tensor([0.1, 0.2, 0.5], dtype=torch.float64))
    torch.testing.assert_close(found.candidates.reg[0, 0, 1], torch.tensor([0.1, 0.1, 0.3], dtype=torch.float64))


def test_a_level_with_fewer_points_than_k_gives_all_of_them_once() -> None:
    """Eq. 4 prints max(K, n); then K = 9 would take all points of a large box and more than there are of this one."""
    found = steps(APS(), row_points(8, 32), [0.5] * 10, [0.1 * k for k in range(1, 9)] + [0.3, 0.2], BOX)
    assert kept(found.candidates) == [[0, 1, 2, 3, 4, 5, 6, 7], [9, 8]]
    assert found.candidates.valid.sum() == 10


def test_candidates_lie_strictly_inside_the_box_and_the_picture() -> None:
    # The box begins at x = 4, where the first point lies, and ends beyond the picture, which ends at 40.
    prediction = losses_prediction(EIGHT, BOX, [0.5] * 8, [0.5] * 8)
    found = APS().steps(EIGHT, prediction, [make_target([[4, 0, 64, 16]], (16, 40))])
    assert sorted(kept(found.candidates)[0]) == [1, 2, 3, 4]


def test_center_radius_keeps_candidates_near_the_center() -> None:
    # The centre is at x = 32; within 1.5 strides of 8 px lie x = 28 and 36 (4 away), while 20 and 44 are 12 away.
    found = steps(APS(center_radius=1.5), EIGHT, [0.5] * 8, [0.5] * 8, BOX)
    assert sorted(kept(found.candidates)[0]) == [3, 4]
    found = steps(APS(center_radius=1.6), EIGHT, [0.5] * 8, [0.5] * 8, BOX)
    assert sorted(kept(found.candidates)[0]) == [2, 3, 4, 5]


# --- step 2: levels

LEVELS = row_points(8, 16, 32)
"""Points 0–7, 8–11, 12–13."""
CLS = [0.1] * 4 + [0.9] * 4 + [0.5] * 4 + [0.2, 0.2]
REG = [0.1] * 8 + [0.2] * 4 + [0.8, 0.9]
"""Level means: cls .5, .5, .2; reg .1, .2, .85; sums .6, .7, 1.05."""


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 1]),
        ({"num_levels": 1}, [0]),
        ({"num_levels": 3}, [0, 1, 2]),
        ({"num_levels": 9}, [0, 1, 2]),
        ({"scale_standard": "reg", "num_levels": 1}, [0]),
        ({"scale_standard": "cls", "num_levels": 1}, [2]),
    ],
)
def test_levels_of_least_mean_loss(options: dict[str, Any], expected: list[int]) -> None:
    found = steps(APS(candidates_per_level=8, **options), LEVELS, CLS, REG, BOX)
    assert found.levels.chosen[0, 0].nonzero().flatten().tolist() == expected
    if not options:
        torch.testing.assert_close(found.levels.stat[0, 0], torch.tensor([0.6, 0.7, 1.05], dtype=torch.float64))


def test_the_mean_of_the_best_favours_fine_levels_and_the_other_statistics_do_not() -> None:
    # Each level draws its losses from the same four values; P3 holds each twice, P5 only the two in the middle.
    cls = [0.1, 0.2, 0.3, 0.4] * 2 + [0.1, 0.2, 0.3, 0.4] + [0.2, 0.3]
    found = {
        stat: steps(APS(candidates_per_level=2, level_stat=stat, level_share=0.5), LEVELS, cls, [0.1] * 14, BOX)
        .levels.stat[0, 0]
        .tolist()
        for stat in ("mean", "quantile", "fixed_fraction")
    }
    assert found["mean"] == pytest.approx([0.2, 0.25, 0.35])  # best two: .1 .1 | .1 .2 | .2 .3, and .1
    assert found["quantile"] == pytest.approx([0.3, 0.3, 0.3])  # 4th of 8, 2nd of 4, 1st of 2
    assert found["fixed_fraction"] == pytest.approx([0.25, 0.25, 0.3])  # .1 .1 .2 .2 | .1 .2 | .2


def test_levels_by_a_square_look_at_the_box_alone() -> None:
    # Box 64 × 16; squares of 2 strides: 16, 32, 64 px. IoU: 256/1024; 512/(1024 + 512); 1024/4096.
    found = steps(APS(level_stat="square", square_strides=2.0, num_levels=1), LEVELS, CLS, REG, BOX)
    torch.testing.assert_close(found.levels.stat[0, 0], 1 - torch.tensor([1 / 4, 1 / 3, 1 / 4], dtype=torch.float64))
    assert found.levels.chosen[0, 0].tolist() == [False, True, False]


def shrunk(rule: APS, box: Sequence[float], cls: Sequence[float]) -> Steps:
    return steps(replace(rule, level_stat="shrunk", candidates_per_level=2), LEVELS, cls, [0.1] * 14, box)


def test_levels_by_the_middle_of_the_box() -> None:
    """Points at x = 4, 12 … 60 | 8, 24, 40, 56 | 16, 48; the box from 0 to 58 has its centre at 29.

    Shrunk to 0.2 it reaches from 23.2 to 34.8: x = 28 | 24 | none, and of 16 and 48 the first is nearer to 29. Shrunk
    to 0.5 it reaches from 14.5 to 43.5: 20, 28, 36 | 24, 40 | 16.
    """
    cls = [0.1, 0.1, 0.6, 0.9, 0.3, 0.1, 0.1, 0.1, 0.2, 0.7, 0.3, 0.2, 0.8, 0.1]
    box = [0.0, 0.0, 58.0, 16.0]
    found = shrunk(APS(num_levels=1), box, cls)
    assert found.levels.stat[0, 0].tolist() == pytest.approx([1.0, 0.8, 0.9])
    assert found.levels.chosen[0, 0].tolist() == [False, True, False]
    # The candidates are still those of least loss on the level: x = 8 and 56, with .3 each.
    assert sorted(found.shortlist.point[found.shortlist.valid].tolist()) == [8, 11]
    found = shrunk(APS(num_levels=1, shrink=0.5), box, cls)
    assert found.levels.stat[0, 0].tolist() == pytest.approx([0.7, 0.6, 0.9])  # .7 1.0 .4 | .8 .4 | .9
    # By one loss alone, and on two levels.
    found = shrunk(APS(scale_standard="cls"), box, cls)
    assert found.levels.stat[0, 0].tolist() == pytest.approx([0.9, 0.7, 0.8])
    assert found.levels.chosen[0, 0].tolist() == [False, True, True]


def test_equally_near_points_stand_for_the_middle_together() -> None:
    """The box from 0 to 64 has its centre at 32: in 25.6 … 38.4 lie 28 and 36; 24 and 40, and 16 and 48, are equal."""
    found = shrunk(APS(), BOX, [0.1] * 3 + [0.3, 0.5] + [0.1] * 4 + [0.6, 0.8, 0.1, 0.2, 0.4])
    assert found.levels.stat[0, 0].tolist() == pytest.approx([0.5, 0.8, 0.4])


def test_a_loss_in_the_middle_that_is_not_finite_is_stood_in_for() -> None:
    cls = [0.1] * 3 + [torch.nan, 0.5] + [0.1] * 9
    box = [0.0, 0.0, 58.0, 16.0]
    # Without x = 28, next to the centre 29 is 36, with a loss of .5 + .1.
    assert shrunk(APS(), box, cls).levels.stat[0, 0, 0].item() == pytest.approx(0.6)


# --- step 3: score


def test_score_of_the_paper_by_hand() -> None:
    # Two candidates: (Lc, Lr) = (.2, .2) and (1.2, .2).
    # Softmax of −Lc: 1/(1 + e^−1) = .73106, .26894; of −Lr: .5, .5. S_f = 1.23106, .76894.
    # S_m = .5 and 1/(1 + e) = .26894. S = √(.61553) = .78456 and √(.20680) = .45475.
    found = steps(APS(), row_points(32), [0.2, 1.2], [0.2, 0.2], BOX).scores
    torch.testing.assert_close(found.fit[0, 0, 0, :2], torch.tensor([1.23106, 0.76894]).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.alignment[0, 0, 0, :2], torch.tensor([0.5, 0.26894]).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(found.cost[0, 0, 0, :2], torch.tensor([-0.78456, -0.45475]).double(), atol=1e-5, rtol=0)


@pytest.mark.parametrize(
    ("score", "expected"),
    [
        # σ(0) · .4 = .2 and σ(1) · 1.4 = 1.02348, square roots.
        ("code", [0.44721, 1.01167]),
        ("sum", [0.4, 1.4]),
        ("fit_only", [-1.23106, -0.76894]),
        ("align_only", [-0.5, -0.26894]),
        # With the printed sign the worse point is the fitter: S_f = .76894, 1.23106; S = .62006, .57539.
        ("printed", [-0.62006, -0.57539]),
    ],
)
def test_other_scores_by_hand(score: Any, expected: list[float]) -> None:
    found = steps(APS(score=score), row_points(32), [0.2, 1.2], [0.2, 0.2], BOX).scores
    torch.testing.assert_close(found.cost[0, 0, 0, :2], torch.tensor(expected).double(), atol=1e-5, rtol=0)


def test_softmax_over_a_level() -> None:
    # One point on stride 64, two on stride 32: over its own level the lone point's shares are 1 + 1.
    points = row_points(32, 64)
    found = {
        over: steps(APS(softmax_over=over, num_levels=2), points, [0.2, 0.2, 0.2], [0.2, 0.2, 0.2], BOX)
        for over in ("object", "level")
    }
    fits = {over: sorted(f.scores.fit[f.shortlist.valid].tolist()) for over, f in found.items()}
    assert fits["object"] == pytest.approx([2 / 3] * 3)
    assert fits["level"] == pytest.approx([1, 1, 2])


def test_printed_equations_choose_the_points_that_lose_most() -> None:
    """The worked example of docs/paper.md: two good points, two bad ones, and two on which the tasks disagree."""
    cls, reg = [0.1, 0.2, 0.8, 0.9, 0.1, 0.9], [0.1, 0.3, 0.8, 0.9, 0.9, 0.1]
    points = replace(EIGHT, xy=EIGHT.xy[:6], stride=EIGHT.stride[:6], level=EIGHT.level[:6], shapes=((1, 6),))
    by_score = {score: steps(APS(score=score), points, cls, reg, BOX) for score in ("paper", "printed", "code")}
    assert {score: positive_points(found) for score, found in by_score.items()} == {
        "paper": [0, 1],
        "code": [0, 1],
        "printed": [2, 3],
    }
    found, valid = by_score["printed"], by_score["printed"].shortlist.valid
    printed = dict(zip(found.shortlist.point[valid].tolist(), (-found.scores.cost[valid]).tolist(), strict=True))
    assert [round(printed[point], 3) for point in range(6)] == [0.322, 0.339, 0.457, 0.481, 0.322, 0.323]


# --- step 4: split


def positive_points(found: Steps) -> list[int]:
    return sorted(found.shortlist.point[found.split.positive].tolist())


def split(rule: APS, cost: Sequence[float]) -> Split:
    """The split of one object's candidates with these costs."""
    values = torch.tensor(cost, dtype=torch.float64).view(1, 1, 1, -1)
    shortlist = Candidates(
        point=torch.arange(len(cost)).view(1, 1, 1, -1),
        cls=values,
        reg=torch.zeros_like(values),
        valid=torch.ones_like(values, dtype=torch.bool),
    )
    return replace(rule, score="sum").split(shortlist, replace(rule, score="sum").scores(shortlist))


def positions(mask: Tensor) -> list[int]:
    return mask.flatten().nonzero().flatten().tolist()


GROUPS = [0.10, 0.11, 0.12, 0.14, 0.90, 0.92, 0.93, 0.98]


def test_rules_by_hand() -> None:
    """Two groups far apart: responsibilities are 0 or 1, and a component's most likely member is that nearest its mean.

    The better group's mean is .1175, so its most likely member is .12 (.11 is further away); the other's is .9325, so
    .93. `b` ignores what lies between .12 and .93.
    """
    assert positions(split(APS(rule="a"), GROUPS).positive) == [0, 1, 2, 3]
    assert positions(split(APS(rule="c"), GROUPS).positive) == [0, 1, 2]
    both = split(APS(rule="b"), GROUPS)
    assert positions(both.positive) == [0, 1, 2]
    assert positions(both.ignored) == [3, 4, 5]
    # The mean is .525; among these the best three are no group.
    assert positions(split(APS(rule="mean"), [0.1, 0.2, 0.5, 0.6, 1.225]).positive) == [0, 1, 2]
    assert positions(split(APS(rule="topk", topk=3), GROUPS).positive) == [0, 1, 2]
    assert positions(split(APS(rule="topk", topk=99), GROUPS).positive) == list(range(8))


@pytest.mark.parametrize("rule", ["a", "b", "c", "mean", "topk"])
def test_one_candidate_is_positive_and_of_equal_ones_all(rule: Any) -> None:
    aps = APS(rule=rule, topk=1)
    assert positions(split(aps, [0.7]).positive) == [0]
    assert positions(split(aps, [0.7] * 5).positive) == list(range(5))
    assert positions(split(aps, [0.7, 0.7 + 5e-7, 0.7]).positive) == [0, 1, 2]
    # A range of 1e-5 of the size is a difference.
    assert positions(split(aps, [0.7, 0.70001, 0.7]).positive) == [0, 2]


def test_score_scale_decides_how_wide_the_mixture_begins() -> None:
    """Times 10 these values span 4.3, little beside a starting deviation of √10: the two forms end differently."""
    cost = [0.10, 0.22, 0.26, 0.35, 0.53]
    assert positions(split(APS(score_scale="standard"), cost).positive) == [0, 1, 2, 3]
    assert positions(split(APS(score_scale="code"), cost).positive) == [0, 1, 2]


def test_no_candidate_beyond_the_other_components_mean_belongs_to_the_better() -> None:
    """A wide better component is likelier than a narrow worse one on the far side of it too."""
    cost = [0.0, 1.0, 2.0, 3.0, 4.0, 6.0, 6.001, 6.002, 6.003, 6.004, 9.0]
    positive = positions(split(APS(), cost).positive)
    assert positive == list(range(positive[-1] + 1))
    assert 10 not in positive


@settings(max_examples=200, deadline=None)
@given(
    cost=st.lists(st.floats(0, 1000, allow_subnormal=False), min_size=1, max_size=18),
    rule=st.sampled_from(["a", "b", "c", "mean", "topk"]),
)
def test_positives_are_the_best_and_never_none(cost: list[float], rule: Any) -> None:
    found = split(APS(rule=rule), cost)
    positive = found.positive.flatten()
    assert positive.any()
    values = torch.tensor(cost, dtype=torch.float64)
    assert values[positive].max() <= values[~positive].min() if not positive.all() else True
    assert not (found.ignored & found.positive).any()


# --- losses


def test_class_losses_by_hand() -> None:
    """Three classes, probabilities of 1/2: FL of the object's class is .25 · .25 · ln 2, of others .75 · .25 · ln 2."""
    points = row_points(64)
    prediction = Prediction(torch.zeros(1, 1, 3), torch.tensor([[BOX]]), torch.zeros(1, 1))
    ln2 = 0.693147
    for kind, expected in (("focal", (0.0625 + 2 * 0.1875) * ln2), ("focal_gt_only", 0.0625 * ln2), ("bce", 3 * ln2)):
        found = APS(class_loss=kind).steps(points, prediction, [make_target([BOX], (64, 64))])  # type: ignore[arg-type]
        valid = found.candidates.valid
        assert found.candidates.cls[valid].tolist() == pytest.approx([expected], rel=1e-5)
        assert found.candidates.reg[valid].tolist() == pytest.approx([0], abs=1e-6)


def test_iou_smooth_and_lambda_reg_by_hand() -> None:
    """Predicted 16 × 16 in one corner of a 32 × 32: IoU = GIoU = 1/4. In strides of 16: (1 + 1) / (4 + 1) = .4."""
    points = make_points([(2, 2)], (16,))
    box, corner = [0.0, 0.0, 32.0, 32.0], [[0.0, 0.0, 16.0, 16.0]]
    prediction = Prediction(torch.zeros(1, 4, 1), torch.tensor([corner * 4]), torch.zeros(1, 4))
    for options, expected in (
        ({}, 0.75),
        ({"iou_smooth": 1.0}, 0.6),
        ({"lambda_reg": 2.0}, 1.5),
        ({"iou_smooth": 1.0, "lambda_reg": 0.5}, 0.3),
    ):
        found = APS(**options).steps(points, prediction, [make_target([box], (32, 32))])  # type: ignore[arg-type]
        assert found.candidates.reg[found.candidates.valid].tolist() == pytest.approx([expected] * 4, rel=1e-5)


# --- step 5: conflicts and fallback


def two_objects(
    rule: APS, boxes: list[list[float]], cls: Sequence[Sequence[float]], predicted: Sequence[Sequence[float]]
) -> tuple[list[int], list[int]]:
    """`gt` and states for objects of classes 0 and 1 in a row of points of stride 8.

    Args:
        rule: with `class_loss = focal_gt_only` set here.
        boxes: of the objects.
        cls: for each point the logits of both classes.
        predicted: the box of each point.
    """
    prediction = Prediction(torch.tensor([cls]), torch.tensor([predicted]), torch.zeros(1, len(cls)))
    points = make_points([(1, len(cls))], (8,))
    target = make_target(boxes, (16, 8 * len(cls)), labels=list(range(len(boxes))))
    found = replace(rule, class_loss="focal_gt_only")(points, prediction, [target])
    return found.gt[0].tolist(), found.state[0].tolist()


def test_a_point_that_two_objects_want() -> None:
    """One point, in both boxes: a 16 × 16 of class 0 and an 8 × 8 of class 1. The predicted box is the large one.

    Box losses are 0 and 1 − 64/256 = .75. At logits −6 and 6 the focal loss of class 0 is .25 · .995 · 6.0025 = 1.493,
    that of class 1 about 0: sums of 1.493 and .75.
    """
    large, small = [0.0, 0.0, 16.0, 16.0], [0.0, 0.0, 8.0, 8.0]
    given: dict[str, Any] = {"boxes": [large, small], "cls": [[-6.0, 6.0]], "predicted": [large]}
    assert two_objects(APS(conflict="min_cost"), **given) == ([1], [ObjectState.NONE_LEFT, ObjectState.CHOSEN])
    assert two_objects(APS(conflict="max_iou"), **given) == ([0], [ObjectState.CHOSEN, ObjectState.NONE_LEFT])
    given["cls"] = [[6.0, -6.0]]
    assert two_objects(APS(conflict="min_cost"), **given)[0] == [0]
    assert two_objects(APS(conflict="area_first"), **given)[0] == [1]


def test_an_object_that_lost_its_points_gets_its_best_free_candidate() -> None:
    """Twins over two points: both want point 0 only (the better by far). The one that loses it gets point 1."""
    box, off = [0.0, 0.0, 16.0, 16.0], [0.0, 0.0, 4.0, 16.0]
    gt, state = two_objects(APS(), [box, box], [[2.0, 1.0], [1.0, 1.0]], [box, off])
    assert gt == [0, 1]
    assert state == [ObjectState.CHOSEN, ObjectState.FALLBACK]


def test_else_the_best_free_point_in_its_box() -> None:
    """With one candidate a level both twins look at point 0 alone; point 2 is the better of the two that are free."""
    box = [0.0, 0.0, 24.0, 16.0]
    predicted = [box, [0.0, 0.0, 4.0, 16.0], [0.0, 0.0, 12.0, 16.0]]
    gt, state = two_objects(APS(candidates_per_level=1), [box, box], [[2.0, 1.0]] * 3, predicted)
    assert gt == [0, NEGATIVE, 1]
    assert state == [ObjectState.CHOSEN, ObjectState.FALLBACK]


def test_else_the_best_point_of_an_object_that_keeps_another() -> None:
    """A large object takes both points; the small one holds only point 1 and gets it, since the large keeps point 0."""
    large, small = [0.0, 0.0, 16.0, 16.0], [9.0, 0.0, 16.0, 16.0]
    gt, state = two_objects(APS(), [large, small], [[4.0, 0.0], [4.0, 0.0]], [large, large])
    assert gt == [0, 1]
    assert state == [ObjectState.CHOSEN, ObjectState.FALLBACK]


def test_an_object_stays_without_where_each_point_is_anothers_only_one() -> None:
    """Two twins in a box of one point."""
    box = [0.0, 0.0, 8.0, 8.0]
    gt, state = two_objects(APS(), [box, box], [[2.0, 1.0]], [box])
    assert gt == [0]
    assert state == [ObjectState.CHOSEN, ObjectState.NONE_LEFT]


def test_those_with_less_to_lose_are_provided_first() -> None:
    """Three objects over two points; 0 takes point 0. Of the others, 2 has the lower cost at point 1 and gets it."""
    box = [0.0, 0.0, 16.0, 16.0]
    prediction = Prediction(
        torch.tensor([[[3.0, -1.0, 0.0], [-2.0, -2.0, -1.0]]]), torch.tensor([[box, box]]), torch.zeros(1, 2)
    )
    rule = APS(class_loss="focal_gt_only", candidates_per_level=1)
    target = make_target([box] * 3, (16, 16), labels=[0, 1, 2])
    found = rule(make_points([(1, 2)], (8,)), prediction, [target])
    assert found.gt[0].tolist() == [0, 2]
    assert found.state[0].tolist() == [ObjectState.CHOSEN, ObjectState.NONE_LEFT, ObjectState.FALLBACK]


def test_tiny_objects_get_the_nearest_point_of_the_finest_level_if_asked_for() -> None:
    """The box of 5 px from (9, 9) holds none of the points at 4, 12 … 60 and, on stride 16, at 8, 24 …"""
    scene_points = make_points([(8, 8), (4, 4)], (8, 16))
    prediction = make_scene(0, strides=(8, 16), size=(64, 64), images=1).prediction
    target = make_target([[5.0, 5.0, 7.5, 7.5]], (64, 64))
    none = APS()(scene_points, prediction, [target])
    assert not none.positive.any()
    assert none.state[0].tolist() == [ObjectState.NO_POINT]
    nearest = APS(tiny="nearest")(scene_points, prediction, [target])
    assert nearest.positive[0].nonzero().flatten().tolist() == [0]  # (4, 4), 3.2 px from the centre; (12, 4) is 6.2
    assert nearest.state[0].tolist() == [ObjectState.FALLBACK]


def test_levels_of_cells_much_larger_than_the_object_are_left_out_if_asked_for() -> None:
    """The box of 5 px round (8, 8) holds that point of stride 16 and none of the points 4, 12 … of stride 8."""
    scene_points = make_points([(8, 8), (4, 4)], (8, 16))
    prediction = make_scene(0, strides=(8, 16), size=(64, 64), images=1).prediction
    target = make_target([[5.5, 6.0, 10.5, 10.0]], (64, 64))
    found = APS()(scene_points, prediction, [target])
    assert found.positive[0].nonzero().flatten().tolist() == [64]
    # 5 px are 0.3125 cells of 16.
    assert APS(least_cells=0.3125)(scene_points, prediction, [target]).positive[0, 64]
    left_out = APS(least_cells=0.313)(scene_points, prediction, [target])
    assert not left_out.positive.any()
    assert left_out.state[0].tolist() == [ObjectState.NO_CANDIDATE]
    nearest = APS(least_cells=1, tiny="nearest")(scene_points, prediction, [target])
    assert nearest.positive[0].nonzero().flatten().tolist() == [0]
    assert nearest.state[0].tolist() == [ObjectState.FALLBACK]
    # On the finest level an object may be as small as it likes.
    small = make_target([[11.0, 11.0, 13.0, 13.0]], (64, 64))
    assert APS(least_cells=9)(scene_points, prediction, [small]).positive[0].nonzero().flatten().tolist() == [9]


def test_class_targets_relative_to_the_best() -> None:
    """Scores .78456 and .45475 as worked above, both positive with rule topk: targets 1 and .57963."""
    found = steps(APS(rule="topk", target="score"), row_points(32), [0.2, 1.2], [0.2, 0.2], BOX).assignment
    assert found.score[0].tolist() == pytest.approx([1, 0.57963], abs=1e-5)
    found = steps(APS(rule="topk", score="sum", target="score"), row_points(32), [0.2, 1.2], [0.2, 0.2], BOX).assignment
    assert found.score[0].tolist() == pytest.approx([1, 0.4 / 1.4])
    found = steps(APS(rule="topk"), row_points(32), [0.2, 1.2], [0.2, 0.2], BOX).assignment
    assert found.score[0].tolist() == [1, 1]


def test_ignored_points_reach_the_assignment() -> None:
    cost = [c - 0.05 for c in GROUPS]
    found = steps(APS(rule="b", score="sum"), EIGHT, cost, [0.05] * 8, BOX).assignment
    assert found.gt[0].tolist() == [0, 0, 0, IGNORED, IGNORED, IGNORED, NEGATIVE, NEGATIVE]


# --- the four rows of Table 6


def scene_labels(rule: APS) -> Tensor:
    return rule(*make_scene(3, images=2, objects=5, size=(128, 160))).gt


def test_neither_scale_nor_spatial_is_fcos() -> None:
    scene = make_scene(3, images=2, objects=5, size=(128, 160))
    ours, theirs = APS(scale=False, spatial=False, range_strides=4.0)(*scene), FCOS(range_strides=4.0)(*scene)
    assert torch.equal(ours.gt, theirs.gt)
    assert [a.tolist() for a in ours.state] == [b.tolist() for b in theirs.state]


def test_scale_alone_samples_near_the_center_on_the_chosen_levels() -> None:
    # Least mean is on stride 8; within 1.5 strides of the centre (32, 8) lie points 3 and 4.
    found = steps(APS(spatial=False, num_levels=1), LEVELS, CLS, REG, BOX)
    assert positions(found.wanted) == [3, 4]
    found = steps(APS(spatial=False, num_levels=1, scale_only="inside"), LEVELS, CLS, REG, BOX)
    assert positions(found.wanted) == list(range(8))
    found = steps(
        APS(spatial=False, num_levels=1, scale_only="candidates", candidates_per_level=4), LEVELS, CLS, REG, BOX
    )
    assert positions(found.wanted) == [0, 1, 2, 3]
    # Nothing within half a stride of the centre: the candidate of least loss.
    low = [0.5] * 5 + [0.1] + [0.5] * 2 + [9.0] * 6
    found = steps(APS(spatial=False, num_levels=1, sampling_radius=0.5), LEVELS, low, [0.5] * 14, BOX)
    assert positions(found.wanted) == [5]


def test_spatial_alone_takes_levels_from_ranges_or_all() -> None:
    """Ranges of 4 strides: 0–32, 32–64, 64 and more. The point at 4 reaches 60 to the right side: P4's range.

    On stride 8 all points reach at least 36, so none is in range; on stride 16 they reach 56, 40, 40, 56: all are; on
    stride 32 they reach 48: none is.
    """
    found = steps(APS(scale=False, range_strides=4.0), LEVELS, CLS, REG, BOX)
    assert [sorted(points) for points in kept(found.candidates)] == [[], [8, 9, 10, 11], []]
    assert found.levels.chosen[0, 0].tolist() == [False, True, False]
    found = steps(APS(scale=False, spatial_levels="all"), LEVELS, CLS, REG, BOX)
    assert found.levels.chosen[0, 0].tolist() == [True, True, True]
    assert found.shortlist.valid.sum() == 14


# --- not finite


def test_a_loss_that_is_not_finite_takes_no_part_and_is_named() -> None:
    points, cls = EIGHT, [0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.9, 0.9]
    prediction = losses_prediction(points, BOX, cls, [0.1] * 8)
    prediction.logits[0, 1] = torch.nan
    prediction.boxes[0, 2] = torch.inf
    far = [200.0, 200.0, 264.0, 216.0]
    target = replace(make_target([far, BOX], (64, 64)), image_id=17)
    found = APS(class_loss="bce")(points, prediction, [target])
    assert found.gt[0].tolist() == [1, NEGATIVE, NEGATIVE, 1, NEGATIVE, NEGATIVE, NEGATIVE, NEGATIVE]
    assert found.finite.tolist() == [False]
    with pytest.raises(FloatingPointError, match=r"picture 17: object 1 \(class loss\), object 1 \(box loss\)\.$"):
        found.check([target])


# --- the slow reference

FSAF = APS(level_stat="shrunk", num_levels=1)
SEEN = APS(least_cells=2.0)
REFERENCE = pytest.mark.parametrize(
    "rule", [APS(), AUTHORS, FSAF, SEEN], ids=["defaults", "authors", "fsaf", "least_cells"]
)


def compare(rule: APS, count: int) -> None:
    for seed in range(count):
        random = np.random.default_rng(seed)
        levels = int(random.integers(3, 6))
        strides = [8, 16, 32, 64, 128][:levels]
        scene = make_scene(
            seed, images=1, objects=int(random.integers(1, 41)), size=(96, 96), strides=strides, classes=3
        )
        assert len(scene.points) <= 200
        double = Prediction(
            scene.prediction.logits.double(), scene.prediction.boxes.double(), scene.prediction.quality.double()
        )
        found = rule(scene.points, double, scene.targets)
        gt, states = aps_reference.assign(rule, scene.points, double, scene.targets)
        assert found.gt.tolist() == gt.tolist(), f"scene {seed}"
        assert [state.tolist() for state in found.state] == states, f"scene {seed}"


@REFERENCE
def test_equals_the_slow_reference(rule: APS) -> None:
    compare(rule, 30)


@pytest.mark.full
@REFERENCE
def test_equals_the_slow_reference_on_500_scenes(rule: APS) -> None:
    compare(rule, 500)


# --- promises and properties

COMBINATIONS = [
    APS(),
    AUTHORS,
    *(APS(score=score) for score in ("code", "sum", "fit_only", "align_only", "printed")),
    *(APS(rule=rule) for rule in ("b", "c", "mean", "topk")),
    *(APS(level_stat=stat) for stat in ("quantile", "fixed_fraction", "square", "shrunk")),
    FSAF,
    *(APS(scale_standard=standard) for standard in ("cls", "reg")),
    *(APS(class_loss=loss) for loss in ("focal_gt_only", "bce")),
    *(APS(spatial=False, scale_only=kind) for kind in ("center", "candidates", "inside")),
    *(APS(scale=False, spatial_levels=kind) for kind in ("ranges", "all")),
    *(APS(conflict=kind) for kind in ("area_first", "max_iou")),
    APS(scale=False, spatial=False),
    APS(num_levels=1),
    APS(num_levels=9),
    APS(tiny="nearest"),
    APS(least_cells=2.0),
    APS(target="score"),
    APS(target="score", score="code"),
    APS(center_radius=1.5),
    APS(softmax_over="level"),
    APS(score_scale="code"),
    APS(iou_smooth=1.0, lambda_reg=2.0),
    APS(candidates_per_level=1),
]


def changed(rule: APS) -> str:
    """The options that are not at their defaults."""
    return ", ".join(f"{o.name}={getattr(rule, o.name)}" for o in fields(rule) if getattr(rule, o.name) != o.default)


SHORT = (APS(), AUTHORS, FSAF, APS(scale=False), APS(spatial=False), APS(tiny="nearest"), APS(target="score"))
"""Of the combinations, those that are checked every time; `make test-full` checks all."""


@pytest.mark.parametrize(
    "rule",
    [pytest.param(rule, marks=() if rule in SHORT else pytest.mark.full, id=changed(rule)) for rule in COMBINATIONS],
)
def test_keeps_the_promises_of_every_assigner(rule: APS) -> None:
    check_assigner(rule, crowd=1000 if rule == APS() else 60)


def test_the_short_list_is_of_the_long_one() -> None:
    assert set(SHORT) <= set(COMBINATIONS)


seeds = st.integers(0, 10**6)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, objects=st.integers(1, 12))
def test_order_of_points_within_a_level_does_not_matter(seed: int, objects: int) -> None:
    scene = make_scene(seed, images=2, objects=objects)
    order, first = [], 0
    random = torch.Generator().manual_seed(seed)
    for height, width in scene.points.shapes:
        order.append(first + torch.randperm(height * width, generator=random))
        first += height * width
    shuffled = torch.cat(order)
    points = replace(scene.points, xy=scene.points.xy[shuffled])
    prediction = Prediction(
        scene.prediction.logits[:, shuffled], scene.prediction.boxes[:, shuffled], scene.prediction.quality[:, shuffled]
    )
    assert torch.equal(APS()(points, prediction, scene.targets).gt, APS()(*scene).gt[:, shuffled])


@settings(max_examples=60, deadline=None)
@given(seed=seeds, objects=st.integers(1, 60))
def test_an_object_is_without_only_if_nothing_is_left(seed: int, objects: int) -> None:
    scene = make_scene(seed, images=1, objects=objects, size=(64, 64))
    steps = APS().steps(*scene)
    gt, owned = steps.assignment.gt[0], steps.assignment.counts()[0]
    for number, in_box in enumerate(steps.objects.in_box[0]):
        if owned[number] == 0 and in_box.any():
            assert (gt[in_box] >= 0).all()
            assert (owned[gt[in_box]] == 1).all()
            assert steps.assignment.state[0][number] == ObjectState.NONE_LEFT
        assert (owned[number] == 0 and not in_box.any()) == (steps.assignment.state[0][number] == ObjectState.NO_POINT)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, objects=st.integers(0, 12))
def test_doubling_everything_changes_nothing(seed: int, objects: int) -> None:
    scene = make_scene(seed, images=2, objects=objects)
    points = scene.points
    doubled = replace(points, xy=2 * points.xy, stride=2 * points.stride, strides=tuple(2 * s for s in points.strides))
    prediction = replace(scene.prediction, boxes=2 * scene.prediction.boxes)
    targets = [
        replace(target, boxes=2 * target.boxes, size=(2 * target.size[0], 2 * target.size[1]))
        for target in scene.targets
    ]
    for rule in (APS(), APS(iou_smooth=1.0), APS(level_stat="square"), FSAF):
        assert torch.equal(rule(doubled, prediction, targets).gt, rule(*scene).gt)


@settings(max_examples=40, deadline=None)
@given(seed=seeds, objects=st.integers(0, 12))
def test_points_outside_the_picture_change_nothing_for_the_others(seed: int, objects: int) -> None:
    """A picture of 64 px in batches of 64 and of 96: 5 more rows and columns, with any prediction at all."""
    small = make_scene(seed, images=1, objects=objects, size=(64, 64))
    large = make_scene(seed + 1, images=1, size=(96, 96))
    keep = large.points.within((64, 64))
    prediction = large.prediction
    for name in ("logits", "boxes", "quality"):
        getattr(prediction, name)[0, keep] = getattr(small.prediction, name)[0]
    prediction.logits[0, ~keep] = torch.nan
    found = APS()(large.points, prediction, small.targets)
    assert torch.equal(found.gt[:, keep], APS()(*small).gt)
    assert (found.gt[:, ~keep] == NEGATIVE).all()
    assert found.finite.all()


def test_the_smallest_first_rule_cannot_see_the_order_of_equal_areas() -> None:
    """Named in the docs: between objects of equal area `area_first` gives the point to the first, whatever it costs."""
    box, other = [0.0, 0.0, 16.0, 8.0], [0.0, 0.0, 8.0, 16.0]
    given: dict[str, Any] = {"cls": [[-6.0, 6.0]], "predicted": [[0.0, 0.0, 8.0, 8.0]]}
    assert two_objects(APS(conflict="area_first"), [box, other], **given)[0] == [0]
    assert two_objects(APS(conflict="min_cost"), [box, other], **given)[0] == [1]


def test_without_both_steps_objects_may_stay_without_although_points_are_left() -> None:
    """Named in the docs: FCOS's rule has no fallback. The middle of this box lies far from its four points."""
    points = make_points([(8, 8)], (8,))
    target = make_target([[0.0, 0.0, 64.0, 7.0]], (64, 64))
    prediction = Prediction(torch.zeros(1, 64, 1), torch.zeros(1, 64, 4), torch.zeros(1, 64))
    assert APS()(points, prediction, [target]).positive.any()
    neither = APS(scale=False, spatial=False, sampling_radius=0.1)(points, prediction, [target])
    assert not neither.positive.any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"candidates_per_level": 0}, "candidates_per_level is 0; allowed: at least 1"),
        ({"num_levels": 0}, "num_levels is 0"),
        ({"topk": 0}, "topk is 0"),
        ({"level_share": 0.0}, "level_share is 0.0; allowed: above 0 to 1"),
        ({"shrink": 0.0}, "shrink is 0.0; allowed: above 0 to 1"),
        ({"shrink": 1.5}, "shrink is 1.5"),
        ({"iou_smooth": -1.0}, "iou_smooth is -1.0"),
        ({"lambda_reg": 0.0}, "lambda_reg is 0.0"),
        ({"center_radius": 0.0}, "center_radius is 0.0; allowed: above 0, or null"),
        ({"square_strides": float("inf")}, "square_strides is inf"),
    ],
)
def test_options_that_are_not_allowed(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        APS(**options)


def test_without_either_step_there_is_nothing_to_look_at() -> None:
    with pytest.raises(InputError, match="to look at the steps"):
        APS(scale=False, spatial=False).steps(*make_scene(0))
