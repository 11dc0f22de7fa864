"""The state that a run goes on from."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from mmmc.checkpoint import load_checkpoint
from mmmc.data.sets import Categories, CocoSet
from mmmc.errors import InputError
from mmmc.recipe import Recipe, digest
from mmmc.training.folder import RunFolder

PARTS = ("model", "ema", "optimizer", "progress", "labels", "categories", "recipe", "finished")


def data_digest(train_set: CocoSet, val_set: CocoSet) -> str:
    """A hash of the pictures' names, sizes and order, and of what is known of their objects; not of where they lie."""
    found = hashlib.sha256()
    for pictures in (train_set, val_set):
        found.update(json.dumps(pictures.names).encode())
        for column in ("image_ids", "heights", "widths", "offsets", "xywh", "labels", "areas", "crowds", "used"):
            found.update(getattr(pictures, column).tobytes())
    return found.hexdigest()


def read_state(folder: RunFolder, recipe: Recipe, categories: Categories, data: str) -> dict[str, Any]:
    """The run's checkpoint.

    Args:
        folder: of the run.
        recipe: that it is to go on with.
        categories: of the data.
        data: the data's `data_digest`; checkpoints of older versions have none and are taken.

    Raises:
        InputError: it is missing, damaged, not whole, finished, or of another recipe, other categories or other data.
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
    if state.get("data", data) != data:
        raise InputError(
            f"{folder.path}: the data has other pictures or objects than when the run began. Put back what it had, or "
            f"begin a new run with --init {folder.path} and pictures to score that this one was not trained on."
        )
    return state
