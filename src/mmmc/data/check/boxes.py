"""Faults of boxes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator

import numpy as np

from mmmc.data.check.findings import Finding
from mmmc.data.check.kinds import CROWDED, EXTREME, SAME, SOME
from mmmc.data.formats import Raw, RawBox
from mmmc.data.formats.assemble import faults_of
from mmmc.data.sets import TOLERANCE, Fault

_PLACES = (Fault.OUTSIDE, Fault.REACHES_OUT)
_CODES = {
    Fault.NOT_FINITE: "box-not-finite",
    Fault.EMPTY: "box-empty",
    Fault.OUTSIDE: "box-outside",
    Fault.REACHES_OUT: "box-reaches-out",
    Fault.NOT_SHARES: "number-not-share",
}


def box_findings(raw: Raw) -> Iterator[Finding]:
    """What is wrong with boxes one by one, and with the boxes of one picture."""
    _, faults = faults_of(raw)
    as_corners = _fit_as_corners(raw, faults)
    by_picture: dict[int, list[RawBox]] = {}
    for box, fault in zip(raw.boxes, faults.tolist(), strict=True):
        # Without a picture's size nothing can be said of its boxes; the picture is named already.
        if raw.pictures[box.picture].size is None and all(map(math.isnan, box.xywh)) == (raw.source.format == "yolo"):
            continue
        if fault > Fault.TRIMMED:
            hint = ""
            if fault == Fault.NOT_SHARES and _fits_as_pixels(raw, box):
                hint = "; as pixels it would lie in its picture"
            elif fault in _PLACES and as_corners:
                hint = "; as x1, y1, x2, y2 all boxes would lie in their pictures"
            yield _finding(raw, _CODES[Fault(fault)], box, f"{box.text}{hint}")
            continue
        by_picture.setdefault(box.picture, []).append(box)
        if box.crowd:
            yield _finding(raw, "crowd", box, box.text)
            continue
        _, _, width, height = box.xywh
        short, long = sorted((width, height))
        if short <= 1:
            yield _finding(raw, "box-tiny", box, f"{box.text}: {width:.3g} × {height:.3g} px")
        elif long > EXTREME * short:
            yield _finding(raw, "box-extreme", box, f"{box.text}: {width:.4g} × {height:.4g} px")
        if raw.source.format == "voc" and min(box.xywh[:2]) < 0:
            yield _finding(raw, "voc-off-by-one", box, box.text)
    for boxes in by_picture.values():
        yield from _together(raw, [box for box in boxes if not box.crowd])
    yield from _mixed(raw)
    if not any(not box.crowd for box in raw.boxes) and not raw.flaws:
        yield Finding("no-objects", raw.source.part, raw.source.annotations, "", "there is no object")


def _fits_as_pixels(raw: Raw, box: RawBox) -> bool:
    """Whether the numbers of a row of YOLO, taken for pixels, are a box in the picture."""
    size = raw.pictures[box.picture].size
    if size is None:
        return False
    x, y, width, height = np.array(box.xywh) / (size[1], size[0], size[1], size[0])
    inside = min(x, y) >= -TOLERANCE and x + width <= size[1] + TOLERANCE and y + height <= size[0] + TOLERANCE
    return bool(inside and min(width, height) >= 1)


def _fit_as_corners(raw: Raw, faults: np.ndarray) -> bool:
    """Whether many boxes of a COCO file leave their pictures and every box, taken for corners, would lie in its own."""
    if raw.source.format != "coco" or np.isin(faults, _PLACES).sum() <= SOME * len(faults):
        return False
    corners = np.array([box.xywh for box in raw.boxes])
    sizes = np.array([raw.pictures[box.picture].size or (0, 0) for box in raw.boxes])[:, ::-1]
    fit = (corners[:, :2] >= 0) & (corners[:, :2] < corners[:, 2:]) & (corners[:, 2:] <= sizes + TOLERANCE)
    return bool(fit.all())


def _together(raw: Raw, boxes: list[RawBox]) -> Iterator[Finding]:
    if len(boxes) > CROWDED:
        yield _finding(raw, "picture-crowded", boxes[0], f"{len(boxes)} objects", whole=True)
    xywh = np.array([box.xywh for box in boxes]).reshape(-1, 4)
    corners = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1)
    apart = np.abs(corners[:, None] - corners[None]).max(axis=2, initial=0)
    for later, earlier in np.argwhere(np.tril(apart <= SAME, -1)).tolist():
        one, other = boxes[earlier], boxes[later]
        if one.label == other.label:
            yield _finding(raw, "box-twice", other, f"{other.text}, as {one.place}")
        else:
            names = " and ".join(repr(_name(raw, box)) for box in (one, other))
            yield _finding(raw, "box-two-classes", other, f"{other.text}, as {one.place}: {names}")


def _mixed(raw: Raw) -> Iterator[Finding]:
    polygons = Counter(box.file for box in raw.boxes if box.corners)
    boxes = Counter(box.file for box in raw.boxes if not box.corners)
    whole = [file for file in polygons if file not in boxes]
    if whole:
        turned = sum(box.corners == 4 for box in raw.boxes if box.file not in boxes)
        value = f"{sum(polygons[file] for file in whole)} polygon rows in {len(whole)} files without box rows"
        four = f"; {turned} have four corners, as turned boxes do" if turned else ""
        yield Finding("rows-polygon", raw.source.part, whole[0], "", f"{value}{four}")
    for file in (file for file in polygons if file in boxes):
        value = f"{polygons[file]} polygon rows and {boxes[file]} box rows"
        yield Finding("rows-mixed", raw.source.part, file, "", value)


def _name(raw: Raw, box: RawBox) -> str:
    return raw.names[box.label] if box.label < len(raw.names) else str(box.label)


def _finding(raw: Raw, code: str, box: RawBox, value: str, whole: bool = False) -> Finding:
    picture = raw.pictures[box.picture]
    shown = None if whole or not all(map(math.isfinite, box.xywh)) else box.xywh
    said = value if raw.source.format == "voc" or picture.name in value else f"{value} ({picture.name})"
    place = "" if whole else box.place
    return Finding(code, raw.source.part, picture.file if whole else box.file, place, said, picture.file, shown)
