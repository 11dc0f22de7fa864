"""Boxes that a detector found, from a file of COCO results."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from mmmc.data.coco import CocoSet
from mmmc.data.fields import Rows, is_number, read_json
from mmmc.errors import InputError


def read_results(file: Path | str, pictures: CocoSet) -> list[dict[str, Any]]:
    """Read a list of `image_id`, `category_id`, `bbox` as `x y width height`, and `score`; it may be empty.

    Args:
        file: the JSON file, as COCO's server takes it.
        pictures: the set that the boxes were found in.

    Raises:
        InputError: names file, field, value and what is allowed.
    """
    path = Path(file)
    top = read_json(path)
    if type(top) is not list:
        raise InputError(
            f"{path}: the top level is no list. Allowed: COCO results, a list of objects with image_id, category_id, "
            "bbox and score."
        )
    for place, row in enumerate(top):
        if type(row) is not dict:
            raise InputError(f"{path}: entry {place + 1} is no object. Allowed: image_id, category_id, bbox and score.")
    rows = Rows(path, "detection", top)
    known = {"image_id": pictures.image_ids, "category_id": np.array(pictures.categories.ids)}
    for field, ids in known.items():
        kind = "an image" if field == "image_id" else "a category"
        unknown = ~np.isin(rows.integers(field), ids)
        rows.refuse(np.flatnonzero(unknown).tolist(), field, f"the id of {kind} of {pictures.annotations}")
    rows.column("score", _is_finite, "a finite number")
    rows.column("bbox", _is_box, "x, y, width, height, four finite numbers, width and height not negative")
    return [{name: row[name] for name in ("image_id", "category_id", "bbox", "score")} for row in top]


def _is_finite(value: object) -> bool:
    return is_number(value) and math.isfinite(value)  # type: ignore[arg-type]


def _is_box(value: object) -> bool:
    return type(value) is list and len(value) == 4 and all(map(_is_finite, value)) and min(value[2:]) >= 0
