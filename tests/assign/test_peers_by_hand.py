"""Six assigners of others, worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from mmmc.assign import ATSS, FCOS, OTA, PAA, TAL, DynamicSoftLabel, MaxIoU, SimOTA
from mmmc.points import make_points
from mmmc.structures import IGNORED, NEGATIVE, ObjectState, Prediction
from mmmc.testing import make_target

from .hand_scenes import POINTS, prediction


def test_atss_by_hand() -> None:
    """Box 0 0 16 16, squares of 2 strides, two candidates a level.

    P3 (squares of 16): distances from (8, 8) are equal for points 0, 1, 4, 5; the first two count: point 0 at (4, 4)
    reaches 12 x 12 into the box: 144 / (256 + 256 - 144) = 0.391304. Point 1 at (12, 4): likewise. P4 (squares of 32):
    point 16 at (8, 8) covers the box: 256 / 1024 = 0.25; point 17 at (24, 8): 8 x 16 = 128 / 1152 = 0.111111.
    Mean 0.285930, unbiased deviation 0.134238, threshold 0.420168: no candidate reaches it.
    With 4 a level, point 4 and 5 too have 0.391304; point 18 0.111111 and 19 64 / 1216 = 0.052632:
    mean 0.261259, deviation 0.149469, threshold 0.410728. With 1 a level: mean 0.320652, deviation 0.099918, 0.420570.
    """
    target = make_target([[0, 0, 16, 16]], (32, 32))
    iou = torch.tensor([[0.391304], [0.391304], [0.25], [0.111111]])
    assert ATSS.threshold(iou, torch.ones_like(iou).bool()).item() == pytest.approx(0.420168, abs=1e-5)
    assert ATSS.threshold(iou[1:3], torch.ones(2, 1).bool()).item() == pytest.approx(0.420570, abs=1e-5)
    assert ATSS.threshold(iou[:1], torch.ones(1, 1).bool()).item() == pytest.approx(0.391304)
    all_eight = torch.tensor([0.391304] * 4 + [0.25, 0.111111, 0.111111, 0.052632])[:, None]
    assert ATSS.threshold(all_eight, torch.ones(8, 1).bool()).item() == pytest.approx(0.410728, abs=1e-5)
    empty = ATSS(topk=2, square_strides=2.0)(POINTS, prediction({}), [target])
    assert empty.state[0].tolist() == [ObjectState.NO_CANDIDATE]
    # Level P3 alone: four equal candidates, deviation 0, all positive although rounding may part them.
    fine = make_points([(4, 4)], (8,))
    few = Prediction(torch.zeros(1, 16, 1), torch.zeros(1, 16, 4), torch.zeros(1, 16))
    assert ATSS(topk=4, square_strides=2.0)(fine, few, [target]).gt[0].nonzero().flatten().tolist() == [
        p for p in range(16) if p not in (0, 1, 4, 5)
    ]
    assert ATSS(topk=1, square_strides=2.0)(fine, few, [target]).counts()[0].tolist() == [1]


def test_max_iou_by_hand() -> None:
    """Box 0 0 16 16, squares of 2 strides: 0.391304 at points 0, 1, 4, 5 and 0.25 at point 16, as above."""
    target = make_target([[0, 0, 16, 16]], (32, 32))
    found = MaxIoU(positive=0.39, negative=0.25, square_strides=2.0)(POINTS, prediction({}), [target]).gt[0].tolist()
    assert [found[p] for p in (0, 1, 4, 5, 16, 17)] == [0, 0, 0, 0, IGNORED, NEGATIVE]
    # Point 2 at (20, 4): 4 x 12 = 48 / (512 - 48) = 0.103; ignored from that on, though outside the box.
    low = MaxIoU(positive=0.5, negative=0.1, square_strides=2.0)(POINTS, prediction({}), [target]).gt[0].tolist()
    assert [low[p] for p in (0, 1, 2, 16)] == [0, 0, IGNORED, IGNORED]
    none = MaxIoU(positive=0.5, negative=0.4, square_strides=2.0, keep_best=False)(POINTS, prediction({}), [target])
    assert none.state[0].tolist() == [ObjectState.NO_CANDIDATE]


def test_simota_by_hand() -> None:
    """Box 0 0 16 16, radius 1 stride: points 0, 1, 4, 5 (4 px from the centre) and of P4 points 16 (0 px).

    The overlaps 1, 0.75, 0.5, 0.25 and 1 of their boxes sum to 3.5, so k = 3; all classes cost the same, so that the
    overlaps decide: points 0, 16 and 1.
    """
    boxes = {0: [0, 0, 16, 16], 1: [0, 0, 16, 12], 4: [0, 0, 16, 8], 5: [0, 0, 16, 4], 16: [0, 0, 16, 16]}
    target = make_target([[0, 0, 16, 16]], (32, 32))
    found = SimOTA(radius=1.0)(POINTS, prediction(boxes), [target])
    assert (found.gt[0] == 0).nonzero().flatten().tolist() == [0, 1, 16]
    # The sum of the best two is 2.
    assert (SimOTA(radius=1.0, topk=2)(POINTS, prediction(boxes), [target]).gt[0] == 0).sum() == 2


def test_simota_takes_points_beyond_the_box_where_the_square_reaches() -> None:
    """Box 10 10 14 14 holds point 5 alone; the square of 1.5 strides has points at 4 to 20."""
    boxes = {p: [10, 10, 14, 14] for p in (5, 6)}
    target = make_target([[10, 10, 14, 14]], (32, 32))
    assert (SimOTA()(POINTS, prediction(boxes), [target]).gt[0] == 0).nonzero().flatten().tolist() == [5, 6]
    strict = SimOTA(region="box_and_square", box_cost=0.0)(POINTS, prediction(boxes), [target])
    # k is 2: point 5 is in box and square, the second choice is the first of equal cost.
    assert (strict.gt[0] == 0).nonzero().flatten().tolist() == [0, 5]


def test_paa_by_hand() -> None:
    """Box 0 0 16 16, squares of 2 strides: 0.391304 at points 0, 1, 4, 5, 0.25 at point 16 (see ATSS).

    All classes cost the same, so 1 - GIoU decides: 0 at points 0, 4 and 16, 0.2 at point 1, 0.9 at point 5. The fit
    ends with means 0.05 (the four: 0.2 / 4) and 0.9. Rule a takes the four. 0 is nearer to 0.05 than 0.2 is, so the
    likeliest member is at 0, which leaves three (rule c); point 1 lies between it and 0.9, ignored by rule b.
    """
    boxes = {0: [0, 0, 16, 16], 1: [0, 0, 16, 12.8], 4: [0, 0, 16, 16], 5: [0, 0, 16, 1.6], 16: [0, 0, 16, 16]}
    target = make_target([[0, 0, 16, 16]], (32, 32))

    def labels(**options: object) -> dict[int, list[int]]:
        gt = PAA(square_strides=2.0, **options)(POINTS, prediction(boxes), [target]).gt[0]  # type: ignore[arg-type]
        return {value: (gt == value).nonzero().flatten().tolist() for value in (0, IGNORED)}

    assert labels(rule="a") == {0: [0, 1, 4, 16], IGNORED: []}
    assert labels() == {0: [0, 4, 16], IGNORED: []}
    assert labels(rule="b") == {0: [0, 4, 16], IGNORED: [1]}
    # From an overlap of 0.3 on P4 drops out. None reaches 0.9: the object keeps its best, here four equal ones.
    assert labels(least_iou=0.3)[0] == labels(least_iou=0.9)[0] == [0, 4]
    # The best of each level alone: points 0 and 16, which are equal.
    assert labels(topk=1)[0] == [0, 16]


def test_paa_gives_a_point_to_the_square_that_overlaps_more() -> None:
    """Two boxes hold point 5 at (12, 12): its square of 2 strides covers 4..20; the smaller box overlaps it more."""
    target = make_target([[0, 0, 32, 32], [6, 6, 18, 18]], (32, 32))
    said = prediction({p: [0.0, 0, 32, 32] for p in range(20)})
    squares = PAA(square_strides=2.0)(POINTS, said, [target])
    inside = PAA(prematch="inside", topk=16)(POINTS, said, [target])
    assert squares.gt[0, 5] == 1
    # With the loss as judge the larger box has it, since all predictions are that box.
    assert inside.gt[0, 5] == 0


def test_tal_by_hand() -> None:
    """Box 0 0 16 16: overlaps 1, 0.75, 0.5 with exponent 2 and probability 1/2 give 0.5, 0.28125 and 0.125.

    The best has the best overlap, 1, as its target; the others 0.5625 and 0.25. Point 2 lies outside: it is among
    the best three and drops out without another in its place.
    """
    boxes = {0: [0, 0, 16, 16], 1: [0, 0, 16, 12], 2: [0, 0, 16, 14], 4: [0, 0, 16, 8]}
    target = make_target([[0, 0, 16, 16]], (32, 32))
    found = TAL(topk=4, beta=2.0)(POINTS, prediction(boxes), [target])
    assert {p: round(found.score[0, p].item(), 6) for p in (found.gt[0] == 0).nonzero().flatten().tolist()} == {
        0: 1.0,
        1: 0.5625,
        4: 0.25,
    }
    three = TAL(topk=3, beta=2.0, target="hard")(POINTS, prediction(boxes), [target])
    assert (three.gt[0] == 0).nonzero().flatten().tolist() == [0, 1]
    assert three.score[0, 1] == 1
    # A box beside the object has alignment 0 and is nobody's, however few there are.
    assert TAL()(POINTS, prediction({}), [target]).state[0].tolist() == [ObjectState.NO_CANDIDATE]


def test_dynamic_soft_label_by_hand() -> None:
    """Point 0 predicts the box with probability 1/2: (1 - 0.5)² · log 2; the other class 0.5² · log 2; no box cost.

    It lies sqrt(32) px from the centre, 0.707107 strides: 10 ** (0.707107 - 3) = 0.005095.
    """
    rule = DynamicSoftLabel()
    target = make_target([[0, 0, 16, 16]], (32, 32))
    said = prediction({0: [0, 0, 16, 16]}, classes=2)
    cost = rule.class_cost(said, target, torch.ones(20, 1))
    assert cost[0, 0].item() == pytest.approx(0.5 * math.log(2))
    assert rule.class_cost(said, target, torch.zeros(20, 1))[0, 0].item() == pytest.approx(0.5 * math.log(2))
    assert rule.class_cost(said, target, torch.full((20, 1), 0.5))[0, 0].item() == pytest.approx(0.25 * math.log(2))
    assert rule.prior(POINTS, POINTS.xy, target.boxes)[0, 0].item() == pytest.approx(0.005095, rel=1e-3)
    # Beyond 33 strides it stays a number that float32 can hold.
    assert rule.prior(POINTS, POINTS.xy, 100 * target.boxes)[0, 0].item() == pytest.approx(1e30)


def test_no_rule_gives_a_point_out_of_the_object_with_the_wrong_class_in_doubt() -> None:
    """Two objects of two classes share a box; the class decides who gets the point where it is sure."""
    target = make_target([[0, 0, 16, 16], [0, 0, 16, 16.5]], (32, 32), labels=[0, 1])
    said = prediction({p: [0, 0, 16, 16.25] for p in (0, 1, 4, 5, 16)}, classes=2)
    said.logits[0, :, 0], said.logits[0, :, 1] = -4.0, 4.0
    for rule in (SimOTA(), DynamicSoftLabel(), OTA()):
        assert 1 in rule(POINTS, said, [target]).gt[0].tolist(), rule
    assert FCOS(range_strides=None)(POINTS, said, [target]).gt[0, 0] == 0
