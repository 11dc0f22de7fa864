"""Seven assigners of others on objects that want the same points of two levels, worked by hand."""

from __future__ import annotations

import math

import pytest
import torch

from mmmc.assign import ATSS, OTA, PAA, TAL, DynamicSoftLabel, MaxIoU, SimOTA
from mmmc.structures import IGNORED, NEGATIVE, Assignment, ObjectState, Target
from mmmc.testing import Scene, make_target

from .hand_scenes import POINTS, prediction, rivals

LOG4 = math.log(4)
A, B = 0, 1


def owned(found: Assignment) -> dict[int, list[int]]:
    """The points of each object of the only picture, and those that are ignored; class targets are soft or 1."""
    gt = found.gt[0].tolist()
    assert [score > 0 for score in found.score[0].tolist()] == [owner >= 0 for owner in gt]
    return {owner: [p for p, each in enumerate(gt) if each == owner] for owner in sorted({*gt} - {NEGATIVE})}


# --- by geometry


def three_squares() -> Target:
    """C is `4 4 20 20`, D `4 4 20 28`, E `0 0 32 32`.

    Squares of 2 strides have a side of 16 on P3 and of 32 on P4. Those of P3 at points with x = 12 reach from 4 to 20.

    | point | with C | with D | with E |
    |---|---|---|---|
    | 5 at (12, 12) | 1 | 256 / 384 = 0.666667 | 256 / 1024 = 0.25 |
    | 9 at (12, 20) | 128 / 384 = 0.333333 | 0.666667 | 0.25 |
    | 16 at (8, 8) | 256 / 1024 = 0.25 | 320 / 1088 = 0.294118 | 576 / 1472 = 0.391304 |
    | 17 at (24, 8) | 192 / 1088 = 0.176471 | 240 / 1168 = 0.205479 | 0.391304 |
    | 18 at (8, 24) | 0.176471 | 0.294118 | 0.391304 |
    | 19 at (24, 24) | 144 / 1136 = 0.126761 | 0.205479 | 0.391304 |
    """
    return make_target([[4, 4, 20, 20], [4, 4, 20, 28], [0, 0, 32, 32]], (32, 32))


def test_atss() -> None:
    """The 9 nearest points of P3 and all four of P4 are an object's candidates.

    C, round (12, 12): point 5; 1, 4, 6, 9 at a distance of 8 with 0.333333; 0, 2, 8, 10 with 64 / 448 = 0.142857.
    Mean 3.634464 / 13 = 0.279574, unbiased deviation sqrt(0.650828 / 12) = 0.232886, threshold 0.512460.
    D, round (12, 16): 5 and 9; 4, 6, 8, 10, 1, 13 with 128 / 512 = 0.25; of four equally far ones the first, 0, with
    64 / 576 = 0.111111. Mean 3.943638 / 13 = 0.303357, deviation sqrt(0.337359 / 12) = 0.167672, threshold 0.471029.
    E, round (16, 16): 5, 6, 9, 10 with 0.25; of eight equally far ones the first five, with 192 / 1088 = 0.176471.
    Mean 3.447570 / 13 = 0.265198, deviation sqrt(0.103898 / 12) = 0.093050, threshold 0.358248.

    So C wants 5, D wants 5 and 9, E the four of P4. Point 5 overlaps C more and is C's.
    """
    rule = ATSS(square_strides=2.0)
    assert owned(rule(POINTS, prediction({}), [three_squares()])) == {0: [5], 1: [9], 2: [16, 17, 18, 19]}
    # With the four nearest of P3 E's candidates are 5, 6, 9, 10 with 0.25 and the four of P4 with 0.391304: mean
    # 0.320652, deviation sqrt(8 · 0.070652² / 7) = 0.075530. None reaches 0.396182.
    few = ATSS(topk=4, square_strides=2.0)
    assert owned(few(POINTS, prediction({}), [three_squares()])) == {0: [5], 1: [9]}


def test_max_iou() -> None:
    """From 0.5 on: C wants 5, D 5 and 9, and C overlaps 5 more. E reaches 0.391304 only and keeps its four best."""

    def labels(**options: object) -> Assignment:
        return MaxIoU(square_strides=2.0, **options)(POINTS, prediction({}), [three_squares()])  # type: ignore[arg-type]

    assert owned(labels()) == {0: [5], 1: [9], 2: [16, 17, 18, 19]}
    # Otherwise E has none; its points are below 0.4, and ignored from a bound that they reach.
    found = labels(keep_best=False)
    assert owned(found) == {0: [5], 1: [9]}
    assert found.state[0].tolist() == [ObjectState.CHOSEN, ObjectState.CHOSEN, ObjectState.NO_CANDIDATE]
    assert owned(labels(keep_best=False, negative=0.39)) == {0: [5], 1: [9], IGNORED: [16, 17, 18, 19]}


# --- by predictions: A and B of `rivals`


def test_paa() -> None:
    """Squares of 2 strides; with A: 0.391304 at points 0, 1, 4, 5, 0.25 at 16. With B: 192 / 384 = 0.5 at 1 and 5,
    144 / 432 = 0.333333 at 2 and 6, 320 / 1024 = 0.3125 at 16.

    So 1, 5 and 16 are B's before any loss is looked at, although A would lose less there: all boxes but two are what A
    and B share, with 1 - GIoU of 0.25 for A and 0.4 for B. Point 2 predicts half of B, 0.5, and 6 a tenth, 0.9. Classes
    cost the same everywhere.

    A's candidates 0 and 4 lose alike and are both positive. B's lose 0.4, 0.4, 0.4, 0.5, 0.9: the fit ends with means
    0.425 and 0.9. Rule a takes the four. The likeliest of them is at 0.4, nearer to the mean than 0.5, which leaves
    three (rule c); point 2 lies between it and 0.9, ignored by rule b.
    """
    both = [4.0, 0, 16, 16]
    boxes = {**dict.fromkeys((0, 1, 4, 5, 16), both), 2: [4.0, 0, 24, 8], 6: [4.0, 0, 24, 1.6]}
    (target,) = rivals().targets

    def labels(**options: object) -> dict[int, list[int]]:
        rule = PAA(square_strides=2.0, **options)  # type: ignore[arg-type]
        return owned(rule(POINTS, prediction(boxes, classes=2), [target]))

    assert labels() == {A: [0, 4], B: [1, 5, 16]}
    assert labels(rule="a") == {A: [0, 4], B: [1, 2, 5, 16]}
    assert labels(rule="b") == {A: [0, 4], B: [1, 5, 16], IGNORED: [2]}
    # With every point in the box A's five lose alike, and less than B.
    assert labels(prematch="inside") == {A: [0, 1, 4, 5, 16]}
    assert labels(prematch="inside", rule="a") == {A: [0, 1, 4, 5, 16], B: [2]}


def test_simota() -> None:
    """Squares of 1.5 strides: 12 on P3, so A's hold points 0, 1, 4, 5 (2 is exactly 12 away) and B's 2 and 6 as well;
    24 on P4, which holds all four there.

    k of A is 1 + 0.75 + 0.6 + 0.666667 = 3.016667, 3; of B 0.5 + 0.6 + 0.5 + 0.321429 + 0.833333 = 2.754762, 2.
    All classes cost 2 log 2; -3 log IoU of A is 0 at point 0, 0.863 at 1, 1.216 at 16, 1.532 at 4, so A takes 0, 1, 16;
    of B 0.547 at 16, 1.532 at 1, 2.079 at 0 and 2, so B takes 16 and 1. Point 1 is cheaper for A, 16 for B.
    """
    where = rivals()
    assert owned(SimOTA()(*where)) == {A: [0, 1], B: [16]}
    # Where the class is B's with 4/5, A pays -2 log 1/5 = 3.219 for it instead of 1.386, B -2 log 4/5 = 0.446:
    # point 1 costs A 4.082, more than the 2.918 of point 4, and B 1.978, still less than the 3.466 of 0 and 2.
    where.prediction.logits[0, 1] = torch.tensor([-LOG4, LOG4])
    assert owned(SimOTA(score="cls")(*where)) == {A: [0, 4], B: [1, 16]}


def test_ota() -> None:
    """Supplies by points in the box: A 1 + 0.75 + 0.6 + 0.666667, 3; B 0.6 + 0.5 + 0.833333, 1; background the rest.

    At p = 1/2 the focal loss of an object is (0.0625 + 0.1875) log 2 = 0.173287, that of background 0.259930. What a
    point costs more as an object than as background, with -1.5 log IoU:

    | point | 0 | 1 | 16 | 4 | 2 |
    |---|---|---|---|---|---|
    | A | -0.0866 | 0.3449 | 0.5216 | 0.6796 | |
    | B | | 0.6796 | 0.1868 | | 0.9531 |

    If B has 16, A has 0, 1 and 4: 1.1247 in all. If B has 2, A has 0, 1 and 16: 1.7330; if B has 1, 1.7942. The
    cheapest plan is better than any other by 0.6, six times the published epsilon, so the plan says the same after its
    50 rounds. SimOTA, whose objects do not know of one another, leaves A without the third.
    """
    assert OTA() == OTA(epsilon=0.1, iterations=50)
    assert owned(OTA()(*rivals())) == {A: [0, 1, 4], B: [16]}
    # One round is too few, and so are 50 with a tenth of the epsilon.
    assert owned(OTA(iterations=1)(*rivals())) == {A: [0], B: [16]}
    assert owned(OTA(epsilon=0.01)(*rivals())) == {A: [0, 1], B: [16]}


def test_dynamic_soft_label() -> None:
    """Candidates lie in the box. k of A is 3 as for OTA; of B 1.

    At p = 1/2 the class costs ((IoU - 1/2)² + 1/4) log 2. A's centre is (8, 8): points of P3 are sqrt(32) / 8 = 0.7071
    strides away, a prior of 10 ** (0.7071 - 3) = 0.0051, and 16 lies on it, 0.001.
    A: point 0: 0.3466 + 0 + 0.0051 = 0.3517; 1: 0.2166 + 0.8630 + 0.0051 = 1.0848; 16: 0.1925 + 1.2164 + 0.0010 =
    1.4099; 4: 0.1802 + 1.5325 + 0.0051 = 1.7178. A takes 0, 1, 16.
    B's centre is (14, 8), 6 / 16 strides from 16: 0.2503 + 0.5470 + 0.0024 = 0.7996. Point 1 costs 1.7163. B takes 16,
    and has it, being the cheaper.
    """
    where = rivals()
    assert owned(DynamicSoftLabel()(*where)) == {A: [0, 1], B: [16]}
    # With a prior of 1 at the centre point 16 costs A 0.1925 + 1.2164 + 1 = 2.4089, still its cheapest, and B, with
    # 10 ** 0.375 = 2.3714, 3.1687: now it is A's.
    assert owned(DynamicSoftLabel(center_radius=0.0)(*where)) == {A: [0, 1, 16]}


def test_tal() -> None:
    """Probabilities of 1/2 but at point 1, with 1/5 for A's class and 4/5 for B's, and at 16 with 4/5 for B's.

    t of A: 0.5 · 1 at point 0, 0.2 · 0.75⁶ = 0.035596 at 1, 0.5 · (2/3)⁶ = 0.043896 at 16, 0.5 · 0.6⁶ = 0.023328 at 4.
    t of B: 0.8 · 0.6⁶ = 0.037325 at 1, 0.5 · 0.5⁶ = 0.007813 at 2, 0.8 · (5/6)⁶ = 0.267918 at 16.
    Point 1 is aligned better with B, but overlaps A more and is A's; 16 is B's in both ways.
    Targets: A's best is 0.5 with an IoU of 1, so t / 0.5; B's 0.267918 with 5/6, so t / 0.267918 · 5/6.
    """
    where: Scene = rivals()
    where.prediction.logits[0, 1] = torch.tensor([-LOG4, LOG4])
    where.prediction.logits[0, 16, B] = LOG4
    found = TAL()(*where)
    assert owned(found) == {A: [0, 1, 4], B: [2, 16]}
    assert [found.score[0, p].item() for p in (0, 1, 4)] == pytest.approx([1, 0.071191, 0.046656], abs=1e-6)
    assert [found.score[0, p].item() for p in (2, 16)] == pytest.approx([0.024300, 0.833333], abs=1e-6)
    # By the square of the probability point 1 has 0.2² · 0.75⁶ of 0.5², point 4 what it had.
    squared = TAL(alpha=2.0)(*where)
    assert [squared.score[0, p].item() for p in (0, 1, 4)] == pytest.approx([1, 0.028477, 0.046656], abs=1e-6)
    # Two each: A wants 0 and 16, B wants 16 and 1; nobody else wants 1 now.
    assert owned(TAL(topk=2)(*where)) == {A: [0], B: [1, 16]}
