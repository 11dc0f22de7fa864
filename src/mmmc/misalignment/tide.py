"""What each kind of error costs: TIDE (Bolya, Foley, Hays and Hoffman, ECCV 2020), for boxes.

A detection that finds nothing is one error: box, class, duplicate or background, whichever fits first, else both. An
object that nothing found and that no class or box error is about is missed. What a kind costs is the AP that mending
all errors of this kind alone would add, so the costs do not add up. Mending makes the best-scored class or box error of
an object true and takes the others away; of the other kinds it takes the detections away, and missed objects are no
longer asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int64

from mmmc.misalignment.arrays import Boxes, Overlaps, Truth
from mmmc.misalignment.curve import average_precision, by_class
from mmmc.misalignment.flags import Flags

FOREGROUND, BACKGROUND = 0.5, 0.1
"""IoU of a hit, and IoU up to which a detection lies on the background."""

KINDS = {
    "class": "the box is right, the class is wrong",
    "box": "the class is right, the box overlaps too little",
    "both": "class and box are wrong",
    "duplicate": "another detection of better score has the object",
    "background": "nothing is there",
    "missed": "an object that nothing found, and that no class or box error is about",
}
"""Kinds of errors, and what they mean."""

MOST = 100
"""Detections of a picture that TIDE looks at."""

_RECALLS = np.arange(101) / 100


@dataclass(frozen=True)
class Tide:
    """Costs of the six kinds.

    Attributes:
        AP50: TIDE's AP at IoU 0.5 as a fraction. A class that is found although no object has it counts as 0.
        costs: AP at IoU 0.5, as a fraction, that mending each kind alone would add.
        counts: errors of each kind.
    """

    AP50: float
    costs: Mapping[str, float]
    counts: Mapping[str, int]


def tide(boxes: Boxes, truth: Truth, flags: Flags, pairs: Overlaps) -> Tide:
    """The costs of all errors.

    Detections that COCO ignores because they lie in a crowd region are no errors and count for nothing.

    Args:
        boxes: detections.
        truth: the objects.
        flags: COCO's verdict on the detections at IoU `FOREGROUND`, all sizes.
        pairs: overlaps of detections and objects of any classes.
    """
    # Later detections change no verdict on earlier ones, so those beyond TIDE's number are simply left out.
    kept = boxes.first(MOST) & ~flags.ignored
    errors = _errors(boxes, truth, flags, pairs, kept)
    plain = _ap(boxes, truth, boxes.label, flags.true, kept, flags.counted)
    costs = {}
    for kind, mended in errors.mended(boxes, truth).items():
        label, true, gone, asked = mended
        after = _ap(boxes, truth, label, flags.true | true, kept & ~gone, flags.counted & asked)
        costs[kind] = max(after - plain, 0.0)
    return Tide(plain, costs, {kind: int(rows.sum()) for kind, rows in errors.of.items()})


@dataclass(frozen=True, eq=False)
class _Errors:
    """Which detections (of `missed`: which objects) are errors of each kind.

    Attributes:
        of: by kind.
        about: of each class or box error the object that it is about.
        best: those of them that mending makes true.
    """

    of: Mapping[str, Bool[np.ndarray, " _"]]
    about: Int64[np.ndarray, " N"]
    best: Bool[np.ndarray, " N"]

    def mended(self, boxes: Boxes, truth: Truth) -> dict[str, tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """For each kind the labels, what becomes true, what goes, and the objects that are asked for."""
        nothing, everything = np.zeros(len(boxes), dtype=bool), np.ones(len(truth), dtype=bool)
        found = {}
        for kind, wrong in self.of.items():
            if kind == "missed":
                found[kind] = (boxes.label, nothing, nothing, ~wrong)
                continue
            true = wrong & self.best if kind in ("class", "box") else nothing
            label = np.where(true, truth.label[self.about], boxes.label) if true.any() else boxes.label
            found[kind] = (label, true, wrong & ~true, everything)
        return found


def _errors(boxes: Boxes, truth: Truth, flags: Flags, pairs: Overlaps, kept: Bool[np.ndarray, " N"]) -> _Errors:
    pairs = pairs[np.flatnonzero(~truth.crowd[pairs.object])]
    same = boxes.label[pairs.box] == truth.label[pairs.object]
    taken = np.zeros(len(truth), dtype=bool)
    taken[flags.object[kept & flags.true]] = True
    own, own_object = _greatest(pairs, same, len(boxes))
    other, other_object = _greatest(pairs, ~same, len(boxes))
    used, _ = _greatest(pairs, same & taken[pairs.object], len(boxes))
    rest = kept & flags.false
    of: dict[str, Bool[np.ndarray, " _"]] = {}
    for kind, fits in (
        ("box", (own >= BACKGROUND) & (own <= FOREGROUND)),
        ("class", other >= FOREGROUND),
        ("duplicate", used >= FOREGROUND),
        ("background", np.maximum(own, other) <= BACKGROUND),
        ("both", np.ones(len(boxes), dtype=bool)),
    ):
        of[kind] = rest & fits
        rest = rest & ~fits
    about = np.where(of["box"], own_object, other_object)
    order = np.argsort(-boxes.score, kind="stable")
    claims = order[(of["box"] | of["class"])[order]]
    claims = claims[~taken[about[claims]]]
    objects, first = np.unique(about[claims], return_index=True)
    best = np.zeros(len(boxes), dtype=bool)
    best[claims[first]] = True
    of["missed"] = flags.counted & ~taken
    of["missed"][objects] = False
    return _Errors({kind: of[kind] for kind in KINDS}, about, best)


def _greatest(
    pairs: Overlaps, chosen: Bool[np.ndarray, " K"], boxes: int
) -> tuple[np.ndarray, Int64[np.ndarray, " N"]]:
    """The greatest overlap of each box among chosen pairs, and its object; 0 and any object where there is none."""
    pairs = pairs[np.flatnonzero(chosen)]
    iou, object = np.zeros(boxes), np.zeros(boxes, dtype=np.int64)
    # The last one written stays: the greatest, of equals the first object.
    order = np.lexsort((-pairs.object, pairs.iou))
    iou[pairs.box[order]], object[pairs.box[order]] = pairs.iou[order], pairs.object[order]
    return iou, object


def _ap(
    boxes: Boxes,
    truth: Truth,
    label: Int64[np.ndarray, " N"],
    true: Bool[np.ndarray, " N"],
    kept: Bool[np.ndarray, " N"],
    counted: Bool[np.ndarray, " M"],
) -> float:
    """Mean over the classes that have objects or detections."""
    rows, _ = by_class(label, boxes.score, len(truth.names))
    objects = np.bincount(truth.label[counted], minlength=len(truth.names))
    values = []
    for own, asked in zip(rows, objects.tolist(), strict=True):
        own = own[kept[own]]
        if asked:
            values.append(average_precision(true[own], asked, _RECALLS))
        elif len(own):
            values.append(0.0)
    return float(np.mean(values)) if values else 0.0
