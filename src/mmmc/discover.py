"""What a folder holds: classes that are found by their files, so that adding one touches no other file."""

from __future__ import annotations

from importlib import import_module
from inspect import isclass
from pkgutil import iter_modules
from typing import TypeVar

T = TypeVar("T")


def classes_in(package: str, kind: type[T]) -> dict[str, type[T]]:
    """Name to class of all public subclasses of `kind` that the files of a package define, in order of the names."""
    modules = [import_module(f"{package}.{module.name}") for module in iter_modules(import_module(package).__path__)]
    found = {
        value.__name__: value
        for module in modules
        for value in vars(module).values()
        if isclass(value) and issubclass(value, kind) and value is not kind and value.__module__ == module.__name__
    }
    return {name: found[name] for name in sorted(found) if not name.startswith("_")}
