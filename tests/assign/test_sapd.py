"""SAPD: numbers worked by hand, and what is refused."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch

from mmmc.assign import SAPD, ignore_crowds
from mmmc.errors import InputError
from mmmc.points import make_points
from mmmc.structures import IGNORED, NEGATIVE, Assignment, ObjectState, Prediction
from mmmc.testing import Scene, make_scene, make_target

POINTS = make_points([(4, 4), (2, 2)], (8, 16))
"""At 4, 12, 20, 28 both ways, numbers 0–15 row by row; and at 8, 24, numbers 16–19."""
LARGE = [0.0, 0.0, 28.0, 28.0]
SMALL = [9.0, 9.0, 15.0, 19.0]


def scene(
    *boxes: list[float], overlap: dict[int, float] | None = None, logits: list[list[float]] | None = None
) -> Scene:
    """Objects of one class, a class probability of 1/2 everywhere, and boxes that all overlap the large one by 1/4.

    Args:
        boxes: of the objects.
        overlap: other IoUs by point: the predicted box is this share of the large one, from its left side.
        logits: of the net.
    """
    share = torch.full((len(POINTS),), 0.25)
    for point, value in (overlap or {}).items():
        share[point] = value
    side = torch.full_like(share, 28.0)
    predicted = torch.stack([torch.zeros_like(share), torch.zeros_like(share), 28 * share, side], dim=1)
    prediction = Prediction(
        logits=torch.zeros(1, len(POINTS), 1),
        boxes=predicted[None],
        quality=torch.zeros(1, len(POINTS)),
        extra={} if logits is None else {"level logits": torch.tensor([logits])},
    )
    return Scene(POINTS, prediction, [make_target(list(boxes), (32, 32))])


def weights(found: Assignment) -> dict[int, tuple[int, float]]:
    """Object and weight of each positive, by point."""
    gt, weight = found.gt[0].tolist(), found.weight[0].tolist()
    assert all(weight[p] == 1 for p in range(len(gt)) if gt[p] < 0)
    assert found.score[0].tolist() == [float(m >= 0) for m in gt]
    return {p: (m, weight[p]) for p, m in enumerate(gt) if m >= 0}


def pairs(**expected: float) -> dict[int, object]:
    return {int(point[1:]): (0, pytest.approx(value, rel=1e-5)) for point, value in expected.items()}


def test_weights_with_a_net_by_hand() -> None:
    """The centre of the large box is (14, 14); shrunk to 0.2 it reaches from 11.2 to 16.8.

    On stride 8 the point (12, 12), number 5, lies in it. It is 12 from the left and 16 from the right, and as far from
    the top and bottom: (12 · 12) / (16 · 16) = .5625. On stride 16 none does. Nearest is (8, 8), number 16, with
    (8 · 8) / (20 · 20) = .16. Logits 0 and log 3 are shares of 1/4 and 3/4: .140625 and .12.
    """
    where = scene(LARGE, logits=[[0.0, math.log(3)]])
    found = SAPD(levels="net")(*where)
    assert weights(found) == pairs(p5=0.140625, p16=0.12)
    assert found.state[0].tolist() == [ObjectState.CHOSEN]
    # The better level alone has a share of 1, and its only point stands in for the shrunk box.
    found = SAPD(levels="net", soft_levels=1)(*where)
    assert weights(found) == pairs(p16=0.16)
    assert found.state[0].tolist() == [ObjectState.FALLBACK]
    # Shrunk to 0.6 it reaches from 5.6 to 22.4: (12, 12), (20, 12), (12, 20), (20, 20), and (8, 8) is in it.
    # From (20, 12) to the sides: 20 and 8, 12 and 16: (8 · 12) / (20 · 16) = .3. From (20, 20): .16.
    found = SAPD(levels="net", soft_levels=1, shrink=0.6)(*scene(LARGE, logits=[[1.0, 0.0]]))
    assert weights(found) == pairs(p5=0.5625, p6=0.3, p9=0.3, p10=0.16)
    found = SAPD(levels="net", soft_levels=1, shrink=0.6)(*where)
    assert found.state[0].tolist() == [ObjectState.CHOSEN]


def test_a_point_goes_to_the_smallest_that_wants_it() -> None:
    """The small box holds (12, 12) alone, and no point of stride 16, so that its share there goes to stride 8.

    Its centre is (12, 14), and (12, 12) is not within 13 … 15, so the point stands in: (3 · 3) / (3 · 7) = 3/7.
    """
    where = scene(LARGE, SMALL, logits=[[0.0, math.log(3)], [0.0, 9.0]])
    found = SAPD(levels="net")(*where)
    assert weights(found) == {5: (1, pytest.approx(3 / 7)), 16: (0, pytest.approx(0.12))}
    # The large one keeps a point, but none in its shrunk box.
    assert found.state[0].tolist() == [ObjectState.FALLBACK, ObjectState.FALLBACK]
    # On the level where the large one does not want the point the small one has no rival, and the other way round.
    where = scene(LARGE, SMALL, logits=[[1.0, 0.0], [0.0, 9.0]])
    found = SAPD(levels="net", soft_levels=1)(*where)
    assert weights(found) == {5: (1, pytest.approx(3 / 7))}
    assert found.state[0].tolist() == [ObjectState.NONE_LEFT, ObjectState.FALLBACK]


def test_a_picture_taken_out_of_its_batch_may_be_filled_up_further() -> None:
    where = scene(LARGE, logits=[[0.0, math.log(3)], [9.0, -9.0], [math.nan, 9.0]])
    found = SAPD(levels="net")(*where)
    assert weights(found) == pairs(p5=0.140625, p16=0.12)
    assert found.finite.all()


def test_levels_by_their_loss_by_hand() -> None:
    """At p = 1/2 the focal loss is the same everywhere; 1 − IoU is 0 at (12, 12) and 1/2 at (8, 8).

    Two levels share by e^0 : e^-.5, which is .622459 : .377541; times .5625 and .16.
    """
    where = scene(LARGE, overlap={5: 1.0, 16: 0.5})
    assert weights(SAPD()(*where)) == pairs(p5=0.5625)
    assert weights(SAPD(soft_levels=2)(*where)) == pairs(p5=0.350133, p16=0.0604066)
    # In the box shrunk to 0.6 the losses of stride 8 are 0, .75, .75, .75: their mean, .5625, is above 1/2.
    assert weights(SAPD(shrink=0.6)(*where)) == pairs(p16=0.16)
    # What loses least outside the middle has no say.
    assert weights(SAPD()(*scene(LARGE, overlap={0: 1.0, 5: 0.3, 16: 0.5}))) == pairs(p16=0.16)


def test_class_losses_choose_levels_too() -> None:
    where = scene(LARGE)
    where.prediction.logits[0, 16] = 2.0
    assert weights(SAPD()(*where)) == pairs(p16=0.16)
    where.prediction.logits[0, 16] = -2.0
    assert weights(SAPD()(*where)) == pairs(p5=0.5625)


def test_equally_near_points_are_the_middle_together() -> None:
    """The centre of `0 0 32 32` is (16, 16), between all four points of stride 16: (8 · 8) / (24 · 24) = 1/9."""
    found = SAPD(levels="net", soft_levels=1)(*scene([0.0, 0.0, 32.0, 32.0], logits=[[0.0, 1.0]]))
    assert weights(found) == pairs(p16=1 / 9, p17=1 / 9, p18=1 / 9, p19=1 / 9)


def test_an_object_without_any_point() -> None:
    found = SAPD()(*scene([5.0, 5.0, 7.0, 7.0], LARGE))
    assert found.state[0].tolist() == [ObjectState.NO_POINT, ObjectState.CHOSEN]


# What is not finite, and what is not allowed


def test_a_loss_that_is_not_finite_takes_no_part_and_is_named() -> None:
    where = scene(LARGE, overlap={16: 0.5})
    where.prediction.logits[0, 5] = torch.nan
    found = SAPD(soft_levels=2)(*where)
    assert sorted(weights(found)) == [6, 9, 16]  # (20, 12) and (12, 20) are next, equally near to (14, 14)
    with pytest.raises(FloatingPointError, match=r"object 0 \(class loss\)\.$"):
        found.check(where.targets)
    where = scene(LARGE)
    where.prediction.boxes[0, 5] = torch.inf
    with pytest.raises(FloatingPointError, match=r"object 0 \(box loss\)\.$"):
        SAPD()(*where).check(where.targets)


def test_a_net_that_is_not_finite_is_named() -> None:
    where = scene(LARGE, SMALL, logits=[[math.nan, 1.0], [0.0, 0.0]])
    found = SAPD(levels="net")(*where)
    assert sorted(weights(found)) == [5, 16]
    assert found.weight.isfinite().all()
    with pytest.raises(FloatingPointError, match=r"object 0 \(level loss\)\.$"):
        found.check(where.targets)
    found = SAPD(levels="net")(*scene(LARGE, logits=[[math.nan, math.inf]]))
    assert (found.gt == NEGATIVE).all()
    assert found.state[0].tolist() == [ObjectState.NO_CANDIDATE]


def test_without_the_net_levels_cannot_be_by_it() -> None:
    with pytest.raises(InputError, match=r"assigner SAPD: levels is net, which needs model.part: SelectionNet"):
        SAPD(levels="net")(*make_scene(0))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"shrink": 0.0}, "shrink is 0.0; allowed: above 0 to 1"),
        ({"shrink": 1.1}, "shrink is 1.1"),
        ({"shrink": math.nan}, "shrink is nan"),
        ({"soft_levels": 0}, "soft_levels is 0; allowed: 1 or more, or null"),
    ],
)
def test_an_option_that_is_not_allowed(options: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=f"assigner SAPD: {said}"):
        SAPD(**options)  # type: ignore[arg-type]


# Crowds, pictures without objects, and devices


def test_crowds_and_no_objects() -> None:
    points, prediction, targets = scene(LARGE)
    targets = [replace(targets[0], crowd=torch.tensor([[0.0, 0.0, 32.0, 32.0]]))]
    found = ignore_crowds(points, SAPD()(points, prediction, targets), targets)
    assert sorted(weights(found)) == [5]
    assert (found.gt[0] == IGNORED).sum() == len(points) - 1
    nothing = SAPD()(points, prediction, [make_target([], (32, 32))])
    assert (nothing.gt == NEGATIVE).all()
    assert (nothing.weight == 1).all()
    assert nothing.finite.all()
