"""APS's candidates and levels (steps 1 and 2), and the losses that both look at, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch

from mmmc.assign import APS
from mmmc.assign.aps_steps import Steps
from mmmc.points import make_points
from mmmc.structures import Prediction
from mmmc.testing import make_target

from .aps_scenes import (
    BOX,
    CLS,
    EIGHT,
    LEVELS,
    REG,
    kept,
    losses_prediction,
    row_points,
    steps,
)

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
