"""What AP would be if score and box agreed: four oracles, none of which can fall below plain AP (docs/diagnose.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from mmmc.misalignment.arrays import Boxes, Overlaps, Truth, overlaps
from mmmc.misalignment.curve import average_precision, by_class, top_precision
from mmmc.misalignment.flags import MOST, SIZES, THRESHOLDS, Flags, Verdicts

TOUCH = 0.1
"""Least overlap of a false positive with the object that it is moved to; TIDE's border to the background."""

PLAIN = "plain"
ORACLES = {
    "alignment": "alignment oracle",
    "box": "box oracle",
    "score": "score oracle",
    "ceiling": "ranking ceiling",
}
"""Names of the oracles, and what they are called in texts."""

NEED_BEFORE = ("alignment", "ceiling")
"""Oracles that look at boxes before suppression."""


@dataclass(frozen=True, eq=False)
class Costs:
    """AP with and without oracles.

    Attributes:
        names: of the classes.
        ap: for `plain` and each oracle that could be had, AP as a fraction by size (`SIZES`), IoU threshold
            (`THRESHOLDS`) and class; NaN without objects.
    """

    names: tuple[str, ...]
    ap: Mapping[str, Float64[np.ndarray, "S T C"]]

    def total(self, kind: str, size: str = "all") -> float:
        """COCO's AP of a size: the mean over thresholds and classes with objects; NaN without any."""
        return _mean(self.ap[kind][SIZES.index(size)])

    def at(self, kind: str, threshold: int) -> float:
        """AP of all sizes at one of the thresholds."""
        return _mean(self.ap[kind][0, threshold])

    def of_class(self, kind: str, label: int) -> float:
        """AP of a class, over all sizes and thresholds."""
        return _mean(self.ap[kind][0, :, label])

    def gain(self, kind: str, size: str = "all") -> float:
        """What an oracle adds to the AP of a size."""
        return self.total(kind, size) - self.total(PLAIN, size)

    def class_gain(self, kind: str, label: int) -> float:
        """What an oracle adds to the AP of a class."""
        return self.of_class(kind, label) - self.of_class(PLAIN, label)

    def to_dict(self) -> dict[str, Any]:
        """Plain values; NaN where there is nothing to measure."""
        return {
            kind: {
                "AP": self.total(kind),
                "by_size": {size: self.total(kind, size) for size in SIZES[1:]},
                "by_class": {name: self.of_class(kind, label) for label, name in enumerate(self.names)},
                "by_threshold": {f"{t:.2f}": self.at(kind, place) for place, t in enumerate(THRESHOLDS)},
            }
            for kind in self.ap
        }


def costs(boxes: Boxes, truth: Truth, verdicts: Verdicts, pairs: Overlaps, before: Boxes | None) -> Costs:
    """AP of every oracle at every threshold, for every size and class.

    Args:
        boxes: detections, at most `MOST` of each picture and class.
        truth: the objects.
        verdicts: COCO's, of these detections.
        pairs: overlaps of detections and objects.
        before: boxes before suppression, or None where nobody kept them.
    """
    rows, rank = by_class(boxes.label, boxes.score, len(truth.names))
    candidates = _candidates(boxes, truth, pairs, rank)
    support = None if before is None else _Support.of(before, truth)
    kinds = (PLAIN, *(kind for kind in ORACLES if support is not None or kind not in NEED_BEFORE))
    found = {kind: np.full((len(SIZES), len(THRESHOLDS), len(truth.names)), np.nan) for kind in kinds}
    for s, size in enumerate(SIZES):
        for t, threshold in enumerate(THRESHOLDS):
            flags = verdicts(threshold, size)
            objects = np.bincount(truth.label[flags.counted], minlength=len(truth.names))
            verdict = {PLAIN: (flags.true, flags.ignored), "box": moved(flags, candidates, rank)}
            tops = {"score": np.bincount(boxes.label[flags.true], minlength=len(truth.names))}
            if support is not None:
                verdict["alignment"] = moved(flags, candidates, rank, support.best >= threshold)
                # Boxes from another file may lack what the detections have.
                tops["ceiling"] = np.maximum(support.matched(truth, threshold, flags.counted), tops["score"])
            for label in range(len(truth.names)):
                for kind, (true, left_out) in verdict.items():
                    own = rows[label][~left_out[rows[label]]]
                    found[kind][s, t, label] = average_precision(true[own], int(objects[label]))
                for kind, count in tops.items():
                    found[kind][s, t, label] = top_precision(int(count[label]), int(objects[label]))
    return Costs(truth.names, found)


def moved(
    flags: Flags,
    candidates: Overlaps,
    rank: Int64[np.ndarray, " N"],
    supported: Bool[np.ndarray, " M"] | None = None,
) -> tuple[Bool[np.ndarray, " N"], Bool[np.ndarray, " N"]]:
    """The two moves of the alignment and box oracles, the best-scored detection first.

    A false positive becomes true for the object that it overlaps most among those that no other was moved to and that
    are either missed or found by a detection of lower score; that detection is then left out.

    Args:
        flags: COCO's verdict.
        candidates: overlaps of one class of at least `TOUCH`, by rank of the detection, the greatest overlap first.
        rank: place of each detection in the order of scores.
        supported: missed objects that may be given away; all if None.

    Returns:
        Which detections are true then, and which do not count: those left out and those that COCO ignores.
    """
    finder = flags.finder()
    free = flags.counted if supported is None else flags.counted & (supported | (finder >= 0))
    candidates = candidates[np.flatnonzero(flags.false[candidates.box] & free[candidates.object])]
    lower = finder[candidates.object]
    candidates = candidates[np.flatnonzero((lower < 0) | (rank[candidates.box] < rank[lower]))]
    true, left_out = flags.true.copy(), flags.ignored.copy()
    used: set[int] = set()
    given: set[int] = set()
    for box, object in zip(candidates.box.tolist(), candidates.object.tolist(), strict=True):
        if box not in used and object not in given:
            used.add(box)
            given.add(object)
    winners = np.array(sorted(given), dtype=np.int64)
    true[np.array(sorted(used), dtype=np.int64)] = True
    replaced = finder[winners]
    true[replaced[replaced >= 0]] = False
    left_out[replaced[replaced >= 0]] = True
    return true, left_out


def _candidates(boxes: Boxes, truth: Truth, pairs: Overlaps, rank: Int64[np.ndarray, " N"]) -> Overlaps:
    """Pairs of one class that a move may join, in the order in which moves are made."""
    kept = (pairs.iou >= TOUCH) & (boxes.label[pairs.box] == truth.label[pairs.object]) & ~truth.crowd[pairs.object]
    pairs = pairs[np.flatnonzero(kept)]
    return pairs[np.lexsort((-pairs.iou, rank[pairs.box]))]


@dataclass(frozen=True, eq=False)
class _Support:
    """Which boxes before suppression are good enough for which object of their class.

    Attributes:
        pairs: overlaps of at least the lowest threshold, without crowd regions.
        best: greatest overlap of each object.
        boxes: their number.
    """

    pairs: Overlaps
    best: Float64[np.ndarray, " M"]
    boxes: int

    @classmethod
    def of(cls, before: Boxes, truth: Truth) -> _Support:
        pairs = overlaps(before, truth, THRESHOLDS[0], same_class=True)
        pairs = pairs[np.flatnonzero(~truth.crowd[pairs.object])]
        best = np.zeros(len(truth))
        np.maximum.at(best, pairs.object, pairs.iou)
        return cls(pairs, best, len(before))

    def matched(self, truth: Truth, threshold: float, counted: Bool[np.ndarray, " M"]) -> Int64[np.ndarray, " C"]:
        """Objects of each class in a largest one-to-one matching, at most `MOST` of a picture and class."""
        kept = (self.pairs.iou >= threshold) & counted[self.pairs.object]
        pairs = self.pairs[np.flatnonzero(kept)]
        shape = (len(truth), self.boxes)
        graph = csr_array((np.ones(len(pairs), dtype=bool), (pairs.object, pairs.box)), shape=shape)
        found = np.flatnonzero(maximum_bipartite_matching(graph, perm_type="column") >= 0)
        groups, sizes = np.unique(truth.picture[found] * len(truth.names) + truth.label[found], return_counts=True)
        return np.bincount(groups % len(truth.names), weights=sizes.clip(max=MOST), minlength=len(truth.names)).astype(
            np.int64
        )


def _mean(values: np.ndarray) -> float:
    return float(values[~np.isnan(values)].mean()) if not np.isnan(values).all() else float("nan")
