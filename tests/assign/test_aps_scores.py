"""APS's scores and their split (steps 3 and 4), by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from mmmc.assign import APS
from mmmc.assign.aps_scores import relative_scores
from mmmc.assign.aps_steps import Split, Steps
from mmmc.assign.shared.candidates import Candidates
from mmmc.structures import NEGATIVE

from .aps_scenes import (
    BOX,
    EIGHT,
    GROUPS,
    positions,
    row_points,
    steps,
)

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


def test_a_score_of_nothing_is_a_score() -> None:
    """A candidate that has become worthless is not taken for a point without a score, whose target would be 1."""
    losses = torch.zeros(1, 1, 1, 3)
    shortlist = Candidates(torch.tensor([[[[0, 1, 2]]]]), losses, losses, torch.tensor([[[[True, True, False]]]]))
    gt = torch.tensor([[0, 0, 0, NEGATIVE]])
    cost = torch.tensor([[[[-0.5, 0.0, -9.0]]]])
    assert relative_scores(gt, shortlist, cost, "paper").tolist() == [[1, 0, 1, 1]]


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
