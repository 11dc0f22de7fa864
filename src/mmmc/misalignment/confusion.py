"""Which classes a detector takes for which, at one score threshold, by COCO's matching."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Int64

from mmmc.misalignment.arrays import Boxes, Truth, overlaps
from mmmc.misalignment.flags import Flags, Verdicts


@dataclass(frozen=True, eq=False)
class Confusion:
    """How often each class was said of each class.

    Attributes:
        counts: a row for the class of an object and a last one for the background, a column for the class that was
            said and a last one for objects that no detection found. The last number of the last row is 0.
        names: of the classes.
        threshold: least score of the detections.
        iou: least overlap of a match.
    """

    counts: Int64[np.ndarray, "C1 C1"]
    names: tuple[str, ...]
    threshold: float
    iou: float


def confusion(boxes: Boxes, truth: Truth, flags: Flags, threshold: float, iou: float) -> Confusion:
    """Match twice, each time as COCO does.

    First within classes: the diagonal is what COCO counts as found. Then what is left over, detections that found
    nothing and objects that were not found, without regard to classes. COCO matches the best score first, so verdicts
    on all detections hold for those above a threshold too.

    Args:
        boxes: detections.
        truth: the objects. Detections that COCO lets match a crowd region of their class are left out.
        flags: the verdicts on them, all sizes, at `iou`.
        threshold: least score of a detection.
        iou: least overlap of a match.
    """
    classes = len(truth.names)
    counts = np.zeros((classes + 1, classes + 1), dtype=np.int64)
    confident = boxes.score >= threshold
    found = flags.object[confident & flags.true]
    np.add.at(counts, (truth.label[found], truth.label[found]), 1)

    left = boxes[confident & flags.false]
    lost = np.setdiff1d(np.flatnonzero(flags.counted), found)
    objects = _without_classes(truth, lost)
    anything = replace(left, label=np.zeros(len(left), dtype=np.int64))
    again = Verdicts(anything, objects, overlaps(anything, objects))(iou)
    np.add.at(counts, (truth.label[lost[again.object[again.true]]], left.label[again.true]), 1)
    np.add.at(counts, (classes, left.label[again.false]), 1)
    np.add.at(counts, (truth.label[lost[again.finder() < 0]], classes), 1)
    return Confusion(counts, truth.names, threshold, iou)


def _without_classes(truth: Truth, rows: Int64[np.ndarray, " m"]) -> Truth:
    """Some objects, all of one class."""
    return Truth(
        image_ids=truth.image_ids,
        category_ids=np.ones(1, dtype=np.int64),
        names=("object",),
        picture=truth.picture[rows],
        label=np.zeros(len(rows), dtype=np.int64),
        xywh=truth.xywh[rows],
        area=truth.area[rows],
        crowd=truth.crowd[rows],
    )
