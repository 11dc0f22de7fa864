"""MAL: the promises, numbers worked by hand, and the rule written again."""

from __future__ import annotations

import pytest
from fake_cuda import Waits

from mmmc.assign import MAL, FreeAnchor
from mmmc.errors import InputError
from mmmc.parts import Depression
from mmmc.recipe import load_recipe
from mmmc.testing import check_assigner, make_scene

from .test_free_anchor import BOXES, LOG4, POINTS, TWO, compare, prediction, weights

VARIANTS = [
    MAL(),
    MAL(progress=0.9),
    MAL(bag=9, progress=0.5),
    MAL(bag=20, bag_by="center", box_factor=0.75, progress=0.7),
    MAL(progress=1.0),
]


@pytest.mark.parametrize("rule", VARIANTS, ids=str)
def test_promises(rule: MAL) -> None:
    check_assigner(rule)


@pytest.mark.parametrize("rule", VARIANTS, ids=str)
def test_equals_the_slow_rule(rule: MAL) -> None:
    compare(rule, 30)


@pytest.mark.full
@pytest.mark.parametrize("rule", VARIANTS, ids=str)
def test_equals_the_slow_rule_on_300_scenes(rule: MAL) -> None:
    compare(rule, 300)


def test_by_hand() -> None:
    """The objects of FreeAnchor's numbers: P is 1/2, 1/4, 1/4 at points 0, 1, 4 of object 0's bag.

    Halfway 3 · 0.5 + 1 = 2.5 remain, 2: points 0 and 1, for of equal ones as near the first comes first; 2 and 4/3
    make the weights 3/5 and 2/5. Of object 1 remain 17 and 0, with 2 and 4/3 as well. At the end one remains.
    """
    rule = MAL(bag=3, box_factor=LOG4)
    begin = rule(POINTS, prediction(BOXES), [TWO])
    half = rule.at(0.5)(POINTS, prediction(BOXES), [TWO])
    end = rule.at(1.0)(POINTS, prediction(BOXES), [TWO])
    assert weights(begin, 0) == weights(FreeAnchor(bag=3, box_factor=LOG4)(POINTS, prediction(BOXES), [TWO]), 0)
    assert [weights(half, m) for m in (0, 1)] == [pytest.approx({0: 0.6, 1: 0.4}), pytest.approx({17: 0.6, 0: 0.4})]
    assert [weights(end, m) for m in (0, 1)] == [{0: 1.0}, {17: 1.0}]


def test_the_best_match_remains_not_the_best_box() -> None:
    """Point 0 predicts the box, point 1 half of it, but point 1 is sure of the class: P is 0.01 and 0.5 · 0.99."""
    said = prediction(BOXES)
    said.logits[0, 0, 0], said.logits[0, 1, 0] = -4.6, 4.6
    assert weights(MAL(bag=3, box_factor=LOG4, progress=1.0)(POINTS, said, [TWO]), 0) == {1: 1.0}
    # What the bag does not hold cannot remain.
    assert weights(MAL(bag=1, box_factor=LOG4, progress=1.0)(POINTS, said, [TWO]), 0) == {0: 1.0}


@pytest.mark.parametrize(
    ("progress", "remaining"),
    [(0.0, 40), (0.02, 40), (0.025, 40), (0.03, 39), (0.5, 21), (0.9, 5), (0.97, 2), (0.98, 1), (0.9999, 1), (1.0, 1)],
)
def test_how_many_remain(progress: float, remaining: int) -> None:
    """40 · (1 - progress) + 1, rounded down, at most 40."""
    assert MAL().at(progress).remaining == remaining


def test_the_recipe_tells_it_the_progress() -> None:
    """By the iteration alone, so that a resumed run selects as one that was not interrupted."""
    recipe = load_recipe("small_mal")
    assert isinstance(recipe.model.part, Depression)
    assert recipe.at(0, 200).assigner == MAL(progress=0.0)
    assert recipe.at(50, 200).assigner == MAL(progress=0.25)
    assert recipe.at(50, 200).at(150, 200).assigner == MAL(progress=0.75)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"bag": 0}, "bag is 0; allowed: 1 or more"),
        ({"box_factor": -1.0}, "box_factor is -1.0"),
        ({"progress": -0.1}, "progress is -0.1; allowed: 0 to 1"),
        ({"progress": 1.5}, "progress is 1.5"),
        ({"progress": float("nan")}, "progress is nan"),
    ],
)
def test_an_option_that_is_not_allowed(options: dict[str, float], said: str) -> None:
    with pytest.raises(InputError, match=f"^assigner MAL: {said}"):
        MAL(**options)  # type: ignore[arg-type]


@pytest.mark.parametrize("rule", VARIANTS, ids=str)
def test_nothing_waits(rule: MAL) -> None:
    scene = make_scene(0, objects=(5, 0))
    with Waits() as waits:
        rule(*scene)
    assert waits.seen == []
