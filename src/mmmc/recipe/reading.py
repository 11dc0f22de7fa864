"""Recipes as YAML and as flags: reading, refusing what is not allowed, writing back."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING, fields, is_dataclass, replace
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser, Namespace

from mmmc.assign import Assigner
from mmmc.criterion import Criterion
from mmmc.errors import InputError, did_you_mean
from mmmc.parts import Part
from mmmc.recipe.classes import classes_named, dotted_content, dotted_flags, import_class, same_class
from mmmc.recipe.complaints import explain
from mmmc.recipe.config import Recipe, TrainConfig

UNCOUNTED = ("seed", "workers", "log_every", "diagnose", "loggers")
"""Options of the training that change nothing but the seed, or how a run is logged."""

PLACES = ("path", "train_annotations", "train_images", "val_annotations", "val_images")
"""Options of the data that say where a set lies."""

SECTIONS = tuple(section.name for section in fields(Recipe))
"""Names of a recipe's parts."""

SHIPPED = resources.files("mmmc") / "recipes"


def recipe_names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(p.name[:-5] for p in SHIPPED.iterdir() if p.name.endswith(".yaml"))


def add_recipe(parser: ArgumentParser, sections: Collection[str] = SECTIONS) -> None:
    """Give a parser one typed flag for each field of a recipe, or of some of its sections."""
    parser.add_class_arguments(Recipe, fail_untyped=True, skip=set(SECTIONS).difference(sections))


def recipe_parser() -> ArgumentParser:
    """A parser with one typed flag for each field of a recipe."""
    parser = ArgumentParser(exit_on_error=False, allow_abbrev=False)
    add_recipe(parser)
    return parser


def set_recipe(
    parser: ArgumentParser, name: str | Path, flags: Sequence[str] = (), sections: Collection[str] = SECTIONS
) -> None:
    """Make a recipe's values the defaults of a parser that has its flags.

    Args:
        parser: where they go.
        name: of the recipe, or its file.
        sections: those whose flags the parser has.
        flags: those that will be parsed. Where one names another class than the recipe, the recipe's options of its
            own class are dropped: a radius of one assigner means nothing to the next.

    Raises:
        InputError: as `load_recipe`.
    """
    load_recipe(name)
    for section, values in read_recipe(name).items():
        if section not in sections:
            continue
        if "class_path" in values:
            parser.set_defaults({section: values})
        else:
            parser.set_defaults({f"{section}.{option}": value for option, value in values.items()})
    known = to_dict(Recipe()) | read_recipe(name)
    for key, given in classes_named(dotted_flags(flags)).items():
        section, _, option = key.partition(".")
        old = known[section].get(option) if option else known[section]
        if not (isinstance(old, Mapping) and same_class(old, {"class_path": given})):
            with suppress(AttributeError, ImportError, TypeError, ValueError):  # the parser says what is wrong
                parser.set_defaults({key: {"class_path": given}})


def load_recipe(name: str | Path, overrides: Mapping[str, Any] | None = None) -> Recipe:
    """A recipe by the name of one that comes with the package, or by its file.

    Args:
        name: `small`, or a path that ends in `.yaml`.
        overrides: nested values on top, as they would stand in the file.

    Raises:
        InputError: unknown name, no such file, broken YAML, unknown key, or a value that is not allowed.
    """
    content = merge(read_recipe(name), overrides or {})
    return from_dict(content, source=str(name))


def read_recipe(name: str | Path, above: tuple[str, ...] = ()) -> dict[str, Any]:
    """The content of a recipe file, with that of its `base`, if it names one, underneath.

    A base is named as any recipe; a path starts from the file that names it. `above` are the files that led here.
    """
    text, source = _recipe_text(name)
    try:
        content = yaml.safe_load(text) or {}
    except yaml.YAMLError as error:
        raise InputError(f"{source} is not YAML: {error}") from error
    if not isinstance(content, dict):
        raise InputError(f"{source}: a recipe is a mapping of sections; found {type(content).__name__}.")
    content = dotted_content(content)
    base = content.pop("base", None)
    if base is None:
        return content
    if not isinstance(base, str):
        raise InputError(f"{source}: base is {base!r}; allowed: the name of a recipe, or the path of a .yaml file.")
    above = (*above, _identity(name))
    base = str(Path(name).parent / base) if _is_file_name(base) else base
    if _identity(base) in above:
        raise InputError(f"{source}: its base leads back to itself: {' → '.join((*above, _identity(base)))}.")
    try:
        return merge(read_recipe(base, above), content)
    except InputError as error:
        raise InputError(f"{source}: base: {error}") from error


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Nested dictionaries, `over` on top. Where `over` names another class, the base's options of it are dropped."""
    merged = dict(base)
    for key, value in over.items():
        old = merged.get(key)
        if isinstance(value, Mapping) and isinstance(old, Mapping) and same_class(old, value):
            merged[key] = merge(old, value)
        else:
            merged[key] = value
    return merged


def from_dict(content: Mapping[str, Any], source: str = "recipe") -> Recipe:
    """A recipe from nested values. Raises `InputError` naming the key and what is allowed."""
    parser = recipe_parser()
    content = dotted_content(content)
    for name, value in content.items():
        if name not in SECTIONS:
            raise InputError(f"{source}: there is no section {name!r}.{did_you_mean(name, SECTIONS)}")
        if not isinstance(value, Mapping):
            raise InputError(f"{source}: section {name!r} is {value!r}; allowed: a mapping of options.")
        if "class_path" in value:
            # Or the parser would keep what the usual class has for options of the same name.
            with suppress(AttributeError, ImportError, TypeError, ValueError):  # the parser says below what is wrong
                parser.set_defaults({name: {"class_path": value["class_path"]}})
    try:
        return instantiate(parser, parser.parse_object(dict(content)))
    except ArgumentError as error:
        raise explain(error, parser, source) from error
    except InputError as error:
        raise InputError(f"{source}: {error}") from error


def instantiate(parser: ArgumentParser, config: Namespace) -> Recipe:
    """The recipe that a parsed configuration describes."""
    values = parser.instantiate(config)
    return Recipe(**{section: getattr(values, section) for section in SECTIONS})


def to_dict(value: Any) -> Any:
    """Nested plain values that `from_dict` reads back; a class that may be another carries its `class_path`."""
    if isinstance(value, (Assigner, Criterion, Part)):
        kind = type(value)
        options = {f.name: to_dict(getattr(value, f.name)) for f in fields(value)}  # type: ignore[arg-type]
        return {"class_path": f"{kind.__module__}.{kind.__qualname__}", "init_args": options}
    if is_dataclass(value):
        return {f.name: to_dict(getattr(value, f.name)) for f in fields(value)}
    return list(value) if isinstance(value, tuple) else value


def to_yaml(recipe: Recipe) -> str:
    """The whole recipe, defaults included, as YAML."""
    return yaml.safe_dump(to_dict(recipe), sort_keys=False)


def _recipe_text(name: str | Path) -> tuple[str, str]:
    if _is_file_name(name):
        try:
            return Path(name).read_text(encoding="utf-8"), str(name)
        except OSError as error:
            raise InputError(f"Recipe {name} cannot be read: {error.strerror}.") from error
        except UnicodeDecodeError as error:
            raise InputError(f"Recipe {name} is no text in UTF-8: {error}.") from error
    if name not in recipe_names():
        raise InputError(f"There is no recipe {name!r}.{did_you_mean(str(name), recipe_names())} Or name a .yaml file.")
    return SHIPPED.joinpath(f"{name}.yaml").read_text(encoding="utf-8"), f"recipe {name}"


def _is_file_name(name: str | Path) -> bool:
    return str(name).endswith((".yaml", ".yml"))


def _identity(name: str | Path) -> str:
    """The same for all ways to write the path of one file."""
    return str(Path(name).resolve()) if _is_file_name(name) else str(name)


def _without_defaults(value: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    different: dict[str, Any] = {}
    for key, item in value.items():
        other = default.get(key)
        if isinstance(item, Mapping):
            if isinstance(other, Mapping) and item.get("class_path") == other.get("class_path"):
                item = _without_defaults(item, other)
            else:
                own = _without_defaults(item["init_args"], _defaults(import_class(item["class_path"])))
                item = {**item, "init_args": own}
            if item:
                different[key] = item
        elif item != other:
            different[key] = item
    return different


def _defaults(kind: Any) -> dict[str, Any]:
    return {f.name: to_dict(f.default) for f in fields(kind) if f.default is not MISSING}


def digest(recipe: Recipe) -> str:
    """Twelve hexadecimal digits of what decides the result, apart from seed and set, and from how it is logged.

    Which pictures and boxes of the set are used does count. Options at their defaults do not, so a new option leaves
    the digests of old recipes as they were. A file of weights counts by its name.
    """
    usual = TrainConfig()
    train = replace(recipe.train, **{name: getattr(usual, name) for name in UNCOUNTED})
    nowhere: dict[str, Any] = dict.fromkeys(("format", *PLACES))
    # Where weights lie, and whether they may be fetched, does not change them.
    model = replace(recipe.model, weights=Path(recipe.model.weights).name, download=False)
    counted = replace(recipe, data=replace(recipe.data, **nowhere), model=model, train=train)
    deciding = _without_defaults(to_dict(counted), to_dict(Recipe()))
    return hashlib.sha256(json.dumps(deciding, sort_keys=True).encode()).hexdigest()[:12]
