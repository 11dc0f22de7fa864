"""Everything that a run's report says of a set, found by looking at each picture once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from mmmc.data.coco import CocoSet
from mmmc.evaluate import Scores, score
from mmmc.misalignment import Boxes, Diagnosis, Truth
from mmmc.misalignment.apart import Apart
from mmmc.misalignment.arrays import overlaps
from mmmc.misalignment.confusion import Confusion, confusion
from mmmc.misalignment.flags import MOST, Flags, Verdicts
from mmmc.misalignment.look import look
from mmmc.misalignment.tide import FOREGROUND
from mmmc.misalignment.working import Working, working
from mmmc.predictor import Predictor
from mmmc.report.run import diagnosed
from mmmc.structures import Batch
from mmmc.thresholds import Threshold, best_thresholds


@dataclass(frozen=True, eq=False)
class Findings:
    """What a detector found on a set, and what COCO makes of it at IoU 0.5.

    Attributes:
        scores: COCO's numbers.
        best: the score threshold of the best F1 of each class.
        working: F1 over the score threshold.
        confusion: at the threshold of the best F1 of all.
        diagnosis: what is lost.
        apart: the two points of each object.
        boxes: detections that COCO looks at.
        truth: the objects.
        flags: COCO's verdicts on the detections.
    """

    scores: Scores
    best: dict[int, Threshold]
    working: Working
    confusion: Confusion
    diagnosis: Diagnosis
    apart: Apart
    boxes: Boxes
    truth: Truth
    flags: Flags

    @property
    def threshold(self) -> float:
        """Least score of what the report draws and counts."""
        return self.confusion.threshold

    def false_positives(self, count: int) -> Int64[np.ndarray, " _"]:
        """Rows of the detections that found nothing, the best score first; none below the threshold."""
        rows = np.flatnonzero(self.flags.false & (self.boxes.score >= self.threshold))
        return rows[np.argsort(-self.boxes.score[rows], kind="stable")][:count]

    def misses(self, count: int) -> Int64[np.ndarray, " _"]:
        """Rows of the objects that no detection of the threshold's score or more found, the largest first."""
        rows = np.flatnonzero(self.flags.counted & ~self._found())
        return rows[np.argsort(-self.truth.area[rows], kind="stable")][:count]

    def ranked(self) -> tuple[Int64[np.ndarray, " _"], Float64[np.ndarray, " _"]]:
        """Pictures with something to find or found, the best F1 first and of equals the one with more objects; and F1.

        The F1 is that of all detections of the threshold's score or more.
        """
        pictures = len(self.truth.image_ids)
        confident = (self.boxes.score >= self.threshold) & ~self.flags.ignored
        kept = np.bincount(self.boxes.picture[confident], minlength=pictures)
        hits = np.bincount(self.truth.picture[self._found()], minlength=pictures)
        objects = np.bincount(self.truth.picture[self.flags.counted], minlength=pictures)
        some = np.flatnonzero(kept + objects)
        f1 = 2 * hits[some] / (kept + objects)[some]
        # Of pictures without any hit, too, more objects are more: they are the worst.
        order = np.lexsort((np.where(f1 > 0, -objects[some], objects[some]), -f1))
        return some[order], f1[order]

    def _found(self) -> np.ndarray:
        found = np.zeros(len(self.truth), dtype=bool)
        found[self.flags.object[self.flags.true & (self.boxes.score >= self.threshold)]] = True
        return found


def find(predictor: Predictor, pictures: CocoSet, batches: Iterable[Batch], path: Path) -> Findings:
    """Detect on a set and measure.

    Args:
        predictor: of the run.
        pictures: the set.
        batches: its pictures as they are scored.
        path: the run's folder; its journal says what labels did in training.
    """
    ground_truth = pictures.to_coco()
    truth = Truth.from_coco(ground_truth)
    seen = look(predictor, truth, batches)
    boxes = Boxes.from_coco(seen.results, truth)
    boxes = boxes[boxes.first(MOST, by_class=True)]
    flags = Verdicts(boxes, truth, overlaps(boxes, truth))(FOREGROUND)
    at_work = working(boxes, truth, flags)
    return Findings(
        scores=score(ground_truth, seen.results),
        best=best_thresholds(ground_truth, seen.results, FOREGROUND),
        working=at_work,
        confusion=confusion(boxes, truth, flags, at_work.best(), FOREGROUND),
        diagnosis=diagnosed(ground_truth, seen, predictor.recipe, path),
        apart=seen.apart,
        boxes=boxes,
        truth=truth,
        flags=flags,
    )
