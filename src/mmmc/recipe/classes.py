"""Classes that a recipe or a flag names: `mmmc.assign.FCOS`, `FCOS`, or `package.module:Class` of anyone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

CLASSES = ("assigner", "criterion", "warm_start.assigner", "warm_start.criterion", "model.part")
"""Options whose value is an object of a class that the recipe names."""

_LAST = {name.rpartition(".")[2] for name in CLASSES}


def import_class(path: str) -> Any:
    """The class that a `class_path` names."""
    module, _, name = path.replace(":", ".").rpartition(".")
    return getattr(import_module(module), name)


def dotted(path: str) -> str:
    """`module:Class` as `module.Class`, which is all that the parser knows; any other text as it is."""
    return path.replace(":", ".") if re.fullmatch(r"[\w.]+:[\w.]+", path) else path


def dotted_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """Nested values of a recipe with every class named by dots."""
    return {key: _dotted_value(key, value) for key, value in content.items()}


def dotted_flags(flags: Sequence[str]) -> list[str]:
    """Flags such as `--assigner module:Class` or `--assigner=module:Class` with the class named by dots."""
    result: list[str] = []
    for flag in flags:
        key, equals, value = flag.partition("=")
        if result and result[-1].removeprefix("--") in CLASSES and result[-1].startswith("--"):
            result.append(dotted(flag))
        elif equals and key.startswith("--") and key[2:] in CLASSES:
            result.append(f"{key}={dotted(value)}")
        else:
            result.append(flag)
    return result


def classes_named(flags: Sequence[str]) -> dict[str, str]:
    """The class that flags such as `--assigner APS` or `--assigner=APS` name, by flag; the last one counts."""
    named = {}
    for position, flag in enumerate(flags):
        key, _, value = flag.removeprefix("--").partition("=")
        if key in CLASSES and flag.startswith("--"):
            named[key] = value or (flags[position + 1] if position + 1 < len(flags) else "")
    return {key: value for key, value in named.items() if value not in ("", "null")}


def same_class(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether `new` names no class, or that of `old`, maybe by another path."""
    one, other = old.get("class_path"), new.get("class_path", old.get("class_path"))
    if one == other:
        return True
    if not (isinstance(one, str) and isinstance(other, str)):
        return False
    one, other = dotted(one), dotted(other)
    if "." not in one or "." not in other:  # a class that is known here may be named without its module
        return one.rpartition(".")[2] == other.rpartition(".")[2]
    try:
        return import_class(one) is import_class(other)
    except (AttributeError, ImportError, ValueError):
        return False


def _dotted_value(key: str, value: Any) -> Any:
    if isinstance(value, Mapping):
        return dotted_content(value)
    return dotted(value) if isinstance(value, str) and (key == "class_path" or key in _LAST) else value
