"""Average precision from verdicts, as COCO accumulates it."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float64, Int64

RECALLS = np.linspace(0.0, 1.0, 101)
"""Where COCO reads its curve."""


def average_precision(
    true: Bool[np.ndarray, " n"], objects: int, recalls: Float64[np.ndarray, " R"] = RECALLS
) -> float:
    """Mean over recall of the best precision at this recall or more; NaN without objects.

    Args:
        true: of the detections that count, best score first, whether each found an object.
        objects: that are to be found.
        recalls: where the curve is read.
    """
    if not objects:
        return np.nan
    found = true.cumsum()
    precision = found / np.arange(1, len(found) + 1)
    envelope = np.append(np.maximum.accumulate(precision[::-1])[::-1], 0.0)
    return float(envelope[np.searchsorted(found / objects, recalls)].mean())


def top_precision(found: int, objects: int) -> float:
    """`average_precision` if this many objects are found and nothing false ranks before; NaN without objects."""
    if not objects:
        return np.nan
    return float((found / objects >= RECALLS).mean()) if found else 0.0


def by_class(
    label: Int64[np.ndarray, " N"], score: Float64[np.ndarray, " N"], classes: int
) -> tuple[list[Int64[np.ndarray, " _"]], Int64[np.ndarray, " N"]]:
    """Rows of each class in COCO's order over the whole set, and the place of each row in the order of all."""
    order = np.argsort(-score, kind="stable")
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    grouped = order[np.argsort(label[order], kind="stable")]
    bounds = np.searchsorted(label[grouped], np.arange(1, classes))
    return np.split(grouped, bounds), rank
