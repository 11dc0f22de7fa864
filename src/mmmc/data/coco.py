"""Sets in COCO's format: read, checked, held as compact arrays.

What the reader does with boxes:

- A box that is not four finite numbers, has no area, lies outside its picture or reaches outside by more than
  one pixel is *bad*. `bad_boxes` says whether to refuse the file, to drop such boxes from training, or to clip
  them to the picture (what has no area afterwards is dropped). `CocoSet.repairs` lists them.
- A box that reaches outside by at most one pixel was rounded by the tool that wrote it. It is trimmed to the
  picture and counted in `CocoSet.trimmed`; it is no fault.
- Scoring sees the file as it is, bad boxes included: `CocoSet.to_coco`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8

from mmmc.data import headers
from mmmc.data.fields import Rows, is_number, read_json
from mmmc.data.sets import CLIPPABLE, FAULTS, FOLLOW, TOLERANCE, Categories, CocoSet, Fault, Objects, Repair
from mmmc.errors import InputError

__all__ = ["Categories", "CocoSet", "Objects", "Repair", "check_agreement", "read_coco"]

MOST_PIXELS = 2**24
"""Largest width or height: above, float32 does not tell neighbouring pixels apart."""


def read_coco(
    annotations: Path | str,
    images: Path | str,
    *,
    bad_boxes: Literal["error", "drop", "clip"] = "error",
    crowd: Literal["ignore", "background"] = "ignore",
    check_headers: bool = True,
    require_objects: bool = True,
) -> CocoSet:
    """Read a file in COCO's format and check it.

    Category ids may have gaps; `segmentation`, `area` and `iscrowd` may be missing; pictures may have no objects.

    Args:
        annotations: the JSON file.
        images: folder that its file names start from.
        bad_boxes: refuse a file with bad boxes, leave them out of training, or clip them to the picture.
        crowd: ignore crowd regions in training, as COCO does, or train on them as background.
        check_headers: also check that every picture is there, is a picture, and has the size that the file says.
        require_objects: refuse a set without any object; not so for a list of pictures to predict.

    Raises:
        InputError: names file, field, value and what is allowed.
    """
    for option, value, allowed in (
        ("bad_boxes", bad_boxes, ("error", "drop", "clip")),
        ("crowd", crowd, ("ignore", "background")),
    ):
        if value not in allowed:
            raise InputError(f"Option {option} is {value!r}. Allowed: {', '.join(allowed)}.")
    file, folder = Path(annotations), Path(images)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such folder of pictures.")
    result = _parse(file, folder, bad_boxes, crowd)
    if check_headers:
        headers.check_headers(result)
    if require_objects and not (result.used & ~result.crowds).any():
        raise InputError(
            f"{file}: no object to train on. Annotations: {len(result.labels)}, "
            f"crowd regions: {int(result.crowds.sum())}, dropped boxes: {int((~result.used).sum())}. "
            "Allowed: at least one object."
        )
    return result


def check_agreement(train: CocoSet, val: CocoSet) -> CocoSet:
    """Check that two sets mean the same by their categories. Names decide, whatever their order and their ids.

    Returns:
        `val` with the categories, ids and class indices of `train`, whichever of them it holds. Where that changes the
        ids of a COCO file, a note says so: its results carry ids that the file itself gives to other classes.

    Raises:
        InputError: `val` has a name that `train` lacks; says which, and lists all names of both.
    """
    known = {name: index for index, name in enumerate(train.categories.names)}
    foreign = [name for name in val.categories.names if name not in known]
    if foreign:
        raise InputError(
            f"{val.annotations}: categories disagree with {train.annotations}. Allowed in val: the names of train, in"
            f" any order.\n  not in train: {_quoted(foreign)}\n  train: {_quoted(train.categories.names)}\n"
            f"  val: {_quoted(val.categories.names)}"
        )
    index = np.array([known[name] for name in val.categories.names], dtype=np.int64)
    notes = val.notes
    if val.annotations.suffix == ".json" and [train.categories.ids[place] for place in index] != [*val.categories.ids]:
        notes += (
            f"{val.annotations} has other category ids than {train.annotations}; the latter's are used, in results too",
        )
    return replace(val, categories=train.categories, labels=index[val.labels], notes=notes)


def _quoted(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _parse(
    file: Path, folder: Path, bad_boxes: Literal["error", "drop", "clip"], crowd: Literal["ignore", "background"]
) -> CocoSet:
    top = read_json(file)
    images = Rows.of(file, top, "images", "image")
    rows = Rows.of(file, top, "annotations", "annotation", required=False)
    categories = _categories(Rows.of(file, top, "categories", "category"))

    image_ids, names, size = _images(images)
    annotation_ids = rows.integers("id")
    rows.unique("id", annotation_ids.tolist())
    pictures = _places(rows, "image_id", image_ids, "the id of an image of the file")
    labels = _places(rows, "category_id", np.array(categories.ids, dtype=np.int64), "the id of a category of the file")
    crowds = rows.column("iscrowd", lambda value: type(value) is int and value in (0, 1), "0 or 1", default=0)
    xywh, boxes, faults = _boxes(rows, size[pictures], bad_boxes)
    order = np.argsort(pictures, kind="stable")
    return CocoSet(
        annotations=file,
        images=folder,
        categories=categories,
        image_ids=image_ids,
        names=names,
        heights=size[:, 1],
        widths=size[:, 0],
        offsets=np.append(0, np.bincount(pictures, minlength=len(names)).cumsum()),
        annotation_ids=annotation_ids[order],
        xywh=xywh[order],
        labels=labels[order],
        areas=_areas(rows, xywh, faults)[order],
        crowds=np.array(crowds, dtype=bool)[order],
        boxes=boxes[order],
        faults=faults[order],
        used=fit(boxes, faults, bad_boxes)[order],
        crowd=crowd,
    )


def _categories(rows: Rows) -> Categories:
    ids, names = rows.integers("id").tolist(), rows.column("name", is_text, "a name that is not empty")
    rows.unique("id", ids)
    rows.unique("name", names)
    if not ids:
        raise InputError(f"{rows.file}: field categories is an empty list. Allowed: at least one category.")
    ascending = sorted(zip(ids, names, strict=True))
    return Categories(tuple(name for _, name in ascending), tuple(id for id, _ in ascending))


def _images(rows: Rows) -> tuple[Int64[np.ndarray, " n"], tuple[str, ...], Int64[np.ndarray, "n 2"]]:
    """Ids, file names, widths and heights."""
    ids, names = rows.integers("id"), rows.column("file_name", is_text, "a name that is not empty")
    rows.unique("id", ids.tolist())
    rows.unique("file_name", names)
    allowed = f"an integer from 1 to {MOST_PIXELS}"
    sides = [rows.column(side, is_side, allowed) for side in ("width", "height")]
    if not names:
        raise InputError(f"{rows.file}: field images is an empty list. Allowed: at least one picture.")
    return ids, tuple(names), np.array(sides, dtype=np.int64).T


def _places(rows: Rows, field: str, ids: Int64[np.ndarray, " n"], allowed: str) -> Int64[np.ndarray, " m"]:
    """For each row the place in `ids` of the id that it names."""
    named, order = rows.integers(field), np.argsort(ids)
    places = order[np.searchsorted(ids, named, sorter=order).clip(max=len(ids) - 1)]
    rows.refuse(np.flatnonzero(ids[places] != named).tolist(), field, allowed)
    return places


def _boxes(
    rows: Rows, size: Int64[np.ndarray, "m 2"], bad_boxes: Literal["error", "drop", "clip"]
) -> tuple[Float64[np.ndarray, "m 4"], Float32[np.ndarray, "m 4"], UInt8[np.ndarray, " m"]]:
    """Boxes as in the file, boxes `x1 y1 x2 y2` cut to their pictures, and what is wrong with them."""
    nowhere = [float("nan")] * 4
    given = rows.column("bbox", lambda _: True, "four numbers x, y, width, height")
    xywh = np.array([box if is_box(box) else nowhere for box in given], dtype=np.float64).reshape(-1, 4)
    boxes, faults = judge(xywh, size)
    bad = np.flatnonzero(faults > Fault.TRIMMED).tolist() if bad_boxes == "error" else []
    rows.refuse(
        bad,
        "bbox",
        f"x, y, width, height, four finite numbers, width and height above 0, inside the picture. {FOLLOW}",
        [f"{FAULTS[Fault(faults[k])]} of {size[k][0]} × {size[k][1]} px" for k in bad],
    )
    return xywh, boxes, faults


def judge(
    xywh: Float64[np.ndarray, "m 4"], size: Int64[np.ndarray, "m 2"]
) -> tuple[Float32[np.ndarray, "m 4"], UInt8[np.ndarray, " m"]]:
    """The boxes as training would see them, and the first fault of each.

    All is measured in float32, so that a box found to have area has it in training too.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        corners = np.concatenate([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], axis=1).astype(np.float32)
        boxes = corners.clip(0, np.tile(size, 2).astype(np.float32))
        excess = np.abs(corners - boxes).max(axis=1)
    faults = np.select(
        [
            ~np.isfinite(xywh).all(axis=1),
            ~(corners[:, :2] < corners[:, 2:]).all(axis=1),
            ~(boxes[:, :2] < boxes[:, 2:]).all(axis=1),
            excess > TOLERANCE,
            excess > 0,
        ],
        [Fault.NOT_FINITE, Fault.EMPTY, Fault.OUTSIDE, Fault.REACHES_OUT, Fault.TRIMMED],
        Fault.NONE,
    )
    return boxes, faults.astype(np.uint8)


def fit(
    boxes: Float32[np.ndarray, "m 4"], faults: UInt8[np.ndarray, " m"], bad_boxes: Literal["error", "drop", "clip"]
) -> Bool[np.ndarray, " m"]:
    """Which boxes, cut to their pictures, training may use."""
    # Numbers outside 0..1 may lie anywhere, and leave nothing when they are cut.
    clippable = np.isin(faults, CLIPPABLE) & (boxes[:, :2] < boxes[:, 2:]).all(axis=1)
    return (faults <= Fault.TRIMMED) | ((bad_boxes == "clip") & clippable)


def _areas(rows: Rows, xywh: Float64[np.ndarray, "m 4"], faults: UInt8[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
    """Areas as in the file; width times height where there is none, or where a bad box has made it meaningless."""
    allowed = "a finite number, not negative; or no such field"
    given = rows.column("area", lambda value: value is None or is_number(value), allowed, default=None)
    areas = np.array([np.nan if area is None else area for area in given], dtype=np.float64)
    meaningless = ~(np.isfinite(areas) & (areas >= 0))
    absent = np.array([area is None for area in given], dtype=bool)
    rows.refuse(np.flatnonzero(meaningless & ~absent & (faults <= Fault.TRIMMED)).tolist(), "area", allowed)
    with np.errstate(over="ignore", invalid="ignore"):
        return np.where(meaningless, xywh[:, 2] * xywh[:, 3], areas)


def is_text(value: object) -> bool:
    """Whether this JSON value is a text that is not empty."""
    return type(value) is str and value != ""


def is_side(value: object) -> bool:
    """Whether this JSON value is a width or height in pixels."""
    return type(value) is int and 0 < value <= MOST_PIXELS


def is_box(value: object) -> bool:
    """Whether this JSON value is four numbers, NaN and infinity included."""
    return type(value) is list and len(value) == 4 and all(map(is_number, value))
