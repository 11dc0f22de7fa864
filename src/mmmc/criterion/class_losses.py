"""Class losses of a dense head against targets between 0 and 1, element by element."""

from __future__ import annotations

from typing import Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits
from torchvision.ops import sigmoid_focal_loss

ClassLoss = Literal["focal", "quality_focal", "varifocal"]


def dense_class_loss(
    logits: Float[Tensor, "*shape"], target: Float[Tensor, "*shape"], kind: ClassLoss, *, alpha: float, gamma: float
) -> Float[Tensor, "*shape"]:
    """The loss of each logit.

    Args:
        logits: before the sigmoid.
        target: in 0..1; above 0 is a positive.
        kind: as `DenseCriterion.class_loss`.
        alpha: weight of positives in the focal loss; negatives of `focal` and `varifocal` weigh 1 - alpha.
        gamma: exponent of the modulating factor.
    """
    if kind == "focal":
        return sigmoid_focal_loss(logits, target, alpha=alpha, gamma=gamma)
    cross_entropy = binary_cross_entropy_with_logits(logits, target, reduction="none")
    if kind == "quality_focal":
        return cross_entropy * (target - logits.sigmoid()).abs() ** gamma
    return cross_entropy * target.where(target > 0, (1 - alpha) * logits.sigmoid() ** gamma)
