"""`mmmc assigners`: what is there, and what each does."""

from __future__ import annotations

import re

import pytest

from mmmc.assign import ASSIGNERS
from mmmc.cli import main
from mmmc.cli.assigners import ASSIGNER_OF, page, titles
from mmmc.recipe import recipe_names

RECIPES = ("gfl", "vfl")
"""Methods that are no assigners."""


def test_the_list_names_all_with_source_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["assigners"]) == 0
    said = capsys.readouterr().out
    for name in (*ASSIGNERS, "GFL", "VFL"):
        assert f"│ {name} " in said
    assert "│ Assigner " not in said
    assert "Kim and" in said
    assert "(Li et al. 2020) GFL is" in said
    assert "small_vfl" in said


def test_one_prints_its_page_and_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("ATSS", "atss"):
        assert main(["assigners", name]) == 0
        said = capsys.readouterr().out
        assert "Zhang et al. 2020" in said
        assert "square_strides" in said
        assert "AP 39.3" in said
        assert said.endswith("Defaults: topk=9, square_strides=8.0\n")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("GFL", "Quality focal loss (QFL)"),
        ("dfl", "Quality focal loss (QFL)"),
        ("VFL", "Varifocal loss is"),
        ("vfnet", "Varifocal loss is"),
        ("FreeAnchor", "BagCriterion"),
        ("free_anchor", "BagCriterion"),
        ("RTMDet", "Dynamic soft label"),
        ("dynamic-soft-label", "Dynamic soft label"),
        ("TOOD", "Feng et al. 2021"),
        ("MMMC", "aligned points sampler"),
    ],
)
def test_a_method_is_found_by_what_it_is_called(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["assigners", name]) == 0
    found = capsys.readouterr().out
    assert said in found
    assert ("Defaults: " in found) == (name.lower() not in ("gfl", "dfl", "vfl", "vfnet"))


@pytest.mark.parametrize("title", titles())
def test_every_page_has_the_same_parts(title: str) -> None:
    text = page(title)
    assert text.startswith("# ")
    for part in ("**Idea.**", "**Rule", "**What differs from the published form", "**Published.**"):
        assert part in text
    assert "AP " in text.partition("**Ours.**")[2]
    assert "![" not in text
    assert title in ASSIGNER_OF or f"small_{title}" in recipe_names()


def test_what_has_a_page_is_an_assigner_or_a_recipe() -> None:
    assert sorted({*ASSIGNER_OF, *RECIPES}) == titles()


@pytest.mark.parametrize("title", sorted(ASSIGNER_OF))
def test_every_option_is_on_the_page_with_its_default(title: str) -> None:
    text = page(title)
    stated: dict[str, list[str]] = {}
    for row, told in re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| ([^|]*) \|", text, flags=re.MULTILINE):
        names, values = re.findall(r"\w+", row), told.replace("`", "").strip().split(", ")
        for name, value in zip(names, values if len(values) > 1 else values * len(names), strict=True):
            stated.setdefault(name, []).append(value)
    for name, option in ASSIGNER_OF[title].__dataclass_fields__.items():  # type: ignore[attr-defined]
        value = option.default
        assert (f"{value:g}" if isinstance(value, float) else str(value).lower()) in stated[name], name


def test_an_unknown_name_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["assigners", "ATTS"]) == 2
    assert "There is no assigner 'ATTS'. Did you mean 'ATSS'?" in capsys.readouterr().err
    assert main(["assigners", "GLF"]) == 2
    assert "Did you mean 'GFL'?" in capsys.readouterr().err
