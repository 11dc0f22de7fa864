"""Points that several objects want, and objects that were left without one; whole batches at once."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmmc.structures import NEGATIVE, ObjectState


def owners(cost: Float[Tensor, "B M P"], chosen: Bool[Tensor, "B M P"]) -> Int[Tensor, "B P"]:
    """Each point goes to the object of lowest cost (of equals the first) among those that chose it, else to none."""
    least, owner = cost.masked_fill(~chosen, torch.inf).min(dim=1)
    return owner.where(least.isfinite(), NEGATIVE)


def provide(
    gt: Int[Tensor, "B P"],
    cost: Float[Tensor, "B M P"],
    candidate: Bool[Tensor, "B M P"],
    eligible: Bool[Tensor, "B M P"],
) -> tuple[Int[Tensor, "B P"], Bool[Tensor, "B M"]]:
    """Give each object without a point one, where that is possible, in order of their lowest costs.

    It gets its best free candidate, else the best free point that is eligible, else the best eligible point of an
    object that keeps another. So an object stays without only if each point that it could have is another's only one.

    Args:
        gt: object of each point after conflicts; below 0 a point is free.
        cost: of every pair.
        candidate: pairs that the rule looked at.
        eligible: all pairs that are permitted; their costs are finite.

    Returns:
        The object of each point, and which objects got theirs here.
    """
    batch, objects, _ = cost.shape
    picture = torch.arange(batch, device=gt.device)
    # One column more than objects, where free points are counted and nobody looks.
    owned = gt.new_zeros(batch, objects + 1).scatter_add_(1, gt.where(gt >= 0, objects), torch.ones_like(gt))
    order = cost.masked_fill(~eligible, torch.inf).amin(dim=2).argsort(dim=1, stable=True)
    helped = torch.zeros(batch, objects, dtype=torch.bool, device=gt.device)
    # A round serves one object of every picture. How many need one is known to the device only, so all have a round.
    ranked = order[..., None].expand_as(cost)
    rounds = zip(
        order.unbind(1),
        cost.masked_fill(~eligible, torch.inf).gather(1, ranked).unbind(1),
        (candidate & eligible).gather(1, ranked).unbind(1),
        strict=True,
    )
    for turn, own_cost, own_candidate in rounds:
        free = gt < 0
        spare = ~free & (owned.gather(1, gt.where(gt >= 0, objects)) > 1)
        tiers = torch.stack([free & own_candidate, free, spare])
        best, point = own_cost.masked_fill(~tiers, torch.inf).min(dim=2)
        exists = best.isfinite()
        tier = exists.byte().argmax(dim=0)  # of several the first
        taken = point.gather(0, tier[None]).squeeze(0)
        served = exists.any(dim=0) & (owned[picture, turn] == 0)
        before = gt[picture, taken]
        loser = before.where(before >= 0, objects)
        owned[picture, loser] -= served.long()
        owned[picture, turn] += served.long()
        gt = gt.scatter(1, taken[:, None], turn.where(served, before)[:, None])
        helped[picture, turn] = served
    return gt, helped


def object_states(
    gt: Int[Tensor, "B P"],
    helped: Bool[Tensor, "B M"],
    in_box: Bool[Tensor, "B M P"],
    eligible: Bool[Tensor, "B M P"],
    *,
    held: Bool[Tensor, "B M"] | None = None,
) -> Int[Tensor, "B M"]:
    """How each object came by its points, or why it has none; values of `ObjectState`.

    Args:
        gt: object of each point.
        helped: objects that got a point by a fallback.
        in_box: pairs whose point lies in the object's box.
        eligible: pairs that the rule admits.
        held: which objects have a point, for methods whose points may belong to several; by `gt` if None.
    """
    batch, objects = helped.shape
    if held is None:
        owned = gt.new_zeros(batch, objects + 1).scatter_add_(1, gt.where(gt >= 0, objects), torch.ones_like(gt))
        held = owned[:, :objects] > 0
    state = torch.full(held.shape, int(ObjectState.NO_POINT), device=gt.device)
    state = state.masked_fill(in_box.any(dim=2), ObjectState.NO_CANDIDATE)
    state = state.masked_fill((eligible & in_box).any(dim=2), ObjectState.NONE_LEFT)
    state = state.masked_fill(held, ObjectState.CHOSEN)
    return state.masked_fill(held & helped, ObjectState.FALLBACK)
