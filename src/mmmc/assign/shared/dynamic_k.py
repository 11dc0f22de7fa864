"""As many points for an object as its predicted boxes deserve, the cheapest ones (Ge et al. 2021, OTA and YOLOX)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmmc.assign.shared.rules import least


def dynamic_k(iou: Float[Tensor, "P M"], candidate: Bool[Tensor, "P M"], top: int) -> Int[Tensor, " M"]:
    """Points that each object is to get: the sum of its `top` best IoUs, rounded down, at least one.

    Args:
        iou: of the box predicted at each point with each object.
        candidate: pairs that count.
        top: how many IoUs are summed.
    """
    best = iou.masked_fill(~candidate, 0).nan_to_num(0).topk(min(top, len(iou)), dim=0).values
    return best.sum(dim=0).floor().long().clamp(min=1)


def cheapest(
    cost: Float[Tensor, "P M"],
    first: Bool[Tensor, "P M"],
    second: Bool[Tensor, "P M"],
    count: Int[Tensor, " M"],
    top: int,
) -> Bool[Tensor, "P M"]:
    """The `count` cheapest pairs of each object: those of the first choice, then, if too few, of the second.

    The published codes add 10⁵ or 10⁶ to the cost of a second choice. In float32 that rounds the cost itself to
    steps of 0.008 or 0.06; here the order among second choices stays what the costs say.
    """
    chosen = least(cost.masked_fill(~first, torch.inf), count, top)
    rest = count - chosen.sum(dim=0)
    return chosen | least(cost.masked_fill(first | ~second, torch.inf), rest, top)
