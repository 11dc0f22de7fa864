"""mmmc: one-stage, anchor-free object detection with minimal misalignment at minimal cost.

Public names are imported when they are first asked for, so `import mmmc` is cheap.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mmmc.comparison import compare_assigners
    from mmmc.conversion import to_pandas, to_supervision
    from mmmc.errors import InputError
    from mmmc.gallery import draw_run
    from mmmc.predictor import Predictor, load
    from mmmc.recipe import Recipe, load_recipe
    from mmmc.testing import check_assigner
    from mmmc.training import train

_HOMES = {
    "InputError": "mmmc.errors",
    "Predictor": "mmmc.predictor",
    "Recipe": "mmmc.recipe",
    "check_assigner": "mmmc.testing",
    "compare_assigners": "mmmc.comparison",
    "draw_run": "mmmc.gallery",
    "load": "mmmc.predictor",
    "load_recipe": "mmmc.recipe",
    "to_pandas": "mmmc.conversion",
    "to_supervision": "mmmc.conversion",
    "train": "mmmc.training",
}

__all__ = [
    "InputError",
    "Predictor",
    "Recipe",
    "check_assigner",
    "compare_assigners",
    "draw_run",
    "load",
    "load_recipe",
    "to_pandas",
    "to_supervision",
    "train",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'mmmc' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
