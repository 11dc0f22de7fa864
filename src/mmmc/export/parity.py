"""Whether a file says what PyTorch says, picture by picture.

A box of one side is **matched** by a box of its class on the other side at IoU ≥ 0.99 with a score within 1e-3. All are
judged whose class probability is at least 0.01 above the threshold. Two computations that differ in the last places
may take another turn in suppression. A box without a match is therefore a **close call** where

- a box of its class, at least as sure, overlaps it by the threshold of suppression ± 1e-3;
- a box of its class that suppression weighs against it has its score ± 1e-3; or
- it is weighed against another close call.

Close calls are listed, and at most one box in 200 may be one. Any other box without a match is a fault.

This is asked of pictures that PyTorch resized beforehand. A file resizes pictures by weights of another precision, and
a pixel here and there that is one of 256 levels brighter moves scores by more than a thousandth. So of the pictures as
they are AP is compared, and boxes of both are counted for information.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching
from torch import Tensor
from torchvision.ops import box_iou, clip_boxes_to_image

from mmmc import runtime
from mmmc.data.coco import CocoSet
from mmmc.evaluate import score, to_results
from mmmc.postprocess import Postprocess, to_original
from mmmc.predictor import Predictor
from mmmc.rgb import read_rgb
from mmmc.runtime import FileDetector
from mmmc.structures import Detections

IOU = 0.99
NEAR = 1e-3
"""Largest difference of the scores of one box; what is as near to a decision may be decided otherwise."""

MARGIN = 0.01
"""Class probability above the threshold from which on boxes are judged."""

SHARE = 0.005
"""Of the boxes that may be close calls."""

AP_POINTS = 0.05
"""By how much AP × 100 may differ."""


@dataclass(frozen=True)
class Call:
    """A box that one side alone has.

    Attributes:
        picture: name of its file.
        label: class index.
        score: in 0..1.
        side: `PyTorch` or `file`.
        reason: why the other side may lack it; empty for a fault.
    """

    picture: str
    label: int
    score: float
    side: str
    reason: str


@dataclass(frozen=True)
class Parity:
    """What a file and PyTorch find in the same pictures.

    Attributes:
        pictures: how many were compared.
        matched: boxes that both found in resized pictures.
        apart: largest difference of a coordinate among them, in pixels of the resized picture.
        scores_apart: largest difference of a score among them.
        calls: boxes that one side alone has in resized pictures.
        as_they_are: boxes that both found in the pictures as they are, and that either found.
        ap: COCO's AP of PyTorch and of the file in the pictures as they are, in 0..1; NaN without objects.
    """

    pictures: int
    matched: int
    apart: float
    scores_apart: float
    calls: tuple[Call, ...]
    as_they_are: tuple[int, int]
    ap: tuple[float, float]

    @property
    def close(self) -> tuple[Call, ...]:
        """Those that are close calls."""
        return tuple(call for call in self.calls if call.reason)

    @property
    def faults(self) -> tuple[str, ...]:
        """What is wrong with the file, in sentences; nothing if it says what PyTorch says."""
        alone, boxes = len(self.calls) - len(self.close), self.matched + len(self.calls)
        found = []
        if alone:
            found.append(f"{alone} of {boxes} boxes have no match.")
        if len(self.close) > max(1, SHARE * boxes):
            found.append(f"{len(self.close)} of {boxes} boxes are close calls; allowed: {SHARE:.1%}, or one.")
        if 100 * abs(self.ap[0] - self.ap[1]) > AP_POINTS:  # never of NaN
            found.append(f"AP differs by {100 * abs(self.ap[0] - self.ap[1]):.3f} points; allowed: {AP_POINTS}.")
        return tuple(found)


def compare(
    predictor: Predictor,
    detector: FileDetector,
    pictures: CocoSet,
    *,
    batch_size: int = 8,
    told: Callable[[], object] = lambda: None,
) -> Parity:
    """Both on the same pictures: PyTorch one by one, the file in batches.

    Args:
        predictor: what was exported.
        detector: the file.
        pictures: a set, of which files, ids and ground truth are used.
        batch_size: pictures that the file gets at once.
        told: called after each picture.

    Raises:
        InputError: a picture cannot be read.
    """
    ours: list[Detections] = []
    theirs: list[Detections] = []
    calls: list[Call] = []
    apart, scores_apart, matched = [0.0], [0.0], 0
    for start in range(0, len(pictures), batch_size):
        part = range(start, min(start + batch_size, len(pictures)))
        arrays = [read_rgb(pictures.file(index)) for index in part]
        resized = [_resized(predictor, array) for array in arrays]
        for index, array, found in zip(part, resized, detector(resized, batch_size=batch_size), strict=True):
            said, rivals = _by_torch(predictor, array)
            other = _detections(found, 0)
            pairs, single = judge(said, other, rivals, predictor.recipe.postprocess)
            matched += len(pairs)
            first, second = pairs.unbind(1)
            apart += (said.boxes[first] - other.boxes[second]).abs().flatten().tolist()
            scores_apart += (said.scores[first] - other.scores[second]).abs().tolist()
            calls += [replace(call, picture=pictures.file(index).name) for call in single]
            told()
        ids = [pictures.image_id(index) for index in part]
        ours += [replace(found, image_id=of) for found, of in zip(predictor(arrays), ids, strict=True)]
        theirs += map(_detections, detector(arrays, batch_size=batch_size), ids)
    both = sum(len(_matches(one, other)) for one, other in zip(ours, theirs, strict=True))
    truth, categories = pictures.to_coco(), predictor.categories.ids
    return Parity(
        len(pictures),
        matched,
        max(apart),
        max(scores_apart),
        tuple(calls),
        (both, sum(map(len, (*ours, *theirs))) - both),
        (score(truth, to_results(ours, categories)).AP, score(truth, to_results(theirs, categories)).AP),
    )


@dataclass(frozen=True)
class Rivals:
    """Every pair of point and class that takes part in suppression, or nearly does.

    Attributes:
        found: their boxes in pixels of the picture, scores and labels.
        probability: of their classes.
    """

    found: Detections
    probability: Float[Tensor, " N"]


def judge(
    ours: Detections, theirs: Detections, rivals: Rivals, rule: Postprocess
) -> tuple[Int[Tensor, "pairs 2"], list[Call]]:
    """The matches of a picture's boxes, and those of both sides that have none, without the picture's name.

    Args:
        ours: found by PyTorch.
        theirs: found by the file.
        rivals: what PyTorch's suppression chose from.
        rule: its thresholds.
    """
    pairs = _matches(ours, theirs)
    alone = []
    for side, found, other, column in (("PyTorch", ours, theirs, 0), ("file", theirs, ours, 1)):
        for index in sorted({*range(len(found))} - {*pairs[:, column].tolist()}):
            full = len(other) == rule.detections and found.scores[index] <= other.scores[-1] + NEAR
            if not full:
                alone.append((side, _Box(found.boxes[index], float(found.scores[index]), int(found.labels[index]))))
    reasons = [_reason(box, rivals, rule) for _, box in alone]
    # What was weighed against a close call had another rival on the other side.
    while news := [
        index
        for index, (_, box) in enumerate(alone)
        if reasons[index] == ""
        and any(reasons[i] and box.weighed_against(other, rule.nms) for i, (_, other) in enumerate(alone))
    ]:
        for index in news:
            reasons[index] = "weighed against another close call"
    return pairs, [
        Call("", box.label, box.score, side, reason)
        for (side, box), reason in zip(alone, reasons, strict=True)
        if reason is not None
    ]


@dataclass(frozen=True)
class _Box:
    box: Float[Tensor, "4"]
    score: float
    label: int

    def overlap(self, boxes: Float[Tensor, "N 4"]) -> Float[Tensor, " N"]:
        return box_iou(self.box[None], boxes)[0]

    def weighed_against(self, other: _Box, nms: float) -> bool:
        """Whether suppression may remove this box because of the other."""
        return (
            other.label == self.label
            and other.score >= self.score - NEAR
            and float(self.overlap(other.box[None])) > nms - NEAR
        )


def _reason(box: _Box, rivals: Rivals, rule: Postprocess) -> str | None:
    """Why one side may lack a box; empty for no reason, None where nothing is to be judged."""
    same = rivals.found.labels == box.label
    overlap, scores = box.overlap(rivals.found.boxes[same]), rivals.found.scores[same]
    apart = (scores - box.score).abs()
    itself = ((overlap >= IOU) & (apart <= NEAR)).nonzero()[:, 0]
    if len(itself) == 0:
        return ""
    itself = itself[apart[itself].argmin()]
    if rivals.probability[same][itself] < rule.threshold + MARGIN:
        return None
    other = torch.arange(len(scores)) != itself
    if (other & (scores >= box.score - NEAR) & ((overlap - rule.nms).abs() <= NEAR)).any():
        return "an overlap at the threshold of suppression"
    if (other & (apart <= NEAR) & (overlap > rule.nms - NEAR)).any():
        return "two scores that are nearly equal"
    return ""


def _matches(ours: Detections, theirs: Detections) -> Int[Tensor, "pairs 2"]:
    same = ours.labels[:, None] == theirs.labels
    near = (ours.scores[:, None] - theirs.scores).abs() <= NEAR
    graph = csr_matrix((same & near & (box_iou(ours.boxes, theirs.boxes) >= IOU)).numpy())
    partner = torch.from_numpy(maximum_bipartite_matching(graph, perm_type="column")).long()
    return torch.stack([torch.arange(len(ours)), partner], dim=1)[partner >= 0]


def _resized(predictor: Predictor, picture: np.ndarray) -> np.ndarray:
    image, _ = predictor.recipe.resize(torch.from_numpy(picture).permute(2, 0, 1))
    return image.permute(1, 2, 0).contiguous().numpy()


def _detections(found: runtime.Detections, image_id: int) -> Detections:
    boxes, scores, labels = map(torch.from_numpy, (found.boxes, found.scores, found.labels))
    return Detections(boxes, scores, labels, image_id)


@torch.no_grad()
def _by_torch(predictor: Predictor, picture: np.ndarray) -> tuple[Detections, Rivals]:
    batch = predictor.batch([picture]).to(predictor.device)
    rule, target = predictor.recipe.postprocess, batch.targets[0]
    points, prediction = predictor.detector(batch.images)
    (found,) = rule(points, prediction, batch.targets)
    probability = replace(rule, score="class").scores(points, prediction, 0, target)
    scores = rule.scores(points, prediction, 0, target)
    point, label = ((probability > rule.threshold - MARGIN) & scores.isfinite()).nonzero(as_tuple=True)
    boxes = to_original(clip_boxes_to_image(prediction.boxes[0, point], target.size), target)
    rivals = Detections(boxes, scores[point, label], label, found.image_id)
    cpu = torch.device("cpu")
    return found.to(cpu), Rivals(rivals.to(cpu), probability[point, label].to(cpu))
