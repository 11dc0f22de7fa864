"""Recipes are told apart by a digest of what decides the result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import stranger
from stranger import WHOLE, Whole

from mmmc.assign import FCOS, Assigner
from mmmc.criterion import DenseCriterion
from mmmc.errors import InputError
from mmmc.model import ModelConfig
from mmmc.parts import CenterPrior
from mmmc.recipe import (
    DataConfig,
    Recipe,
    TrainConfig,
    digest,
    from_dict,
    load_recipe,
    to_dict,
)

PLACES = ("path", "format", "train_annotations", "train_images", "val_annotations", "val_images")

UNCOUNTED = {(DataConfig, name) for name in PLACES} | {
    (TrainConfig, name) for name in ("seed", "workers", "log_every", "diagnose", "loggers")
}
UNCOUNTED.add((ModelConfig, "download"))


def variations(value: Any) -> Iterator[tuple[tuple[type, str], Any]]:
    """The same dataclass with one option changed, for each option in turn, by its class and the option's name."""
    hints = get_type_hints(type(value))
    for field in fields(value):
        option = getattr(value, field.name)
        if is_dataclass(option):
            for key, changed in variations(option):
                yield key, replace(value, **{field.name: changed})
        else:
            yield (type(value), field.name), replaced(value, field.name, candidates(hints[field.name], option))


def candidates(hint: Any, option: Any) -> list[Any]:
    """Other values of an option, of which one at least is allowed."""
    choices = [choice for kind in (hint, *get_args(hint)) if get_origin(kind) is Literal for choice in get_args(kind)]
    if isinstance(option, tuple):
        return [tuple(type(part)(0.9 * part) for part in option if not isinstance(part, str)), tuple(choices[1:])]
    if isinstance(option, bool):
        return [not option]
    if isinstance(option, str):
        return choices or [f"{option}_other"]
    if option is None:
        return [*choices, "text", 3, 0.5, FCOS(), DenseCriterion(gamma=1.5), CenterPrior()]
    return [option * 2, 0.9 * option, 1, 0.5]


def replaced(value: Any, name: str, others: list[Any]) -> Any:
    for other in others:
        if other != getattr(value, name):
            try:
                return replace(value, **{name: other})
            except (InputError, TypeError):
                continue  # not of this option's type or range
    raise AssertionError(f"{type(value).__name__}.{name}: none of {others} is another allowed value")


@pytest.mark.parametrize("recipe", [Recipe(), load_recipe("small")], ids=["default", "small"])
def test_the_digest_counts_every_option_but_seed_set_and_log(recipe: Recipe) -> None:
    own = digest(recipe)
    changed = {key: digest(variation) for key, variation in variations(recipe)}
    assert {key for key, value in changed.items() if value == own} == UNCOUNTED
    counted = [value for key, value in changed.items() if key not in UNCOUNTED]
    assert len(set(counted)) == len(counted) > 40


def test_the_digest_stays_what_it_was() -> None:
    """Records of runs carry it: a new option with its default must not change it."""
    assert digest(load_recipe("fcos_r50_1x")) == "4cc399b0eee5"
    assert digest(Recipe()) == "44136fa355b3"


def test_where_a_file_of_weights_lies_does_not_count() -> None:
    here, there, other = (
        digest(Recipe(model=ModelConfig(weights=weights))) for weights in ("a/r50.pth", "/b/r50.pth", "/b/r18.pth")
    )
    assert here == there != other


def test_defaults_of_another_class_do_not_count() -> None:
    whole = Recipe(assigner=Whole())
    assert digest(whole) != digest(Recipe())
    assert digest(Recipe(assigner=Whole(pull=1.0))) != digest(whole)
    written = to_dict(whole)
    assert written["assigner"] == {
        "class_path": WHOLE,
        "init_args": {"range_strides": 8.0, "center_radius": None, "pull": 0.5},
    }
    assert from_dict(written) == whole

    @dataclass(frozen=True)
    class Later(Whole):
        """The same class in a later version, with a new option."""

        new: float = 1.0

    Later.__qualname__, Later.__module__ = "Whole", Whole.__module__
    later: Assigner = Later()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stranger, "Whole", Later)
        assert digest(Recipe(assigner=later)) == digest(whole)
