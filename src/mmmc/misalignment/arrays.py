"""Objects and boxes of a whole set as arrays, and which of them overlap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from mmmc.evaluate import require_known

_PAIRS = 2**21
"""So many pairs are looked at together, which bounds the memory."""


@dataclass(frozen=True, eq=False)
class Truth:
    """The objects and crowd regions of a set, by picture; those of one picture in the order of the file.

    Attributes:
        image_ids: id of each picture, ascending.
        category_ids: COCO's id of each class index.
        names: of the classes.
        picture: index of the picture.
        label: class index.
        xywh: `x y width height` in pixels of the picture file, as COCO has them.
        area: as in the file; COCO's sizes go by it.
        crowd: whether it is a region with objects that are not told apart.
    """

    image_ids: Int64[np.ndarray, " I"]
    category_ids: Int64[np.ndarray, " C"]
    names: tuple[str, ...]
    picture: Int64[np.ndarray, " M"]
    label: Int64[np.ndarray, " M"]
    xywh: Float64[np.ndarray, "M 4"]
    area: Float64[np.ndarray, " M"]
    crowd: Bool[np.ndarray, " M"]

    @classmethod
    def from_coco(cls, ground_truth: Mapping[str, Any]) -> Truth:
        """From a COCO dictionary, see `mmmc.evaluate`."""
        image_ids = np.sort(_integers(entry["id"] for entry in ground_truth["images"]))
        category_ids = _integers(entry["id"] for entry in ground_truth["categories"])
        rows = ground_truth["annotations"]
        picture = np.searchsorted(image_ids, _integers(row["image_id"] for row in rows))
        order = np.argsort(picture, kind="stable")
        return cls(
            image_ids=image_ids,
            category_ids=category_ids,
            names=tuple(entry["name"] for entry in ground_truth["categories"]),
            picture=picture[order],
            label=_places(_integers(row["category_id"] for row in rows), category_ids)[order],
            xywh=_boxes([row["bbox"] for row in rows])[order],
            area=np.array([row["area"] for row in rows], dtype=np.float64)[order],
            crowd=np.array([bool(row["iscrowd"]) for row in rows], dtype=bool)[order],
        )

    @cached_property
    def offsets(self) -> Int64[np.ndarray, " _"]:
        """Objects of picture `i` are `offsets[i]` up to `offsets[i + 1]`."""
        return np.append(0, np.bincount(self.picture, minlength=len(self.image_ids)).cumsum())

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True, eq=False)
class Boxes:
    """Boxes that a detector found, before or after suppression, by picture and the best score first.

    Attributes:
        picture: index of the picture among `Truth.image_ids`.
        label: class index.
        xywh: `x y width height` in pixels of the picture file, as COCO has them.
        score: high is good.
    """

    picture: Int64[np.ndarray, " N"]
    label: Int64[np.ndarray, " N"]
    xywh: Float64[np.ndarray, "N 4"]
    score: Float64[np.ndarray, " N"]

    @classmethod
    def from_coco(cls, results: Sequence[Mapping[str, Any]], truth: Truth) -> Boxes:
        """From COCO results.

        Raises:
            InputError: a picture or category is not of the set.
        """
        require_known(results, set(truth.image_ids.tolist()), set(truth.category_ids.tolist()))
        return cls(
            picture=np.searchsorted(truth.image_ids, _integers(row["image_id"] for row in results)),
            label=_places(_integers(row["category_id"] for row in results), truth.category_ids),
            xywh=_boxes([row["bbox"] for row in results]),
            score=np.array([row["score"] for row in results], dtype=np.float64),
        ).ranked()

    @classmethod
    def joined(cls, parts: Sequence[Boxes]) -> Boxes:
        """Those of all parts together."""
        if not parts:
            return cls(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros((0, 4)), np.zeros(0))
        columns = (np.concatenate([getattr(part, name) for part in parts]) for name in cls.__dataclass_fields__)
        return cls(*columns).ranked()

    def ranked(self) -> Boxes:
        """By picture and then by score; what is equal stays in its order, as in COCO's evaluation."""
        return self[np.lexsort((-self.score, self.picture))]

    def first(self, count: int, *, by_class: bool = False) -> Bool[np.ndarray, " N"]:
        """Which are among the `count` best of their picture, or of their picture and class."""
        group = self.picture * (1 + self.label.max(initial=0)) + self.label if by_class else self.picture
        order = np.argsort(group, kind="stable")
        place = np.empty(len(order), dtype=np.int64)
        place[order] = np.arange(len(order)) - np.searchsorted(group[order], group[order])
        return place < count

    def __getitem__(self, rows: np.ndarray) -> Boxes:
        return replace(
            self, picture=self.picture[rows], label=self.label[rows], xywh=self.xywh[rows], score=self.score[rows]
        )

    def __len__(self) -> int:
        return len(self.label)


@dataclass(frozen=True, eq=False)
class Overlaps:
    """Pairs of a found box and an object of one picture that overlap, by box and then by object.

    Attributes:
        box: row of the box.
        object: row of the object.
        iou: intersection over union; for a crowd region, as in COCO, over the area of the box alone.
    """

    box: Int64[np.ndarray, " K"]
    object: Int64[np.ndarray, " K"]
    iou: Float64[np.ndarray, " K"]

    def __getitem__(self, rows: np.ndarray) -> Overlaps:
        return Overlaps(self.box[rows], self.object[rows], self.iou[rows])

    def __len__(self) -> int:
        return len(self.box)


def overlaps(boxes: Boxes, truth: Truth, least: float = 0.0, *, same_class: bool = False) -> Overlaps:
    """All pairs of one picture with an overlap above 0 and of at least `least`.

    Args:
        boxes: what was found.
        truth: what is there.
        least: least overlap.
        same_class: leave out pairs of two classes.
    """
    offsets = truth.offsets
    counts = np.diff(offsets)[boxes.picture]
    ends = counts.cumsum()
    parts = []
    start = 0
    while start < len(boxes):
        done = ends[start - 1] if start else 0
        end = max(int(np.searchsorted(ends, done + _PAIRS)), start + 1)
        some = counts[start:end]
        box = np.repeat(np.arange(start, end), some)
        place = np.arange(len(box)) - np.repeat(some.cumsum() - some, some)
        object = offsets[boxes.picture[box]] + place
        if same_class:
            kept = boxes.label[box] == truth.label[object]
            box, object = box[kept], object[kept]
        iou = _iou(boxes.xywh[box], truth.xywh[object], truth.crowd[object])
        kept = (iou > 0) & (iou >= least)
        parts.append((box[kept], object[kept], iou[kept]))
        start = end
    if not parts:
        return Overlaps(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0))
    return Overlaps(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _iou(
    boxes: Float64[np.ndarray, "K 4"], objects: Float64[np.ndarray, "K 4"], crowd: Bool[np.ndarray, " K"]
) -> Float64[np.ndarray, " K"]:
    # In the order of COCO's own sums, so that the result is its to the last bit.
    (x, y, width, height), (left, top, across, down) = boxes.T, objects.T
    shared_width = np.minimum(width + x, across + left) - np.maximum(x, left)
    shared_height = np.minimum(height + y, down + top) - np.maximum(y, top)
    shared = shared_width.clip(min=0) * shared_height.clip(min=0)
    area = width * height
    union = np.where(crowd, area, area + across * down - shared)
    return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def _boxes(bbox: Sequence[Sequence[float]]) -> Float64[np.ndarray, "n 4"]:
    return np.array(bbox, dtype=np.float64).reshape(-1, 4)


def _places(ids: Int64[np.ndarray, " n"], known: Int64[np.ndarray, " C"]) -> Int64[np.ndarray, " n"]:
    order = np.argsort(known)
    return order[np.searchsorted(known, ids, sorter=order)]


def _integers(values: Any) -> Int64[np.ndarray, " n"]:
    return np.fromiter(values, dtype=np.int64)
