"""How well each point would answer for each object, for methods that weigh pairs: logarithms, with gradient."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from mmmc.assign.shared.pairs import Objects, of_labels
from mmmc.boxes import center_offsets, paired_giou
from mmmc.structures import Points, Prediction


@dataclass(frozen=True)
class PairConfidence:
    """Logarithms of the probabilities that a prediction is right about a pair.

    Attributes:
        cls: that it names the object: class probability times quality, which here says whether there is an object.
        box: that it frames the object: `exp(-box_power · (1 - GIoU))`.
    """

    cls: Float[Tensor, "B M P"]
    box: Float[Tensor, "B M P"]

    @property
    def both(self) -> Float[Tensor, "B M P"]:
        """That it does both: `P+` of AutoAssign, `P` of DW."""
        return self.cls + self.box


def pair_confidence(prediction: Prediction, objects: Objects, box_power: float) -> PairConfidence:
    """Both confidences of every pair; memory grows with `P·C + P·M`.

    Args:
        prediction: of the batch, in at least float32; gradient flows to it.
        objects: of the batch.
        box_power: factor on the box loss in the exponent.
    """
    cls = logsigmoid(of_labels(prediction.logits, objects.labels)) + logsigmoid(prediction.quality)[:, None]
    return PairConfidence(cls, -box_power * (1 - paired_giou(*objects.with_each(prediction.boxes))))


def log_gaussian(
    points: Points, objects: Objects, mean: Float[Tensor, "B M 2"], sigma: Float[Tensor, "B M 2"]
) -> Float[Tensor, "B M P"]:
    """Logarithm of a Gaussian, 1 at its top, over the offset of each point from the centre of each object.

    Args:
        points: of the batch.
        objects: of the batch.
        mean: of each object, horizontal and vertical, in strides of the point's level.
        sigma: standard deviations, likewise.
    """
    dtype = objects.boxes.dtype
    stride = points.stride.to(dtype)
    right, down = center_offsets(points.xy.to(dtype), objects.boxes[:, :, None])
    x, y = mean[:, :, None].unbind(dim=3)
    # Of a deviation of 0 nothing could be computed, and a learned one may pass through it.
    x_variance, y_variance = sigma.square().clamp(min=1e-6)[:, :, None].unbind(dim=3)
    return -((right / stride - x).square() / (2 * x_variance) + (down / stride - y).square() / (2 * y_variance))


def sound_pairs(
    prediction: Prediction, objects: Objects, confidence: PairConfidence, prior: Float[Tensor, "B M P"]
) -> tuple[Bool[Tensor, "B M P"], dict[str, Bool[Tensor, "B M"]]]:
    """Pairs of a point in a box with all values finite, and by term which objects met values that are not."""
    # Of a logit that is infinite the probability would be finite.
    raw = of_labels(prediction.logits, objects.labels) + prediction.quality[:, None]
    bad = {"class": ~raw.isfinite(), "box": ~confidence.box.isfinite(), "prior": ~prior.isfinite()}
    sound = objects.in_box & ~torch.stack(list(bad.values())).any(dim=0)
    return sound, {term: (objects.in_box & wrong).any(dim=2) for term, wrong in bad.items()}


def pair_weights(log_weight: Float[Tensor, "B M P"], pair: Bool[Tensor, "B M P"]) -> Float[Tensor, "B M P"]:
    """Weights from their logarithms; those of pairs stay above 0, so that `weight > 0` tells them from other points.

    A Gaussian is 0 in float32 some 13 deviations from its top: in a large object that is most of its points.
    """
    return log_weight.exp().clamp(min=torch.finfo(log_weight.dtype).tiny).where(pair, 0.0)
