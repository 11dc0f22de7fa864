"""Classes named by `module:Class` mean the same as by `module.Class`, in files and as flags."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from mmmc.assign import FCOS
from mmmc.errors import InputError
from mmmc.parts import CenterPrior
from mmmc.recipe import Recipe, load_recipe, recipe_parser, to_yaml
from mmmc.recipe.classes import dotted, dotted_flags
from mmmc.recipe.reading import instantiate, set_recipe


@dataclass(frozen=True)
class Mine(FCOS):
    """A stranger's assigner."""

    pull: float = 0.5


COLON, DOT = f"{Mine.__module__}:Mine", f"{Mine.__module__}.Mine"


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_only_a_module_and_a_class_are_changed() -> None:
    assert dotted(COLON) == DOT
    for text in ("FCOS", DOT, "", "null", '{"class_path": "a:B"}', "a:b:c", "C:/x.yaml"):
        assert dotted(text) == text


def test_flags() -> None:
    flags = ["--assigner", "a:B", "--warm_start.assigner=a.b:C", "--out", "x:y", "--out=x:y", "--assigner.pull", "1"]
    assert dotted_flags(flags) == [
        *("--assigner", "a.B", "--warm_start.assigner=a.b.C", "--out", "x:y", "--out=x:y", "--assigner.pull", "1"),
    ]


@pytest.mark.parametrize("path", [COLON, DOT])
def test_in_a_file(path: str, tmp_path: Path) -> None:
    file = write(
        tmp_path / "a.yaml",
        f"base: small\nassigner: {{class_path: '{path}', init_args: {{pull: 2}}}}\n"
        f"warm_start: {{assigner: '{path}'}}\nmodel: {{part: {{class_path: 'mmmc.parts:CenterPrior'}}}}",
    )
    recipe = load_recipe(file)
    assert (recipe.assigner, recipe.warm_start.assigner, recipe.model.part) == (Mine(pull=2.0), Mine(), CenterPrior())
    # What is written can be read without the module's name having been changed.
    assert load_recipe(write(tmp_path / "b.yaml", to_yaml(recipe))) == recipe
    # Either spelling means the class of the base, so that its options stay.
    for again in (COLON, DOT):
        over = {"assigner": {"class_path": again, "init_args": {"center_radius": 2.0}}}
        assert load_recipe(file, over).assigner == Mine(center_radius=2.0, pull=2.0)


@pytest.mark.parametrize("path", [COLON, DOT])
def test_as_a_flag(path: str) -> None:
    def by_flags(*flags: str) -> Recipe:
        parser = recipe_parser()
        set_recipe(parser, "small", flags)
        return instantiate(parser, parser.parse_args(dotted_flags(flags)))

    assert by_flags("--assigner", path, "--assigner.pull", "2").assigner == Mine(pull=2.0)
    assert by_flags(f"--assigner={path}").assigner == Mine()
    assert by_flags("--warm_start.assigner", path).warm_start.assigner == Mine()


def test_a_wrong_value_of_an_option_is_not_taken_for_a_wrong_class() -> None:
    content = {"assigner": {"class_path": COLON, "init_args": {"pull": "much"}}}
    with pytest.raises(InputError, match=r"assigner\.pull: 'much' cannot be used; allowed: a number\.$"):
        load_recipe("small", content)
