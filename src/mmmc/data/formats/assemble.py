"""From a part as it is written to a set, or to the error that names what is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from mmmc.data.coco import fit, judge
from mmmc.data.formats.protocol import Flaw, Raw, RawBox
from mmmc.data.sets import FAULTS, FOLLOW, Categories, CocoSet, Fault
from mmmc.errors import InputError

_SHOWN = 5


def assemble(
    raw: Raw, *, bad_boxes: Literal["error", "drop", "clip"], crowd: Literal["ignore", "background"]
) -> CocoSet:
    """The set that a part says, with ids counted from 1 in the order in which the part is written.

    Args:
        raw: with a size for every picture, unless it has flaws.
        bad_boxes, crowd: as in `read_coco`.

    Raises:
        InputError: names the first few flaws of the first kind, or the first few bad boxes.
    """
    refuse(raw.flaws)
    source = raw.source
    sizes = np.array([picture.size for picture in raw.pictures], dtype=np.int64).reshape(-1, 2)
    places = np.array([box.picture for box in raw.boxes], dtype=np.int64)
    xywh = np.array([box.xywh for box in raw.boxes], dtype=np.float64).reshape(-1, 4)
    boxes, faults = faults_of(raw)
    if bad_boxes == "error":
        _refuse_boxes(raw, faults, sizes)
    order = np.argsort(places, kind="stable")
    return CocoSet(
        annotations=source.annotations,
        images=source.images,
        categories=Categories(raw.names, raw.ids),
        image_ids=np.arange(1, len(raw.pictures) + 1),
        names=tuple(picture.name for picture in raw.pictures),
        heights=sizes[:, 0],
        widths=sizes[:, 1],
        offsets=np.append(0, np.bincount(places, minlength=len(sizes)).cumsum()),
        annotation_ids=np.arange(1, len(raw.boxes) + 1),
        xywh=xywh[order],
        labels=np.array([box.label for box in raw.boxes], dtype=np.int64)[order],
        areas=xywh[order, 2] * xywh[order, 3],
        crowds=np.array([box.crowd for box in raw.boxes], dtype=bool)[order],
        boxes=boxes[order],
        faults=faults[order],
        used=fit(boxes, faults, bad_boxes)[order],
        crowd=crowd,
        notes=raw.notes,
    )


def faults_of(raw: Raw) -> tuple[np.ndarray, np.ndarray]:
    """The boxes `x1 y1 x2 y2` cut to their pictures, and the `Fault` of each."""
    xywh = np.array([box.xywh for box in raw.boxes], dtype=np.float64).reshape(-1, 4)
    sizes = [raw.pictures[box.picture].size or (0, 0) for box in raw.boxes]
    boxes, faults = judge(xywh, np.array([size[::-1] for size in sizes], dtype=np.int64).reshape(-1, 2))
    shares = np.array([box.shares for box in raw.boxes], dtype=bool)
    # Where a box of pixels lies says nothing as long as they are taken for shares.
    placed = ~np.isin(faults, (Fault.NOT_FINITE, Fault.EMPTY))
    return boxes, np.where(placed & ~shares, Fault.NOT_SHARES, faults).astype(np.uint8)


def refuse(flaws: Sequence[Flaw]) -> None:
    """Raise for the first kind of flaw: name the first few of them and say how many there are.

    Raises:
        InputError: there is a flaw.
    """
    if not flaws:
        return
    same = [flaw for flaw in flaws if (flaw.code, flaw.allowed) == (flaws[0].code, flaws[0].allowed)]
    if len(same) == 1:
        raise InputError(f"{same[0]}. Allowed: {same[0].allowed}.")
    lines = [f"  {flaw}" for flaw in same[:_SHOWN]]
    raise InputError(f"{len(same)} faults of a kind. Allowed: {same[0].allowed}.\n" + "\n".join([*lines, *_more(same)]))


def _refuse_boxes(raw: Raw, faults: np.ndarray, sizes: np.ndarray) -> None:
    bad = [(raw.boxes[k], Fault(faults[k])) for k in np.flatnonzero(faults > Fault.TRIMMED).tolist()]
    if not bad:
        return
    lines = [_line(box, fault, sizes[box.picture]) for box, fault in bad[:_SHOWN]]
    allowed = (
        "finite numbers in 0..1 (pixels are divided by the picture's width or height), width and height above 0"
        if raw.source.format == "yolo"
        else ("finite numbers, xmin < xmax and ymin < ymax, counted from 1")
    )
    raise InputError(
        f"{raw.source.annotations}: wrong boxes. Allowed: {allowed}, inside the picture. {FOLLOW}.\n"
        + "\n".join([*lines, *_more(bad)])
    )


def _line(box: RawBox, fault: Fault, size: np.ndarray) -> str:
    return f"  {box.file}, {box.place}: {box.text}: {FAULTS[fault]}; the picture has {size[1]} × {size[0]} px"


def _more(faults: Sequence[object]) -> list[str]:
    return [f"  … {len(faults)} in all"] if len(faults) > _SHOWN else []
