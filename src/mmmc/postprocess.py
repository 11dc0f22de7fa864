"""From predictions to detections: threshold, best per level, suppression."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torchvision.ops import batched_nms, clip_boxes_to_image

from mmmc.errors import InputError
from mmmc.structures import Detections, Points, Prediction, Target


@dataclass(frozen=True)
class Postprocess:
    """FCOS's inference.

    Class probabilities above `threshold` are candidates; at most `per_level` of each level, the best by score, go on.
    Non-maximum suppression per class at IoU `nms`; the best `detections` remain.

    Args:
        score: the square root of class probability times quality, or the class probability alone, for methods whose
            class branch learns the quality as well.
        threshold: least class probability, before the quality comes in. COCO's AP wants a low one.
        per_level: candidates of each level.
        nms: IoU above which the lower-scored box of a class goes.
        detections: boxes of a picture.
    """

    score: Literal["quality", "class"] = "quality"
    threshold: float = 0.05
    per_level: int = 1000
    nms: float = 0.6
    detections: int = 100

    def __post_init__(self) -> None:
        for name in ("threshold", "nms"):
            if not 0 <= getattr(self, name) <= 1:
                raise InputError(f"postprocess.{name} is {getattr(self, name)}; allowed: 0 to 1.")
        for name in ("per_level", "detections"):
            if getattr(self, name) < 1:
                raise InputError(f"postprocess.{name} is {getattr(self, name)}; allowed: at least 1.")

    @torch.no_grad()
    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> list[Detections]:
        """Detections of each picture in pixels of its file; of `targets` only the sizes and ids are read."""
        found = self.candidates(points, prediction, targets)
        return [self.suppressed(boxes, target) for boxes, target in zip(found, targets, strict=True)]

    @torch.no_grad()
    def candidates(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> list[Detections]:
        """Boxes of each picture before suppression in pixels of the batch, cut to the picture; level by level."""
        return [self._candidates(points, prediction, index, target) for index, target in enumerate(targets)]

    def suppressed(self, found: Detections, target: Target) -> Detections:
        """What suppression leaves of a picture's candidates, in pixels of its file."""
        keep = batched_nms(found.boxes, found.scores, found.labels, self.nms)[: self.detections]
        return replace(
            found,
            boxes=to_original(found.boxes[keep], target),
            scores=found.scores[keep],
            labels=found.labels[keep],
        )

    def scores(self, points: Points, prediction: Prediction, index: int, target: Target) -> Float[Tensor, "P C"]:
        """The score of each class at each point of a picture; 0 in the padding."""
        return self._scores(self._probability(points, prediction, index, target), prediction, index)

    def _probability(self, points: Points, prediction: Prediction, index: int, target: Target) -> Float[Tensor, "P C"]:
        dtype = torch.promote_types(prediction.boxes.dtype, torch.float32)
        # What is predicted in the padding is no picture's business.
        return prediction.logits[index].to(dtype).sigmoid() * points.within(target.size)[:, None]

    def _scores(self, probability: Float[Tensor, "P C"], prediction: Prediction, index: int) -> Float[Tensor, "P C"]:
        if self.score == "class":
            return probability
        return (probability * prediction.quality[index].to(probability.dtype).sigmoid()[:, None]).sqrt()

    def _candidates(self, points: Points, prediction: Prediction, index: int, target: Target) -> Detections:
        probability = self._probability(points, prediction, index, target)
        score = self._scores(probability, prediction, index)
        boxes, scores, labels = [], [], []
        sizes = [height * width for height, width in points.shapes]
        for p, s, b in zip(
            probability.split(sizes),
            score.split(sizes),
            prediction.boxes[index].to(probability.dtype).split(sizes),
            strict=True,
        ):
            # A score that is not a number is no detection.
            point, label = ((p > self.threshold) & s.isfinite()).nonzero(as_tuple=True)
            best, order = s[point, label].topk(min(self.per_level, len(point)))
            boxes.append(b[point[order]])
            scores.append(best)
            labels.append(label[order])
        return Detections(
            boxes=clip_boxes_to_image(torch.cat(boxes), target.size),
            scores=torch.cat(scores),
            labels=torch.cat(labels),
            image_id=target.image_id,
        )


def to_original(boxes: Float[Tensor, "N 4"], target: Target) -> Float[Tensor, "N 4"]:
    """Boxes in pixels of the batch to pixels of the picture file."""
    x, y = target.scale
    scaled = boxes / boxes.new_tensor([x, y, x, y])
    return clip_boxes_to_image(scaled, target.original_size)
