"""Distances as distributions over bins (Li et al. 2020, GFL): the loss that sharpens them round their target."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import log_softmax

MARGIN = 0.01
"""How far below the last bin a target that lies beyond it is put: both neighbours of a target must be bins."""


def distribution_loss(
    bins: Float[Tensor, "*shape K"], distances: Float[Tensor, "*shape"]
) -> tuple[Float[Tensor, "*shape"], Bool[Tensor, "*shape"]]:
    """Distribution focal loss (Li et al. 2020, Eq. 6), and which distances lie beyond the last bin.

    The cross-entropy of the two bins next to the distance, each by how near it is.

    Args:
        bins: logits of the distances 0, 1 … K - 1.
        distances: what is to be learned, in the unit of the bins.
    """
    last = bins.shape[-1] - 1
    beyond = distances > last
    target = distances.clamp(min=0, max=last - MARGIN)
    left = target.floor()
    index = left.long()[..., None]
    logs = log_softmax(bins, dim=-1)
    near, far = logs.gather(-1, index)[..., 0], logs.gather(-1, index + 1)[..., 0]
    return -(near * (left + 1 - target) + far * (target - left)), beyond
