"""Precision, recall and F1 over the score threshold, by COCO's verdicts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from mmmc.misalignment.arrays import Boxes, Truth
from mmmc.misalignment.flags import Flags

SCORES = np.linspace(0.0, 1.0, 101)
"""Thresholds that are looked at."""


@dataclass(frozen=True, eq=False)
class Working:
    """What keeping the detections of each threshold's score or more gives. Detections that COCO ignores count neither
    way.

    Attributes:
        names: of the classes.
        kept, hits: detections kept and true ones among them, by class and threshold of `SCORES`.
        objects: to be found, by class.
    """

    names: tuple[str, ...]
    kept: Int64[np.ndarray, "C S"]
    hits: Int64[np.ndarray, "C S"]
    objects: Int64[np.ndarray, " C"]

    def f1(self) -> Float64[np.ndarray, "C S"]:
        """F1 of each class; NaN without objects."""
        return _f1(self.hits, self.kept, self.objects[:, None])

    def f1_of_all(self) -> Float64[np.ndarray, " S"]:
        """F1 of all classes' detections together; NaN without objects."""
        return _f1(self.hits.sum(axis=0), self.kept.sum(axis=0), self.objects.sum(keepdims=True))

    def best(self) -> float:
        """The threshold of the best F1 of all together, the higher one where two are equal; 0.5 without a hit."""
        f1 = self.f1_of_all()
        return float(SCORES[len(f1) - 1 - f1[::-1].argmax()]) if self.hits.any() else 0.5


def working(boxes: Boxes, truth: Truth, flags: Flags) -> Working:
    """Count at every threshold.

    Args:
        boxes: detections.
        truth: the objects.
        flags: COCO's verdicts on them, all sizes.
    """
    classes = len(truth.names)
    counts = []
    for chosen in (~flags.ignored, flags.true):
        by_class = [np.sort(boxes.score[chosen & (boxes.label == label)]) for label in range(classes)]
        counts.append(np.array([len(scores) - np.searchsorted(scores, SCORES) for scores in by_class]))
    objects = np.bincount(truth.label[flags.counted], minlength=classes)
    return Working(truth.names, counts[0].reshape(classes, -1), counts[1].reshape(classes, -1), objects)


def _f1(hits: np.ndarray, kept: np.ndarray, objects: np.ndarray) -> np.ndarray:
    # 2PR / (P + R) with P = hits / kept and R = hits / objects.
    total = np.broadcast_to(kept + objects, np.shape(hits)).astype(np.float64)
    f1 = np.divide(2 * hits, total, out=np.zeros_like(total), where=total > 0)
    return np.where(np.broadcast_to(objects, np.shape(hits)) > 0, f1, np.nan)
