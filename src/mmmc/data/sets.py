"""A set of pictures and boxes, held as compact arrays with the ids of its COCO file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from mmmc.errors import InputError

TOLERANCE = 1.0
"""So many pixels a box may reach outside its picture through rounding."""


@dataclass(frozen=True)
class Categories:
    """Names and COCO ids of the classes, by class index. Ids ascend and may have gaps."""

    names: tuple[str, ...]
    ids: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.ids)

    def to_dict(self) -> dict[str, list[Any]]:
        """Plain lists, ready for a checkpoint or JSON."""
        return {"names": list(self.names), "ids": list(self.ids)}

    @classmethod
    def from_dict(cls, values: dict[str, list[Any]]) -> Categories:
        """The categories that `to_dict` was called on."""
        return cls(tuple(values["names"]), tuple(values["ids"]))


@dataclass(frozen=True)
class Objects:
    """Annotations of one picture, `x1 y1 x2 y2` in its pixels: objects, and crowd regions that are to be ignored."""

    boxes: Float32[np.ndarray, "M 4"]
    labels: Int64[np.ndarray, " M"]
    crowd: Float32[np.ndarray, "R 4"]


class Fault(IntEnum):
    """What is wrong with a box. `TRIMMED` and `NONE` are in order."""

    NONE = 0
    TRIMMED = 1
    NOT_FINITE = 2
    EMPTY = 3
    OUTSIDE = 4
    REACHES_OUT = 5
    NOT_SHARES = 6


FAULTS = {
    Fault.NOT_FINITE: "not four finite numbers",
    Fault.EMPTY: "without area",
    Fault.OUTSIDE: "outside the picture",
    Fault.REACHES_OUT: f"reaches outside the picture by more than {TOLERANCE:g} px",
    Fault.NOT_SHARES: "numbers outside 0..1",
}

FOLLOW = (
    "`mmmc data check` looks for what they have in common. Option bad_boxes takes `drop`, which leaves such boxes out, "
    "or `clip`, which cuts them to the picture; both list them"
)
"""What a refusal of boxes goes on with."""

CLIPPABLE = (Fault.REACHES_OUT, Fault.NOT_SHARES)
"""What may have area within its picture; the others can only be dropped."""


@dataclass(frozen=True)
class Repair:
    """A bad box and what was done about it. `box` is `x y width height` as in the file, NaN where no number stands."""

    file: Path
    annotation_id: int
    image_id: int
    box: tuple[float, float, float, float]
    fault: str
    action: Literal["dropped", "clipped"]


@dataclass(frozen=True, eq=False)
class CocoSet:
    """Pictures and their annotations, in the order of the file; annotations stand together by picture.

    Attributes:
        annotations: the file it was read from.
        images: the folder of the pictures.
        categories: class index, name and COCO id.
        image_ids: the picture's id in the file.
        names: file names, relative to `images`.
        heights: of the pictures as displayed, in pixels.
        widths: likewise.
        offsets: annotations of picture `i` are `offsets[i]` up to `offsets[i + 1]`.
        annotation_ids: the annotation's id in the file.
        xywh: box as in the file.
        labels: class index.
        areas: as in the file, width times height where it has none.
        crowds: whether it is a region with objects that are not told apart.
        boxes: `x1 y1 x2 y2` cut to the picture.
        faults: a `Fault` each.
        used: whether `boxes` is fit for training.
        crowd: whether crowd regions are to be ignored, or are background like any other place.
        notes: what the reader took otherwise than it is written, a sentence each.
    """

    annotations: Path
    images: Path
    categories: Categories
    image_ids: Int64[np.ndarray, " n"]
    names: tuple[str, ...]
    heights: Int64[np.ndarray, " n"]
    widths: Int64[np.ndarray, " n"]
    offsets: Int64[np.ndarray, " n+1"]
    annotation_ids: Int64[np.ndarray, " m"]
    xywh: Float64[np.ndarray, "m 4"]
    labels: Int64[np.ndarray, " m"]
    areas: Float64[np.ndarray, " m"]
    crowds: Bool[np.ndarray, " m"]
    boxes: Float32[np.ndarray, "m 4"]
    faults: UInt8[np.ndarray, " m"]
    used: Bool[np.ndarray, " m"]
    crowd: Literal["ignore", "background"]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)

    def file(self, i: int) -> Path:
        """Path of picture `i`."""
        return self.images / self.names[i]

    def size(self, i: int) -> tuple[int, int]:
        """Height and width of picture `i` as displayed, in pixels."""
        return int(self.heights[i]), int(self.widths[i])

    def image_id(self, i: int) -> int:
        """COCO id of picture `i`."""
        return int(self.image_ids[i])

    def objects(self, i: int) -> Objects:
        """What training sees in picture `i`, in its pixels. Crowd regions are never among the objects."""
        start, end = self.offsets[i], self.offsets[i + 1]
        boxes, crowds, used = self.boxes[start:end], self.crowds[start:end], self.used[start:end]
        ignored = used & crowds & (self.crowd == "ignore")
        return Objects(
            boxes=boxes[used & ~crowds],
            labels=self.labels[start:end][used & ~crowds],
            crowd=boxes[ignored],
        )

    @property
    def trimmed(self) -> int:
        """Boxes that reached outside their picture by at most one pixel and were cut to it."""
        return int((self.faults == Fault.TRIMMED).sum())

    @property
    def repairs(self) -> list[Repair]:
        """All bad boxes, with what was done about each."""
        pictures = self._pictures()
        return [
            Repair(
                file=self.annotations,
                annotation_id=int(self.annotation_ids[k]),
                image_id=int(self.image_ids[pictures[k]]),
                box=tuple(self.xywh[k].tolist()),
                fault=FAULTS[Fault(self.faults[k])],
                action="clipped" if self.used[k] else "dropped",
            )
            for k in np.flatnonzero(self.faults > Fault.TRIMMED)
        ]

    def subset(self, indices: Sequence[int] | Int64[np.ndarray, " _"]) -> CocoSet:
        """These pictures with their annotations, in the order given; a ValueError if one is named twice."""
        chosen = np.arange(len(self))[np.asarray(indices, dtype=np.int64)]
        if len(np.unique(chosen)) < len(chosen):
            raise ValueError("A subset cannot hold a picture twice.")
        counts = np.diff(self.offsets)[chosen]
        offsets = np.append(0, counts.cumsum())
        # The picture's first annotation here and there differ by a constant: add it to the places here.
        rows = np.arange(offsets[-1]) + np.repeat(self.offsets[chosen] - offsets[:-1], counts)
        by_image = {name: getattr(self, name)[chosen] for name in ("image_ids", "heights", "widths")}
        columns = ("annotation_ids", "xywh", "labels", "areas", "crowds", "boxes", "faults", "used")
        by_annotation = {name: getattr(self, name)[rows] for name in columns}
        return replace(self, names=tuple(self.names[i] for i in chosen), offsets=offsets, **by_image, **by_annotation)

    def holdout(self, fraction: float = 0.2) -> tuple[CocoSet, CocoSet]:
        """Split into a part to train on and a part held out, each of at least one picture.

        Who is held out depends on the file names alone (those whose SHA-256 comes first), so it is the same on every
        machine and in every order of the file.

        Raises:
            InputError: the fraction is not between 0 and 1, or there are fewer than two pictures to split.
        """
        if not 0 < fraction < 1:
            raise InputError(f"The fraction to hold out is {fraction}. Allowed: a number between 0 and 1.")
        if len(self) < 2:
            raise InputError(f"{self.annotations}: {len(self)} picture cannot be split. Allowed: at least 2.")
        ranked = sorted(range(len(self)), key=lambda i: hashlib.sha256(os.fsencode(self.names[i])).digest())
        held = min(max(round(fraction * len(self)), 1), len(self) - 1)
        return self.subset(sorted(ranked[held:])), self.subset(sorted(ranked[:held]))

    def to_coco(self) -> dict[str, Any]:
        """A COCO dictionary to score against: ids, boxes and areas as in the file.

        Bad boxes are in it, as objects that nobody can find; only boxes that are not four finite numbers are left
        out, because pycocotools takes NaN for a hit.
        """
        finite = np.flatnonzero(self.faults != Fault.NOT_FINITE)
        columns = {
            "id": self.annotation_ids[finite],
            "image_id": self.image_ids[self._pictures()[finite]],
            "category_id": np.array(self.categories.ids, dtype=np.int64)[self.labels[finite]],
            "bbox": self.xywh[finite],
            "area": self.areas[finite],
            "iscrowd": self.crowds[finite].astype(np.int64),
        }
        images = zip(self.image_ids.tolist(), self.names, self.widths.tolist(), self.heights.tolist(), strict=True)
        return {
            "images": [dict(zip(("id", "file_name", "width", "height"), image, strict=True)) for image in images],
            "annotations": [
                dict(zip(columns, row, strict=True))
                for row in zip(*(column.tolist() for column in columns.values()), strict=True)
            ],
            "categories": [
                {"id": id, "name": name} for id, name in zip(self.categories.ids, self.categories.names, strict=True)
            ],
        }

    def _pictures(self) -> Int64[np.ndarray, " m"]:
        """Index of the picture of every annotation."""
        return np.repeat(np.arange(len(self)), np.diff(self.offsets))
