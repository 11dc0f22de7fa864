"""How far apart the point that scores an object best and the point whose box overlaps it most are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor
from torchvision.ops import box_iou, clip_boxes_to_image

from mmmc.boxes import area, distances
from mmmc.misalignment.flags import AREAS
from mmmc.structures import Points, Target

SCORED, OVERLAPPING = 0, 1
"""First axis of `Apart`'s arrays of points."""

STRIDES = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Greatest distance of each group but the last, in strides."""

DISTANCES = ("same point", "to 1", "to 2", "to 4", "to 8", "more")
LEVELS = ("same level", "1 level", "2 levels", "more")


_OF_OBJECTS = ("image_id", "number", "label", "box", "area")
_OF_POINTS = ("xy", "stride", "level", "boxes", "score", "iou")


@dataclass(frozen=True, eq=False)
class Apart:
    """Objects that a point lies in, each with its best-scored and its best-overlapping point.

    Arrays of points have a first axis of two, `SCORED` and `OVERLAPPING`.

    An object's points lie in its box, and their own boxes overlap no other object of its class more; if no point is so,
    all points in the box are its points.

    Attributes:
        image_id: of the picture.
        number: of the object among those of its picture.
        label: class index.
        box: of the object, in pixels of the batch.
        area: of that box in square pixels of the picture file.
        xy: of the points, in pixels of the batch.
        stride: of their levels.
        level: index of their levels.
        boxes: that they predict.
        score: of the object's class, as suppression sees it.
        iou: of the predicted box with the object.
        without: objects of each class that no point lies in; they are in no other field.
    """

    image_id: Int64[np.ndarray, " M"]
    number: Int64[np.ndarray, " M"]
    label: Int64[np.ndarray, " M"]
    box: Float64[np.ndarray, "M 4"]
    area: Float64[np.ndarray, " M"]
    xy: Float64[np.ndarray, "2 M 2"]
    stride: Float64[np.ndarray, "2 M"]
    level: Int64[np.ndarray, "2 M"]
    boxes: Float64[np.ndarray, "2 M 4"]
    score: Float64[np.ndarray, "2 M"]
    iou: Float64[np.ndarray, "2 M"]
    without: Int64[np.ndarray, " C"]

    @property
    def strides(self) -> Float64[np.ndarray, " M"]:
        """Distance of the two points, in strides of the level of the best-overlapping one."""
        return np.linalg.norm(self.xy[SCORED] - self.xy[OVERLAPPING], axis=1) / self.stride[OVERLAPPING]

    @property
    def levels(self) -> Int64[np.ndarray, " M"]:
        """Levels between the two points."""
        return np.abs(self.level[SCORED] - self.level[OVERLAPPING])

    @property
    def lost(self) -> Float64[np.ndarray, " M"]:
        """Overlap that the best-scored point falls short of the best."""
        return self.iou[OVERLAPPING] - self.iou[SCORED]

    def worst(self, count: int) -> Int64[np.ndarray, " _"]:
        """Rows of the objects that lose the most overlap, of equals those whose points are farther apart."""
        order = np.lexsort((-self.strides, -self.lost))
        return order[self.lost[order] > 0][:count]

    @classmethod
    def joined(cls, parts: Sequence[Apart], classes: int) -> Apart:
        """Objects of several pictures together."""
        if not parts:
            return cls._empty(classes)
        joined = {
            name: np.concatenate([getattr(part, name) for part in parts], axis=axis)
            for axis, names in enumerate((_OF_OBJECTS, _OF_POINTS))
            for name in names
        }
        return cls(**joined, without=np.sum([part.without for part in parts], axis=0))

    @classmethod
    def _empty(cls, classes: int) -> Apart:
        numbers, values = np.zeros(0, dtype=np.int64), np.zeros(0)
        pair = np.zeros((2, 0))
        return cls(
            *(numbers, numbers, numbers, np.zeros((0, 4)), values, np.zeros((2, 0, 2)), pair, pair.astype(np.int64)),
            *(np.zeros((2, 0, 4)), pair, pair, np.zeros(classes, dtype=np.int64)),
        )


@torch.no_grad()
def apart(points: Points, scores: Float[Tensor, "P C"], boxes: Float[Tensor, "P 4"], target: Target) -> Apart:
    """The two points of each object of a picture.

    Args:
        points: where the detector looked.
        scores: what it said there of each class; 0 in the padding.
        boxes: what it predicted there, in pixels of the batch.
        target: the objects.
    """
    boxes = clip_boxes_to_image(boxes, target.size)
    iou = box_iou(target.boxes.to(boxes), boxes)
    inside = distances(points.xy[None], target.boxes[:, None]).min(dim=-1).values > 0
    mine = inside & _own(iou, target.labels)
    mine = torch.where(mine.any(dim=1, keepdim=True), mine, inside)
    has = inside.any(dim=1)
    score = scores.T[target.labels]
    rows = torch.arange(len(target.labels), device=iou.device)
    masked = [values.nan_to_num(0.0).masked_fill(~mine, -1.0) for values in (score, iou)]
    best = torch.stack([values.argmax(dim=1) for values in masked])[:, has]
    rows = rows[has]
    x, y = target.scale
    return Apart(
        image_id=np.full(len(rows), target.image_id, dtype=np.int64),
        number=_numbers(rows),
        label=_numbers(target.labels[has]),
        box=_values(target.boxes[has]),
        area=_values(area(target.boxes[has])) / (x * y),
        xy=_values(points.xy[best]),
        stride=_values(points.stride[best]),
        level=_numbers(points.level[best]),
        boxes=_values(boxes[best]),
        score=_values(score[rows, best]),
        iou=_values(iou[rows, best]),
        without=np.bincount(_numbers(target.labels[~has]), minlength=scores.shape[1]),
    )


def _own(iou: Float[Tensor, "M P"], labels: Tensor) -> Bool[Tensor, "M P"]:
    """Which points overlap no other object of the class more."""
    most = torch.zeros_like(iou)
    for label in labels.unique().tolist():
        same = labels == label
        most[same] = iou[same].max(dim=0).values
    return iou >= most


def groups(found: Apart, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Shares of the objects at each distance: of all, by COCO's sizes, and by class; only groups with objects."""
    chosen = {size: (found.area >= low) & (found.area <= high) for size, (low, high) in AREAS.items()}
    chosen |= {f"class {name}": found.label == label for label, name in enumerate(names)}
    return {name: _group(found, rows) for name, rows in chosen.items() if rows.any()}


def _group(found: Apart, rows: Bool[np.ndarray, " M"]) -> dict[str, Any]:
    strides, levels = found.strides[rows], found.levels[rows]
    # Points of two levels may lie at one place: a distance of 0 does not yet say that they are one point.
    place = np.where((strides == 0) & (levels > 0), 1, np.searchsorted(STRIDES, strides))
    by_distance = np.bincount(place, minlength=len(DISTANCES)) / len(strides)
    by_level = np.bincount(levels.clip(max=len(LEVELS) - 1), minlength=len(LEVELS)) / len(levels)
    return {
        "objects": int(rows.sum()),
        "mean_strides": float(strides.mean()),
        "lost_iou": float(found.lost[rows].mean()),
        "strides": dict(zip(DISTANCES, by_distance.tolist(), strict=True)),
        "levels": dict(zip(LEVELS, by_level.tolist(), strict=True)),
    }


def _values(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().double().numpy()


def _numbers(tensor: Tensor) -> np.ndarray:
    return tensor.cpu().long().numpy()
