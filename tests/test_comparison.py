"""Assigners compared on the same predictions: counts and agreement worked out by hand."""
# ruff: noqa: ARG002

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pytest
import torch

import mmmc
from mmmc.assign import ASSIGNERS, FCOS, Assigner
from mmmc.assign.shared.pairs import gather_objects
from mmmc.assign.shared.weighing import weighed
from mmmc.comparison import Comparison, compare_assigners, overlap, positive_pairs
from mmmc.errors import InputError
from mmmc.points import make_points
from mmmc.structures import IGNORED, Assignment, Points, Prediction, Target
from mmmc.testing import make_prediction, make_scene, make_target

POINTS = make_points([(2, 4), (1, 2)], (8, 16))
"""(4, 4), (12, 4), (20, 4), (28, 4); (4, 12), (12, 12), (20, 12), (28, 12); (8, 8), (24, 8)."""
TARGET = make_target([[0, 0, 16, 16], [8, 0, 32, 16]], (16, 32), crowd=[[24, 0, 32, 8]])
PREDICTION = make_prediction(POINTS, images=1, classes=1, seed=0)


@dataclass(frozen=True)
class Fixed(Assigner):
    """Labels that are known beforehand."""

    gt: tuple[int, ...]

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        gt = torch.tensor([self.gt])
        ones = torch.ones(gt.shape)
        state = [torch.zeros(len(targets[0].labels)).long()]
        return Assignment(gt, (gt >= 0).float(), ones, state, torch.ones(1, dtype=torch.bool))


@dataclass(frozen=True)
class Halves(Assigner):
    """Every point in a box weighs one half for its object, so a point may answer for several."""

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        objects = gather_objects(points, targets, torch.float32)
        return weighed(objects, 0.5 * objects.in_box, objects.in_box, {"any": objects.labels < 0})


NONE = (-1,) * 10


def compare(**assigners: Assigner) -> Comparison:
    return compare_assigners(assigners, POINTS, PREDICTION, TARGET)


def test_counts_and_agreement_by_hand() -> None:
    """`one` and `other` give (4, 4) and (24, 8) alike and differ at (12, 4); at (28, 12) only `other` has a pair.

    Shared 2 of {4,4→0; 12,4→0; 24,8→1; 12,4→1; 28,12→1}, which are 5.
    """
    one = Fixed((0, 0, -1, -1, -1, -1, -1, -1, -1, 1))
    other = Fixed((0, 1, -1, -1, -1, -1, -1, 1, -1, 1))
    found = compare(one=one, other=other, none=Fixed(NONE), nothing=Fixed(NONE))
    assert found.names == ("one", "other", "none", "nothing")
    assert found.counts.tolist() == [[2, 1], [1, 3], [0, 0], [0, 0]]
    torch.testing.assert_close(
        found.agreement,
        torch.tensor([[1, 0.4, 0, 0], [0.4, 1, 0, 0], [0, 0, 1, 1], [0, 0, 1, 1]]),
    )
    assert [assignment.gt[0].tolist()[:2] for assignment in found.assignments[:2]] == [[0, 0], [0, 1]]


def test_ignored_points_are_no_pairs_and_crowds_are_ignored() -> None:
    """(28, 4) lies in the crowd region: it is ignored where it was negative, and stays positive where it was."""
    found = compare(ignoring=Fixed((IGNORED,) * 10), positive=Fixed((-1, -1, -1, 1, *(-1,) * 6)), none=Fixed(NONE))
    assert found.counts.tolist() == [[0, 0], [0, 1], [0, 0]]
    assert found.assignments[1].gt[0, 3] == 1
    assert found.assignments[2].gt[0, 3] == IGNORED
    assert found.agreement[0].tolist() == [1, 0, 1]


def test_a_method_that_weighs_is_compared_by_its_pairs() -> None:
    """In box 0 lie 5 points, in box 1 lie 7, two of them in both: 12 pairs, of which a rule by points has 10 at most.

    Object 0: (4, 4), (12, 4), (4, 12), (12, 12), (8, 8). Object 1: (12, 4), (20, 4), (28, 4), the same at 12, (24, 8).
    """
    by_points = Fixed((0, 0, 1, 1, 0, 0, 1, 1, 0, 1))
    found = compare(halves=Halves(), by_points=by_points)
    assert found.counts.tolist() == [[5, 7], [5, 5]]
    assert found.agreement[0, 1].item() == pytest.approx(10 / 12)
    assert positive_pairs(found.assignments[0]).sum(dim=1).tolist() == [5, 7]


def test_overlap_of_nothing_with_nothing_is_whole() -> None:
    empty = torch.zeros(2, 3, dtype=torch.bool)
    full = ~empty
    assert (overlap(empty, empty).item(), overlap(empty, full).item(), overlap(full, full).item()) == (1, 0, 1)


def test_all_that_come_with_the_package_on_one_scene() -> None:
    points, prediction, (target,) = make_scene(3, images=1)
    able = {name: kind() for name, kind in ASSIGNERS.items() if name in ("APS", "ATSS", "FCOS", "PAA", "SimOTA", "TAL")}
    found = mmmc.compare_assigners(able, points, prediction, target)
    torch.testing.assert_close(found.agreement, found.agreement.T)
    assert found.agreement.diagonal().tolist() == [1] * len(able)
    for counts, assignment in zip(found.counts, found.assignments, strict=True):
        assert counts.tolist() == assignment.counts()[0].tolist()


def test_a_picture_without_objects_is_compared() -> None:
    found = compare_assigners({"FCOS": FCOS(), "Halves": Halves()}, POINTS, PREDICTION, make_target([], (16, 32)))
    assert found.counts.shape == (2, 0)
    assert found.agreement.tolist() == [[1, 1], [1, 1]]


@dataclass(frozen=True)
class Reader(FCOS):
    """Reads a branch of its own."""

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        assert prediction.extra["center mean"] is not None
        return super().__call__(points, prediction, targets)


@dataclass(frozen=True)
class Broken(FCOS):
    """Has a defect: looks up what is not there, in a mapping of its own."""

    key: int | str = 3

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        raise KeyError(self.key)


def test_what_cannot_be_compared() -> None:
    with pytest.raises(InputError, match=r"There is no assigner to compare"):
        compare()
    two = make_prediction(POINTS, images=2, classes=1, seed=0)
    with pytest.raises(InputError, match=r"is of 2 pictures; allowed: one"):
        compare_assigners({"FCOS": FCOS()}, POINTS, two, TARGET)
    with pytest.raises(InputError, match=r"Mine reads 'center mean' .* allowed: nothing besides class, box"):
        compare(Mine=Reader())
    with pytest.raises(KeyError):
        compare(Mine=Broken())
    given = replace(PREDICTION, extra={"center mean": torch.zeros(1)})
    with pytest.raises(KeyError):
        compare_assigners({"Mine": Broken(key="center mean")}, POINTS, given, TARGET)
    assert compare_assigners({"Mine": Reader()}, POINTS, given, TARGET).counts.shape == (1, 2)
