"""What of a set can be repaired in one way: which boxes are plain, where they are cut, how large a picture is."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from mmmc.data import headers
from mmmc.data.check.kinds import SOME
from mmmc.data.formats import Raw, RawBox
from mmmc.data.formats.assemble import faults_of
from mmmc.data.sets import TOLERANCE, Fault

Place = tuple[float, float, float, float]
"""`x y width height` in pixels."""

_WITHIN = 0.5
"""A box is cut if at least this share of it lies in its picture; of another nobody knows what was meant."""

_RESIZED = 0.02
"""A picture of the same shape whose sides differ by more than this share was resized, and its boxes with it or not."""


def in_doubt(raw: Raw) -> set[tuple[Path, str]]:
    """File and place of the bad boxes that can be repaired in more than one way.

    An inverted box may be one whose corners were swapped. One that lies outside for the most part, or one of many that
    leave their pictures, may be written in another way than it is read: as corners, or in pixels.
    """
    boxes, faults = faults_of(raw)
    xywh = np.array([box.xywh for box in raw.boxes], dtype=np.float64).reshape(-1, 4)
    known = np.array([raw.pictures[box.picture].size is not None for box in raw.boxes], dtype=bool)
    leaves = known & np.isin(faults, (Fault.OUTSIDE, Fault.REACHES_OUT, Fault.NOT_SHARES))
    within = np.prod(boxes[:, 2:].astype(np.float64) - boxes[:, :2], axis=1)
    with np.errstate(over="ignore"):
        mostly_outside = within < _WITHIN * np.prod(xywh[:, 2:], axis=1)
    doubted = (xywh[:, 2:] < 0).any(axis=1) | (leaves & (mostly_outside | (leaves.sum() > SOME * len(leaves))))
    return {(box.file, box.place) for box, doubt in zip(raw.boxes, doubted.tolist(), strict=True) if doubt}


def cut_to_picture(raw: Raw, box: RawBox) -> Place:
    """The box cut to its picture, as it was said to be."""
    size = raw.pictures[box.picture].size
    assert size is not None, "a box of a picture without a size has no such fault"
    x, y, width, height = box.xywh
    x1, x2 = (min(max(side, 0.0), size[1]) for side in (x, x + width))
    y1, y2 = (min(max(side, 0.0), size[0]) for side in (y, y + height))
    return x1, y1, x2 - x1, y2 - y1


def true_size(raw: Raw, file: Path) -> tuple[int, int] | None:
    """Height and width of a picture as displayed, if it is plain that they are meant.

    Not so where boxes do not fit, where the size said is that before EXIF's orientation, or is as high for its width:
    then the picture may have been turned or resized after its boxes were drawn.
    """
    header = headers.look_up(file.parent, [file.name])[0]
    place = next((k for k, picture in enumerate(raw.pictures) if picture.file == file), None)
    if not isinstance(header, headers.Header) or place is None:
        return None
    height, width = header.displayed
    said = raw.pictures[place].size
    if said is not None:
        scale = width / said[1]
        resized = abs(scale - 1) > _RESIZED and abs(said[0] * scale - height) <= 1
        if resized or (header.turned and said == (header.height, header.width)):
            return None
    finite = [box.xywh for box in raw.boxes if box.picture == place and all(map(math.isfinite, box.xywh))]
    fits = all(x + w <= width + TOLERANCE and y + h <= height + TOLERANCE for x, y, w, h in finite)
    return (height, width) if fits else None
