"""DW: points weigh for an object by how far class and box agree, and against it by other measures (Li et al. 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.confidence import log_gaussian, pair_confidence, pair_weights, sound_pairs
from mmmc.assign.shared.pairs import Objects
from mmmc.assign.shared.weighing import Weighed, weigh
from mmmc.errors import InputError
from mmmc.structures import Assignment, Points, Prediction, Target


@dataclass(frozen=True)
class DW(Assigner):
    """Every point in an object's box weighs by `exp(sharpness · P) · P · G`.

    It is divided by the object's sum of `exp(norm_sharpness · P) · P · G`. `P` is class probability times quality
    times `exp(-box_power · (1 - GIoU))`, and `G` a Gaussian over the offset from the object's centre in strides of the
    point's level. The exponents differ as published: an object's weights add up to 1 while it is learned badly and to
    more once it is learned well. A point may weigh for several objects.

    The weight is for the point as a positive (Li et al. 2022, section 3); that as a negative is the business of
    `DWCriterion`. Re-created from the paper and a description of the published code, not compared with that code's
    output; without its refinement of boxes.

    Args:
        sharpness: factor on `P` in the exponent, µ.
        norm_sharpness: the same in the sum that is divided by.
        box_power: factor on the box loss, β.
        sigma: standard deviation of the Gaussian in strides; its mean is 0.
    """

    sharpness: float = 5.0
    norm_sharpness: float = 3.0
    box_power: float = 5.0
    sigma: float = 1.11

    def __post_init__(self) -> None:
        for name in ("sharpness", "norm_sharpness", "box_power"):
            if not 0 <= getattr(self, name) < torch.inf:
                raise InputError(
                    f"assigner DW: {name} is {getattr(self, name)}; allowed: a finite number of at least 0."
                )
        if not 0 < self.sigma < torch.inf:
            raise InputError(f"assigner DW: sigma is {self.sigma}; allowed: a finite number above 0.")

    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch; see `Assigner`."""
        return weigh(self.weights, points, prediction, targets)

    def weights(self, points: Points, prediction: Prediction, objects: Objects) -> Weighed:
        """The rule for some objects of a batch."""
        confidence = pair_confidence(prediction, objects, self.box_power)
        sigma = torch.full_like(objects.boxes[..., :2], self.sigma)
        prior = log_gaussian(points, objects, torch.zeros_like(sigma), sigma)
        pair, wrong = sound_pairs(prediction, objects, confidence, prior)
        log_p = confidence.both
        below = log_p + prior + self.norm_sharpness * log_p.exp()
        below = below.masked_fill(~pair, -torch.inf).logsumexp(dim=2, keepdim=True)
        log_weight = log_p + prior + self.sharpness * log_p.exp() - below
        return Weighed(pair_weights(log_weight, pair), objects.in_box, wrong)
