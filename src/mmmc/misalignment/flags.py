"""COCO's own verdict on every detection, at one IoU threshold and for objects of one size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from faster_coco_eval import COCOeval_faster
from jaxtyping import Bool, Int64

from mmmc.evaluate import evaluator
from mmmc.misalignment.arrays import Boxes, Overlaps, Truth

AREAS = {"all": (0.0, 1e10), "small": (0.0, 32.0**2), "medium": (32.0**2, 96.0**2), "large": (96.0**2, 1e10)}
"""Least and greatest area in square pixels, both within; COCO lets objects on a bound belong to two sizes."""

SIZES = tuple(AREAS)

THRESHOLDS: tuple[float, ...] = tuple(np.linspace(0.5, 0.95, 10).tolist())
"""COCO's ten IoU thresholds."""

MOST = 100
"""Detections of a picture and class that COCO looks at."""

_ROUNDING = 1e-6
"""By less than this our overlap and COCO's can differ."""


@dataclass(frozen=True, eq=False)
class Flags:
    """What COCO made of each detection. Neither true nor ignored is false.

    Attributes:
        object: row of the counted object that the detection was matched to, or -1.
        ignored: counts neither way: matched to a crowd region or to an object of another size, or matched to nothing
            and itself of another size.
        counted: of each object, whether it is to be found: no crowd region, and of this size.
    """

    object: Int64[np.ndarray, " N"]
    ignored: Bool[np.ndarray, " N"]
    counted: Bool[np.ndarray, " M"]

    @property
    def true(self) -> Bool[np.ndarray, " N"]:
        """Detections that found an object."""
        return self.object >= 0

    @property
    def false(self) -> Bool[np.ndarray, " N"]:
        """Detections that found none."""
        return ~self.true & ~self.ignored

    def finder(self) -> Int64[np.ndarray, " M"]:
        """Of each object the detection that found it, or -1."""
        found = np.full(len(self.counted), -1, dtype=np.int64)
        rows = np.flatnonzero(self.true)
        found[self.object[rows]] = rows
        return found


def to_find(truth: Truth, size: str) -> Bool[np.ndarray, " M"]:
    """Objects of one of `SIZES`, without crowd regions."""
    low, high = AREAS[size]
    return ~truth.crowd & (truth.area >= low) & (truth.area <= high)


class _Prepared(COCOeval_faster):
    """Hands its boxes over and compares them once, however often it evaluates: they are the same at every threshold."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._known: dict[tuple[Any, Any], Any] = {}
        self._ready = False

    def _prepare(self) -> None:
        if not self._ready:
            super()._prepare()
        self._ready = True

    def computeIoU(self, imgId: Any, catId: Any) -> Any:
        if (imgId, catId) not in self._known:
            self._known[imgId, catId] = super().computeIoU(imgId, catId)
        return self._known[imgId, catId]


class Verdicts:
    """Runs COCO's evaluation for one threshold and size after another.

    COCO matches within a picture and a class, so each such pair is handed to the evaluator as a picture of its own, and
    only where a match is possible at all. That changes no verdict and leaves out most of the work.

    Args:
        boxes: detections. All of them are looked at, so that COCO's own verdicts are had of at most `MOST` of each
            picture and class.
        truth: the objects.
        pairs: overlaps of both.
    """

    def __init__(self, boxes: Boxes, truth: Truth, pairs: Overlaps) -> None:
        self.boxes, self.truth = boxes, truth
        same = boxes.label[pairs.box] == truth.label[pairs.object]
        close = pairs.iou >= THRESHOLDS[0] - _ROUNDING
        self._rows = np.unique(pairs.box[same & close])
        classes = len(truth.names)
        own = boxes.picture[self._rows] * classes + boxes.label[self._rows]
        groups = np.unique(own)
        of_objects = truth.picture * classes + truth.label
        self._objects = np.flatnonzero(np.isin(of_objects, groups))
        self._coco = evaluator(
            {
                "images": [{"id": group} for group in groups.tolist()],
                "categories": [{"id": 1, "name": "any"}],
                "annotations": [
                    {"image_id": group, "category_id": 1, "bbox": box, "area": area, "iscrowd": int(crowd)}
                    for group, box, area, crowd in zip(
                        of_objects[self._objects].tolist(),
                        truth.xywh[self._objects].tolist(),
                        truth.area[self._objects].tolist(),
                        truth.crowd[self._objects].tolist(),
                        strict=True,
                    )
                ],
            },
            [
                {"image_id": group, "category_id": 1, "bbox": box, "score": score}
                for group, box, score in zip(
                    own.tolist(),
                    boxes.xywh[self._rows].tolist(),
                    boxes.score[self._rows].tolist(),
                    strict=True,
                )
            ],
            _Prepared,
        )
        self._area = boxes.xywh[:, 2] * boxes.xywh[:, 3]

    def __call__(self, threshold: float, size: str = "all") -> Flags:
        """The verdict at this IoU threshold, at least `THRESHOLDS[0]`, for one of `SIZES`."""
        low, high = AREAS[size]
        counted = to_find(self.truth, size)
        object = np.full(len(self.boxes), -1, dtype=np.int64)
        ignored = (self._area < low) | (self._area > high)
        if len(self._rows):
            parameters = self._coco.params
            parameters.iouThrs = np.array([threshold])
            parameters.areaRng, parameters.areaRngLbl = [[low, high]], [size]
            parameters.maxDets = [len(self._rows)]
            self._coco.evaluate()
            matches = np.array([match.split("_") for match in self._coco.eval["matched"]], dtype=np.int64).reshape(
                -1, 2
            )
            box, matched = self._rows[matches[:, 0] - 1], self._objects[matches[:, 1] - 1]
            ignored[box] = ~counted[matched]
            object[box] = np.where(counted[matched], matched, -1)
        return Flags(object, ignored, counted)
