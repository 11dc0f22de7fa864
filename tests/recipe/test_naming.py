"""Assigners named in a line: spellings, options, what the run adds, and what is refused."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from mmmc.assign import APS, ATSS, FCOS, PAA, TAL, DynamicSoftLabel, MaxIoU, SimOTA
from mmmc.errors import InputError
from mmmc.recipe import Recipe, WarmStart, load_recipe
from mmmc.recipe.naming import named_assigners

PLAIN = Recipe(assigner=SimOTA())
"""Says nothing of the size of objects."""


@dataclass(frozen=True)
class Mine(FCOS):
    """A stranger's assigner."""

    pull: float = 0.5


@dataclass(frozen=True)
class Needy(FCOS):
    """Cannot be made without its option."""

    pull: float = 0.5

    def __init__(self, need: int) -> None:
        object.__setattr__(self, "need", need)


HERE = Mine.__module__


def made(text: str, recipe: Recipe = PLAIN) -> dict[str, object]:
    return {named.name: named.assigner for named in named_assigners(text, recipe)}


def test_any_spelling_and_options() -> None:
    assert made("fcos, ATSS,simota,max_iou,dynamic-soft-label") == {
        "FCOS": FCOS(),
        "ATSS": ATSS(),
        "SimOTA": SimOTA(),
        "MaxIoU": MaxIoU(),
        "DynamicSoftLabel": DynamicSoftLabel(),
    }
    assert made("atss(topk=15,square_strides=4), tal( alpha = 0.5 ,target=hard ),fcos()") == {
        "ATSS(topk=15, square_strides=4)": ATSS(15, 4.0),
        "TAL(alpha=0.5, target=hard)": TAL(alpha=0.5, target="hard"),
        "FCOS": FCOS(),
    }
    assert made("fcos(range_strides=null,center_radius=1e-1),aps(scale=false)") == {
        "FCOS(range_strides=null, center_radius=1e-1)": FCOS(None, 0.1),
        "APS(scale=false)": APS(scale=False),
    }


def test_a_strangers_by_module_and_class() -> None:
    assert made(f"{HERE}:Mine,{HERE}:Mine(pull=2)") == {"Mine": Mine(), "Mine(pull=2)": Mine(pull=2.0)}
    assert made(f"{HERE}.Mine") == {"Mine": Mine()}
    assert made("mmmc.assign:FCOS") == {"FCOS": FCOS()}


def test_the_runs_own_rule_has_its_own_options() -> None:
    (own,) = named_assigners("run", Recipe(assigner=ATSS(topk=5, square_strides=4.0)))
    assert (own.name, own.assigner, own.note) == (
        "run: ATSS",
        ATSS(topk=5, square_strides=4.0),
        "topk=5, square_strides=4",
    )
    (own,) = named_assigners("RUN", Recipe())
    assert (own.name, own.note) == ("run: FCOS", "")


def scales(recipe: Recipe) -> list[float | None]:
    """What FCOS, ATSS and PAA get."""
    fcos, atss, paa = (named.assigner for named in named_assigners("fcos,atss,paa", recipe))
    assert isinstance(fcos, FCOS)
    assert isinstance(atss, ATSS)
    assert isinstance(paa, PAA)
    assert atss.square_strides == paa.square_strides
    return [fcos.range_strides, atss.square_strides]


def test_ranges_and_squares_are_the_runs() -> None:
    """By the same name where the run has it, else by the other; APS has both but may not read them."""
    assert scales(PLAIN) == [8, 8]
    assert scales(Recipe(assigner=FCOS(4.0))) == [4, 4]
    assert scales(Recipe(assigner=FCOS(None))) == [8, 8]
    assert scales(Recipe(assigner=ATSS(square_strides=3.0))) == [3, 3]
    assert scales(Recipe(assigner=TAL(), warm_start=WarmStart(ATSS(square_strides=5.0)))) == [5, 5]
    assert scales(Recipe(assigner=ATSS(square_strides=3.0), warm_start=WarmStart(FCOS(6.0)))) == [6, 3]
    assert scales(Recipe(assigner=FCOS(3.0), warm_start=WarmStart(FCOS(6.0)))) == [3, 3]
    assert scales(Recipe(assigner=APS(), warm_start=WarmStart(FCOS(4.0)))) == [4, 4]
    assert scales(Recipe(assigner=APS(range_strides=3.0, square_strides=5.0))) == [3, 5]
    for name in ("small", "small_mmmc", "small_atss", "small_tal"):
        assert scales(load_recipe(name)) == [4, 4]


def test_what_is_taken_from_the_run_is_told_and_what_is_given_counts() -> None:
    recipe = Recipe(assigner=FCOS(4.0))
    named = named_assigners("atss,atss(square_strides=8),tal,aps", recipe)
    assert [each.note for each in named] == [
        "square_strides=4 as in the run",
        "",
        "",
        "range_strides=4, square_strides=4 as in the run",
    ]
    assert [each.assigner for each in named[:2]] == [ATSS(square_strides=4.0), ATSS()]
    assert named_assigners("atss", replace(recipe, assigner=SimOTA()))[0].note == ""


REFUSED = {
    "": r"'' in '' is no assigner; allowed: Name, Name\(option=value,…\), module:Class, run",
    "fcos,": r"'' in 'fcos,' is no assigner",
    "fcos,,atss": r"'' in 'fcos,,atss'",
    "fcos atss": r"'fcos atss' in 'fcos atss' is no assigner",
    "atss(topk=3) fcos": r"is no assigner",
    "fcos(": r"has a bracket without its partner",
    "fcos)": r"has a bracket without its partner",
    "simoto": r"no assigner 'simoto'\. Did you mean 'simota'\? Allowed: aps, .*, run, .*module:Class for your own",
    "Assigner": r"There is no assigner 'Assigner'",
    "fcos,FCOS": r"'fcos,FCOS' names FCOS twice",
    "run,run": r"names run: FCOS twice",
    "run(range_strides=4)": r"the run's own rule has the run's own options; allowed: run\.",
    "fcos(range_stride=4)": r"FCOS has no option 'range_stride'\. Did you mean 'range_strides'\? Allowed: center",
    "atss(topk)": r"'topk' is no option; allowed: option=value",
    "atss(topk=)": r"'topk=' is no option",
    "atss(topk=3,)": r"'' is no option",
    "atss(topk=3,topk=4)": r"sets topk twice",
    "atss(topk=many)": r"'atss\(topk=many\)': topk is 'many'; allowed: int\.",
    "atss(topk=1.5)": r"topk is '1.5'; allowed: int",
    "atss(topk=0)": r"assigner ATSS: topk is 0; allowed: 1 or more",
    "paa(rule=z)": r"rule is 'z'; allowed: Literal\['a', 'b', 'c'\]",
    "no_such_module_here:Mine": r"No module named 'no_such_module_here'\. Its folder has to be on PYTHONPATH",
    f"{HERE}:Mien": r"has no attribute 'Mien'\. Did you mean 'Mine'\? Allowed: Mine, Needy\.",
    "json:Mine": r"'json:Mine': module 'json' has no attribute 'Mine'\.$",
    "json:loads": r"'json:loads' is no assigner; allowed: a class that is derived from mmmc\.assign\.Assigner",
    "mmmc.assign:Assigner": r"is no assigner; allowed: a class that is derived",
    f"{HERE}:Needy": r"'.*Needy': .*need",
    ":Mine": r"':Mine' in ':Mine' is no assigner",
    "a:b:c": r"is no assigner",
}


@pytest.mark.parametrize("text", REFUSED)
def test_refused(text: str) -> None:
    with pytest.raises(InputError, match=REFUSED[text]):
        named_assigners(text, Recipe())
