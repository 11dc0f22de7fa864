"""Assigners as one names them in a line: `fcos,atss(topk=15),my.module:Mine,run`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, fields
from inspect import isabstract, isclass, signature

from jsonargparse import ArgumentError, ArgumentParser

from mmmc.assign import ASSIGNERS, Assigner
from mmmc.errors import InputError, did_you_mean
from mmmc.recipe.classes import dotted, import_class
from mmmc.recipe.config import Recipe

OWN = "run"
"""Names the rule of the recipe itself."""

SCALES = ("range_strides", "square_strides")
"""Options that fit a rule to the size of objects in pictures. They say the same, so either stands in for the other."""


@dataclass(frozen=True)
class NamedAssigner:
    """An assigner beside others.

    Attributes:
        name: its class, with the options that were given.
        assigner: the rule.
        note: what its name does not tell: options that it has from a recipe.
    """

    name: str
    assigner: Assigner
    note: str = ""


def named_assigners(text: str, recipe: Recipe) -> list[NamedAssigner]:
    """The assigners that a line names.

    Args:
        text: names with commas between. A name is a class of `mmmc.assign` in any spelling (`simota`, `max_iou`), a
            stranger's as `module:Class`, or `run` for the recipe's own rule with its own options. A class may be
            followed by options, `atss(topk=15,square_strides=4)`; others stay at their defaults.
        recipe: of the run. What it says of `SCALES`, in its warm start or its rule, goes to every class with such an
            option that the line does not set, so that no rule is held to objects of another size.

    Raises:
        InputError: a name that is not known or comes twice, a line that cannot be read, or an option that the class
            does not have or that has a value which is not allowed.
    """
    found = [_named(part.strip(), text, recipe) for part in _split(text)]
    names = [named.name for named in found]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{text!r} names {name} twice.")
    return found


def _named(part: str, text: str, recipe: Recipe) -> NamedAssigner:
    match = re.fullmatch(r"([\w-]+|[\w.]+[:.]\w+)\s*(?:\((.*)\))?", part)
    if match is None:
        raise InputError(
            f"{part!r} in {text!r} is no assigner; allowed: Name, Name(option=value,…), module:Class, {OWN}."
        )
    name, inside = match.groups()
    if name.lower() == OWN:
        if inside is not None:
            raise InputError(f"{part!r}: the run's own rule has the run's own options; allowed: {OWN}.")
        rule = recipe.assigner
        return NamedAssigner(f"{OWN}: {type(rule).__name__}", rule, _written(_changed(rule)))
    kind = _kind(name)
    given = _options(kind, inside or "", part)
    left = [option for option in _known(kind) if option in SCALES and option not in given]
    taken = {option: f"{value:g}" for option, value in _scales(recipe).items() if option in left}
    title = kind.__name__ + (f"({_written(given)})" if given else "")
    return NamedAssigner(title, _made(kind, given | taken, part), f"{_written(taken)} as in the run" if taken else "")


def _split(text: str) -> Iterable[str]:
    """The parts between the commas that are not in brackets."""
    depth, parts = 0, [""]
    for letter in text:
        depth += (letter in "([") - (letter in ")]")
        if depth < 0:
            break
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    if depth:
        raise InputError(f"{text!r} has a bracket without its partner.")
    return parts


def _kind(name: str) -> type[Assigner]:
    if ":" in name or "." in name:
        return _stranger(name)
    spellings = {known.lower(): kind for known, kind in ASSIGNERS.items()}
    plain = re.sub("[_-]", "", name.lower())
    if plain not in spellings:
        raise InputError(
            f"There is no assigner {name!r}.{did_you_mean(plain, [*spellings, OWN])} Or module:Class for your own."
        )
    return spellings[plain]


def _stranger(path: str) -> type[Assigner]:
    module = dotted(path).rpartition(".")[0]
    try:
        kind = import_class(path)
    except ModuleNotFoundError as error:
        raise InputError(f"{path!r}: {error}. Its folder has to be on PYTHONPATH, or the package installed.") from error
    except (AttributeError, ImportError, ValueError) as error:
        known = _assigners_of(module)
        near = did_you_mean(dotted(path).rpartition(".")[2], known) if known else ""
        raise InputError(f"{path!r}: {error}.{near}") from error
    if not (isclass(kind) and issubclass(kind, Assigner)) or isabstract(kind):
        raise InputError(f"{path!r} is no assigner; allowed: a class that is derived from mmmc.assign.Assigner.")
    return kind


def _assigners_of(module: str) -> list[str]:
    """Names of the assigners that an imported module defines."""
    return [kind.__name__ for kind in _derived(Assigner) if kind.__module__ == module]  # type: ignore[type-abstract]


def _derived(kind: type[Assigner]) -> list[type[Assigner]]:
    return [each for child in kind.__subclasses__() for each in (child, *_derived(child))]


def _options(kind: type[Assigner], inside: str, part: str) -> dict[str, str]:
    """What stands between the brackets after a name."""
    given: dict[str, str] = {}
    for entry in _split(inside) if inside.strip() else ():
        option, equals, value = (piece.strip() for piece in entry.partition("="))
        if not (equals and value and option.isidentifier()):
            raise InputError(f"{part!r}: {entry.strip()!r} is no option; allowed: option=value.")
        if option not in _known(kind):
            raise InputError(f"{part!r}: {kind.__name__} has no option {option!r}.{did_you_mean(option, _known(kind))}")
        if option in given:
            raise InputError(f"{part!r} sets {option} twice.")
        given[option] = value
    return given


def _known(kind: type[Assigner]) -> list[str]:
    return list(signature(kind).parameters)


def _made(kind: type[Assigner], options: dict[str, str], part: str) -> Assigner:
    """The assigner, its options read from text as the types of the class say."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--assigner", type=Assigner)
    path = f"{kind.__module__}.{kind.__qualname__}"
    try:
        config = parser.parse_object({"assigner": {"class_path": path, "init_args": options}})
        return parser.instantiate(config).assigner
    except ArgumentError as error:
        message = re.sub(r"\s+", " ", error.message or str(error)).strip().rstrip(".")
        wrong = re.search(r'.*Parser key "(\w+)": Expected an? (?:typing\.)?(.+?)\. Got value: (.*)', message)
        if wrong is None:
            raise InputError(f"{part!r}: {message}.") from error
        option, allowed, value = wrong.groups()
        plain = re.sub(r"<class '(\w+)'>", r"\1", allowed)
        raise InputError(f"{part!r}: {option} is {value!r}; allowed: {plain}.") from error
    except InputError as error:
        raise InputError(f"{part!r}: {error}") from error


def _scales(recipe: Recipe) -> dict[str, float]:
    """What a recipe says of `SCALES`, each by its own name where it can, else by that of the other."""
    each = [
        {option: float(value) for option in SCALES if isinstance(value := getattr(rule, option, None), (int, float))}
        for rule in (recipe.assigner, recipe.warm_start.assigner)
    ]
    # A rule that has both, as APS, reads either only if it is told to: it counts where no other rule says anything.
    telling = [scales for scales in each if len(scales) == 1] or [scales for scales in each if scales]
    if not telling:
        return {}
    either = next(iter(telling[0].values()))
    return {option: next((scales[option] for scales in telling if option in scales), either) for option in SCALES}


def _changed(rule: Assigner) -> dict[str, str]:
    """Options that are not at their defaults."""
    return {
        field.name: f"{value:g}" if isinstance(value, float) else str(value)
        for field in fields(rule)  # type: ignore[arg-type]
        if (value := getattr(rule, field.name)) != field.default
    }


def _written(options: dict[str, str]) -> str:
    return ", ".join(f"{option}={value}" for option, value in options.items())
