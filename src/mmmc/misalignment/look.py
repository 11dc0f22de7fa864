"""What the detector of a run says of a set: detections, boxes before suppression, and the two points of each object."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from mmmc.evaluate import to_results
from mmmc.misalignment.apart import Apart, apart
from mmmc.misalignment.arrays import Boxes, Truth, overlaps
from mmmc.misalignment.flags import THRESHOLDS
from mmmc.postprocess import to_original
from mmmc.predictor import Predictor
from mmmc.structures import Batch, Detections, Target


@dataclass(frozen=True, eq=False)
class Seen:
    """What was found.

    Attributes:
        results: detections as COCO results.
        before: boxes before suppression that overlap an object of their class by the lowest of COCO's thresholds; the
            others serve no oracle.
        apart: the two points of each object.
    """

    results: list[dict[str, Any]]
    before: Boxes
    apart: Apart


@torch.no_grad()
def look(predictor: Predictor, truth: Truth, batches: Iterable[Batch]) -> Seen:
    """Detect on a set.

    Args:
        predictor: of the run.
        truth: the objects of the set.
        batches: its pictures, with their objects, as they are scored.
    """
    postprocess = predictor.recipe.postprocess
    found: list[Detections] = []
    before, parts = [], []
    for batch in batches:
        batch = batch.to(predictor.device)
        points, prediction = predictor.detector(batch.images)
        candidates = postprocess.candidates(points, prediction, batch.targets)
        for index, (boxes, target) in enumerate(zip(candidates, batch.targets, strict=True)):
            found.append(postprocess.suppressed(boxes, target).to(torch.device("cpu")))
            before.append(_supporting(boxes, target, truth))
            if len(target.labels):
                score = postprocess.scores(points, prediction, index, target)
                parts.append(apart(points, score, prediction.boxes[index].to(score.dtype), target))
    return Seen(
        to_results(found, predictor.categories.ids),
        Boxes.joined(before),
        Apart.joined(parts, len(predictor.categories)),
    )


def _supporting(found: Detections, target: Target, truth: Truth) -> Boxes:
    corners = to_original(found.boxes, target).cpu().double().numpy()
    boxes = Boxes(
        picture=np.full(len(found), np.searchsorted(truth.image_ids, found.image_id), dtype=np.int64),
        label=found.labels.cpu().numpy(),
        xywh=np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1),
        score=found.scores.cpu().double().numpy(),
    )
    return boxes[np.unique(overlaps(boxes, truth, THRESHOLDS[0], same_class=True).box)]
