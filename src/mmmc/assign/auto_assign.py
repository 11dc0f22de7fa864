"""AutoAssign: points weigh in an object by where they lie and by what they predict (Zhu et al. 2020)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.confidence import log_gaussian, pair_confidence, pair_weights, sound_pairs
from mmmc.assign.shared.pairs import Objects
from mmmc.assign.shared.weighing import Weighed, weigh
from mmmc.errors import InputError
from mmmc.structures import Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class AutoAssign(Assigner):
    """Every point in an object's box weighs by `exp(confidence · P+) · G`, scaled to a sum of 1 for each object.

    `P+` is class probability times quality times `exp(-box_power · (1 - GIoU))`, and `G` a Gaussian over the offset
    from the object's centre in strides of the point's level, learned for each class (Zhu et al. 2020, section 3).
    A point may weigh for several objects. The Gaussian is read from what the part `CenterPrior` adds to the
    prediction; without it, as in a prediction of another run, each has mean 0 and deviation 1, with which it begins.

    Re-created from the paper and a description of the published code, not compared with that code's output. The losses
    are those of `AutoAssignCriterion`, which follows the gradient through these weights.

    Args:
        confidence: factor on `P+` in the exponent, 1/τ; with 0 a point weighs by where it lies alone.
        box_power: factor on the box loss, λ.
    """

    confidence: float = 3.0
    box_power: float = 5.0

    def __post_init__(self) -> None:
        for name in ("confidence", "box_power"):
            if not 0 <= getattr(self, name) < torch.inf:
                raise InputError(
                    f"assigner AutoAssign: {name} is {getattr(self, name)}; allowed: a finite number of at least 0."
                )

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch; see `Assigner`."""
        return weigh(self.weights, points, prediction, targets)

    def weights(self, points: Points, prediction: Prediction, objects: Objects) -> Weighed:
        """The rule for some objects of a batch."""
        confidence = pair_confidence(prediction, objects, self.box_power)
        prior = log_center_prior(points, prediction, objects)
        pair, wrong = sound_pairs(prediction, objects, confidence, prior)
        log_weight = (self.confidence * confidence.both.exp() + prior).masked_fill(~pair, -torch.inf)
        return Weighed(pair_weights(log_weight.log_softmax(dim=2), pair), objects.in_box, wrong)


def log_center_prior(points: Points, prediction: Prediction, objects: Objects) -> Float[Tensor, "B M P"]:
    """log G of every pair, by the object's class; gradient flows to the Gaussians."""
    index = objects.labels[..., None].expand(-1, -1, 2)
    if "center mean" in prediction.extra:
        mean, sigma = (prediction.extra[name].gather(1, index) for name in ("center mean", "center sigma"))
    else:
        mean, sigma = torch.zeros_like(objects.boxes[..., :2]), torch.ones_like(objects.boxes[..., :2])
    return log_gaussian(points, objects, mean, sigma)
