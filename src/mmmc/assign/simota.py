"""SimOTA: as many points as the predicted boxes deserve, those of least cost (Ge et al. 2021, YOLOX)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from jaxtyping import Float
from torch import Tensor

from mmmc.assign.fcos import FCOS
from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.claims import Claims, settled
from mmmc.assign.shared.dynamic_k import cheapest, dynamic_k
from mmmc.assign.shared.pairs import class_table, iou_losses, of_labels, score_table
from mmmc.assign.shared.rules import ImageLabels, all_finite, inside, iou_with_objects, per_image
from mmmc.errors import InputError
from mmmc.structures import Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class SimOTA(Assigner):
    """The `k` cheapest points of each object, `k` from the IoUs of the boxes predicted for it.

    The cost of a pair is the binary cross-entropy of the score summed over the classes plus `box_cost` times
    -log IoU. `k` is the sum of the `topk` best IoUs, rounded down, at least 1. A point that several objects take
    goes to the one of lowest cost; an object that loses all its points so stays without.

    Args:
        region: which points an object may take. `square`, as YOLOX: those in the square of `radius` strides round
            its centre, also beyond its box. `box_and_square`, as mmdetection: those in box and square; where they
            are too few, those in either.
        radius: half side of the square, in strides; YOLOX has 1.5, mmdetection 2.5.
        score: `product`: the score is sqrt(class probability · quality), as in inference; `cls`: the class alone.
        box_cost: factor on -log IoU.
        topk: how many IoUs make up `k`.
    """

    region: Literal["square", "box_and_square"] = "square"
    radius: float = 1.5
    score: Literal["product", "cls"] = "product"
    box_cost: float = 3.0
    topk: int = 10

    def __post_init__(self) -> None:
        if not self.radius > 0:
            raise InputError(f"assigner SimOTA: radius is {self.radius}; allowed: a number above 0.")
        if not self.box_cost >= 0:
            raise InputError(f"assigner SimOTA: box_cost is {self.box_cost}; allowed: 0 or more.")
        if not self.topk >= 1:
            raise InputError(f"assigner SimOTA: topk is {self.topk}; allowed: 1 or more.")

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch; see `Assigner`."""
        return per_image(self.image, points, prediction, targets)

    def image(self, points: Points, prediction: Prediction, target: Target) -> ImageLabels:
        """The rule for one picture."""
        if self.score == "product":
            cls = score_table(prediction.logits, prediction.quality)
        else:
            cls = class_table(prediction.logits, "bce")
        labels = settled(partial(self.claims, cls=cls), points, prediction, target)
        return labels._replace(finite=all_finite(prediction, points.within(target.size)))

    def claims(self, points: Points, prediction: Prediction, target: Target, *, cls: Float[Tensor, "1 P C"]) -> Claims:
        """What these objects want, the least cost first; `cls` is the class's part of it, for each class."""
        boxes = target.boxes.to(prediction.boxes.dtype)
        xy, within = points.xy.to(boxes.dtype), points.within(target.size)
        in_box = inside(xy, boxes) & within[:, None]
        in_square = FCOS(None, self.radius).near_center(points, xy, boxes) & within[:, None]
        first, second = (in_square, in_square) if self.region == "square" else (in_box & in_square, in_box | in_square)
        iou = iou_with_objects(prediction, boxes)
        # A point may be a candidate of any object, but only what an object may take counts for its k.
        count = dynamic_k(iou, second, self.topk)
        cost = of_labels(cls, target.labels[None])[0].mT + self.box_cost * iou_losses(iou)
        chosen = cheapest(cost, first, second, count, self.topk)
        return Claims(chosen, cost, chosen, in_box)
