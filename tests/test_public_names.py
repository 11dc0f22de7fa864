"""Names that people import: whoever removes one breaks their programs, and this test."""

from __future__ import annotations

import json
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import mmmc
from mmmc.assign import ASSIGNERS
from mmmc.criterion import CRITERIA
from mmmc.parts import PARTS

FOUND = {*ASSIGNERS, *CRITERIA, *PARTS}
"""Found by their files; recipes and pages name each."""

RECORDED = json.loads(Path(__file__).with_suffix("").with_name("public_names.json").read_text())


def test_public_names_are_those_recorded() -> None:
    """To add, rename or remove a name, change `public_names.json` too, and say so in the change log."""
    packages = ["mmmc", *(f"mmmc.{module.name}" for module in iter_modules(mmmc.__path__) if module.ispkg)]
    found = {name: sorted(set(getattr(import_module(name), "__all__", [])) - FOUND) for name in packages}
    assert {name: names for name, names in found.items() if names} == RECORDED


def test_public_names_exist() -> None:
    for package, names in RECORDED.items():
        module = import_module(package)
        missing = [name for name in names if not hasattr(module, name)]
        assert not missing, f"{package} lacks {missing}"
    assert dir(mmmc) == sorted(mmmc.__all__)
