"""What a parser of recipes complains of, in words for people."""

from __future__ import annotations

import re
from dataclasses import fields

from jsonargparse import ArgumentError, ArgumentParser

from mmmc.assign import Assigner
from mmmc.criterion import Criterion
from mmmc.errors import InputError, did_you_mean
from mmmc.parts import Part
from mmmc.recipe.classes import import_class

KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false", "str": "a text", "NoneType": "null"}
"""What a value of each type is called."""


def explain(error: ArgumentError, parser: ArgumentParser, source: str) -> InputError:
    """The parser's complaint as ours, with the nearest allowed name where a name is unknown."""
    if isinstance(error.__cause__, InputError):
        return InputError(f"{source}: {error.__cause__}")
    message = re.sub(r"\s+", " ", error.message or str(error)).strip()
    plain = _wrong_value(message) or _without(message, parser)
    if plain is not None:
        return InputError(f"{source}: {plain}.")
    unknown = re.search(r"[Oo]ption '([\w.]+)'|[Kk]ey '([\w.]+)' is not|arguments: --([\w.-]+)", message)
    if unknown is None:
        return InputError(f"{source}: {message.rstrip('.')}.{_nearest_class(message)}")
    given = next(group for group in unknown.groups() if group)
    section = re.search(r"Group '([\w.]+)'", message)
    owner = re.search(r"class_path '([\w.]+)'", message)
    if owner:
        allowed = [f.name for f in fields(import_class(owner.group(1)))]
    elif section:
        allowed = [key.split(".", 1)[1] for key in _keys(parser) if key.startswith(section.group(1) + ".")]
    elif "." in given:
        allowed = [key for key in _keys(parser) if key.startswith(given.split(".")[0] + ".")] or _keys(parser)
    else:
        # An option of a section that is given without it, such as `--epochs`; else any flag.
        allowed = [key for key in _keys(parser) if key.endswith(f".{given}")] or _flags(parser)
    return InputError(f"{source}: {message.rstrip('.')}.{did_you_mean(given, allowed)}")


def _wrong_value(message: str) -> str | None:
    """A complaint about a value of another type, without the names of Python's types; None if it is another one."""
    # An option of a class is complained about within its class, and that within the section.
    within = r'(Parser key "[\w.]+": (?:Problem with given class_path .*: Parser key "[\w.]+": )*)'
    found = re.fullmatch(within + r"(Expected .*)\. Got value: (.*?)\.?", message) or re.fullmatch(
        within + r"Does not .* Errors: (- .*) Given value type: .* Given value: (.*?)\.?", message
    )
    if found is None:
        return None
    keys, expected, value = found.groups()
    key = ".".join(re.findall(r'Parser key "([\w.]+)"', keys))
    allowed = []
    for one in re.split(r"(?:^| )-? ?Expected an? ", expected)[1:]:
        kind = re.fullmatch(r"<class '(\w+)'>", one)
        choices = re.fullmatch(r"typing\.Literal\[(.*)\]", one)
        if choices:
            allowed.append(choices.group(1))
        elif kind and kind.group(1) == "tuple":
            allowed.append(f"a list in brackets, '[{value}]'")
        elif kind and kind.group(1) in KINDS:
            allowed.append(KINDS[kind.group(1)])
        else:
            return None
    return f"{key}: {value!r} cannot be used; allowed: {' or '.join(allowed)}" if allowed else None


def _without(message: str, parser: ArgumentParser) -> str | None:
    """A complaint about arguments that are missing, by the names that the help gives them; None if it is another."""
    start, _, missing = message.rstrip(".").partition("arguments are required: ")
    if not missing:
        return None
    shown = {action.dest: (*action.option_strings, action.metavar or action.dest)[0] for action in parser._actions}
    return f"{start}arguments are required: {', '.join(str(shown.get(name, name)) for name in missing.split(', '))}"


def _nearest_class(message: str) -> str:
    """Ending of a message about a class that cannot be used."""
    wrong = re.search(
        r"key \"(?:\w+\.)?(assigner|criterion|part)\".*?(?:class_path '|Import path |path string: )([\w.]+)", message
    )
    # Of a class that is there and has one wrong option, the option is told.
    if wrong is None or re.search(r"given class_path '[\w.]+': Parser key", message):
        return ""
    kind = {"assigner": Assigner, "criterion": Criterion, "part": Part}[wrong.group(1)]
    known = [known.__name__ for known in kind.__subclasses__()]
    return did_you_mean(wrong.group(2).rpartition(".")[2], known)


def _keys(parser: ArgumentParser) -> list[str]:
    return [action.dest for action in parser._actions if "." in action.dest and not action.dest.endswith(".help")]


def _flags(parser: ArgumentParser) -> list[str]:
    """Flags without a dot, and the sections."""
    flags = [flag for action in parser._actions for flag in action.option_strings if flag.startswith("--")]
    # The second is jsonargparse's own, which says that it is no longer supported.
    return sorted({flag[2:].split(".")[0] for flag in flags} - {"help", "print_shtab"})
