"""A finished run in one small JSON object, enough for every table."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from mmmc.data.coco import CocoSet
from mmmc.environment import environment, own_version
from mmmc.evaluate import Scores
from mmmc.files import write_text
from mmmc.label_measures import AGREEMENT, SIXTHS
from mmmc.recipe import Recipe, digest
from mmmc.training.folder import RunFolder
from mmmc.training.journal import read_metrics


def write_record(
    folder: RunFolder, recipe: Recipe, scored: CocoSet, scores: Scores, iterations: int, seconds: float
) -> None:
    """Write `record.json`: what was trained, what it scored, how its tasks agreed, on which machine, in how long."""
    around = environment()
    record: dict[str, Any] = {
        "name": folder.path.name,
        "set": set_name(scored) + (" holdout" if recipe.data.holdout else ""),
        "seed": recipe.train.seed,
        "recipe_hash": digest(recipe),
        "version": own_version(),
        "metrics": scores.numbers(),
        "agreement": agreement(read_metrics(folder.metrics), iterations),
        "iterations": iterations,
        "seconds": round(seconds, 1),
        "machine": {
            "cpu": around["cpu"],
            "cores": around["cores"],
            "threads": around["threads"],
            "devices": around["devices"],
            "torch": around["packages"]["torch"],
        },
    }
    text = json.dumps(record, indent=2) + "\n"
    write_text(folder.record, text)


_INNER = ("annotations", "labels", "train", "val", "valid", "test")
"""Folders that hold annotations inside the folder of a set."""


def set_name(pictures: CocoSet) -> str:
    """Of the folder that holds a set."""
    place = pictures.annotations.resolve()
    folder = place if place.is_dir() else place.parent
    return (folder.parent if folder.name.lower() in _INNER else folder).name


def agreement(rows: Sequence[Mapping[str, Any]], iterations: int) -> list[dict[str, float] | None]:
    """`AGREEMENT` and its `step` at the end of each sixth of a training, from the lines of its journal.

    Each entry is of the nearest epoch's end, or None where none was looked at within half a sixth.
    """
    looked = [row for row in rows if row["kind"] == "assign" and all(name in row for name in AGREEMENT)]
    found: list[dict[str, float] | None] = []
    for part in range(1, SIXTHS + 1):
        end = part * iterations / SIXTHS
        near = [row for row in looked if abs(row["step"] - end) <= iterations / SIXTHS / 2]
        nearest = min(near, key=lambda row: abs(row["step"] - end), default=None)
        found.append(None if nearest is None else {name: nearest[name] for name in ("step", *AGREEMENT)})
    return found
