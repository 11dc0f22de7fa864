"""RTMDet's assigner: SimOTA with soft class costs and a soft prior of the centre (Lyu et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import softplus

from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.claims import Claims, settled
from mmmc.assign.shared.dynamic_k import cheapest, dynamic_k
from mmmc.assign.shared.pairs import iou_losses, of_labels
from mmmc.assign.shared.rules import ImageLabels, all_finite, inside, iou_with_objects, per_image
from mmmc.boxes import squared_center_distance
from mmmc.errors import InputError
from mmmc.structures import Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class DynamicSoftLabel(Assigner):
    """The `k` cheapest points in the box of each object, with the IoU as the class target that the cost measures.

    The cost of a pair is the cross-entropy of the classes against a one-hot vector scaled by the IoU, each class
    weighed by its squared distance from the target, plus `box_cost` times -log IoU, plus a prior that grows tenfold
    with every stride of distance from the centre. `k` and conflicts are SimOTA's.

    Args:
        box_cost: factor on -log IoU.
        center_radius: distance from the centre, in strides, at which the prior is 1.
        topk: how many IoUs make up `k`.
    """

    box_cost: float = 3.0
    center_radius: float = 3.0
    topk: int = 13

    def __post_init__(self) -> None:
        for name in ("box_cost", "center_radius"):
            if not getattr(self, name) >= 0:
                raise InputError(f"assigner DynamicSoftLabel: {name} is {getattr(self, name)}; allowed: 0 or more.")
        if not self.topk >= 1:
            raise InputError(f"assigner DynamicSoftLabel: topk is {self.topk}; allowed: 1 or more.")

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch; see `Assigner`."""
        return per_image(self.image, points, prediction, targets)

    def image(self, points: Points, prediction: Prediction, target: Target) -> ImageLabels:
        """The rule for one picture."""
        labels = settled(self.claims, points, prediction, target)
        return labels._replace(finite=all_finite(prediction, points.within(target.size)))

    def claims(self, points: Points, prediction: Prediction, target: Target) -> Claims:
        """What these objects want, the least cost first."""
        boxes = target.boxes.to(prediction.boxes.dtype)
        xy, within = points.xy.to(boxes.dtype), points.within(target.size)
        in_box = inside(xy, boxes) & within[:, None]
        iou = iou_with_objects(prediction, boxes)
        cost = self.class_cost(prediction, target, iou) + self.box_cost * iou_losses(iou)
        cost = cost + self.prior(points, xy, boxes)
        chosen = cheapest(cost, in_box, in_box, dynamic_k(iou, in_box, self.topk), self.topk)
        return Claims(chosen, cost, chosen, in_box)

    @staticmethod
    def class_cost(prediction: Prediction, target: Target, iou: Float[Tensor, "P M"]) -> Float[Tensor, "P M"]:
        """Cross-entropy against the IoU at the object's class and 0 at all others, by squared distance."""
        logits = prediction.logits
        elsewhere = logits.sigmoid().square() * softplus(logits)
        own = of_labels(logits, target.labels[None])[0].mT
        soft = (iou - own.sigmoid()).square() * (softplus(own) - iou * own)
        return soft + elsewhere[0].sum(dim=1, keepdim=True) - of_labels(elsewhere, target.labels[None])[0].mT

    def prior(self, points: Points, xy: Float[Tensor, "P 2"], boxes: Float[Tensor, "M 4"]) -> Float[Tensor, "P M"]:
        """`10 ** (distance from the centre in strides - center_radius)`; the exponent ends at 30."""
        away = squared_center_distance(xy[:, None], boxes).sqrt() / points.stride.to(xy.dtype)[:, None]
        return 10 ** (away - self.center_radius).clamp(max=30)
