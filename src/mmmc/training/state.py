"""The state that a run goes on from."""

from __future__ import annotations

from typing import Any

from mmmc.checkpoint import load_checkpoint
from mmmc.data.sets import Categories
from mmmc.errors import InputError
from mmmc.recipe import Recipe, digest
from mmmc.training.folder import RunFolder

PARTS = ("model", "ema", "optimizer", "progress", "labels", "categories", "recipe", "finished")


def read_state(folder: RunFolder, recipe: Recipe, categories: Categories) -> dict[str, Any]:
    """The run's checkpoint.

    Raises:
        InputError: it is missing, damaged, not whole, finished, or of another recipe or other categories.
    """
    state = load_checkpoint(folder.checkpoint)
    missing = [part for part in PARTS if part not in state]
    if missing:
        raise InputError(f"{folder.checkpoint} is not whole: {', '.join(missing)} is missing.")
    if state["finished"]:
        raise InputError(f"{folder.path} is finished; there is nothing to resume.")
    if state["recipe"] != digest(recipe):
        raise InputError(f"{folder.recipe} is not the recipe that the run began with.")
    if state["categories"] != categories.to_dict():
        raise InputError(f"{folder.path}: the data has other categories than when the run began.")
    return state
