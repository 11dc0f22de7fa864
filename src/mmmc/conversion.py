"""Detections in the forms of other packages, which are imported only when they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from mmmc.errors import InputError
from mmmc.structures import Detections

if TYPE_CHECKING:
    import pandas
    import supervision

COLUMNS = ("picture", "label", "class", "score", "x1", "y1", "x2", "y2")
"""Of a table of detections; `class` only where names are known."""


def to_supervision(found: Detections, names: Sequence[str] | None = None) -> supervision.Detections:
    """The detections of a picture as those of `supervision`, for its annotators, trackers and zones.

    Args:
        found: of one picture.
        names: of the classes, `predictor.categories.names`; they become `data["class_name"]`, read by its annotators.

    Raises:
        InputError: supervision is not installed.
    """
    try:
        import supervision
    except ImportError:
        raise _missing("supervision") from None
    import numpy as np

    data: dict[str, Any] = {}
    if names is not None:
        data["class_name"] = np.array([names[label] for label in found.labels.tolist()], dtype=str)
    return supervision.Detections(
        xyxy=found.boxes.cpu().float().numpy(),
        confidence=found.scores.cpu().float().numpy(),
        class_id=found.labels.cpu().numpy().astype(int),
        data=data,
    )


def to_pandas(found: Sequence[Detections], names: Sequence[str] | None = None) -> pandas.DataFrame:
    """The detections of pictures as one table, a line for each: `picture` (the `image_id`), `label`, `class`, `score`,
    `x1`, `y1`, `x2`, `y2`.

    Args:
        found: of several pictures.
        names: of the classes; without, the column `class` is left out.

    Raises:
        InputError: pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise _missing("pandas") from None
    rows = [
        (one.image_id, label, names[label] if names is not None else None, score, *box)
        for one in found
        for label, score, box in zip(one.labels.tolist(), one.scores.tolist(), one.boxes.tolist(), strict=True)
    ]
    kinds = {"picture": int, "label": int, **dict.fromkeys(COLUMNS[3:], float)}
    table = pandas.DataFrame(rows, columns=list(COLUMNS)).astype(kinds)
    return table if names is not None else table.drop(columns="class")


def _missing(package: str) -> InputError:
    return InputError(f"The package {package} is not installed. Install it by `pip install 'mmmc[{package}]'`.")
