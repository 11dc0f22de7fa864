"""A finished run in one small JSON object, enough for every table."""

from __future__ import annotations

import json
from typing import Any

from mmmc.data.coco import CocoSet
from mmmc.evaluate import Scores
from mmmc.files import write_atomically
from mmmc.recipe import Recipe, digest
from mmmc.training.environment import environment
from mmmc.training.folder import RunFolder


def write_record(
    folder: RunFolder, recipe: Recipe, scored: CocoSet, scores: Scores, iterations: int, seconds: float
) -> None:
    """Write `record.json`: what was trained, what it scored, on which machine, in how long."""
    around = environment()
    place = scored.annotations.resolve().parent  # a JSON lies in a folder of the set, a data.yaml in the set itself
    record: dict[str, Any] = {
        "name": folder.path.name,
        "set": (place.parent if scored.annotations.suffix == ".json" else place).name
        + (" holdout" if recipe.data.holdout else ""),
        "seed": recipe.train.seed,
        "recipe_hash": digest(recipe),
        "version": around["packages"]["mmmc"],
        "metrics": scores.numbers(),
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
    write_atomically(folder.record, lambda temporary: temporary.write_text(text, encoding="utf-8"))
