"""Points that several objects want, and objects that were left without one; whole batches at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmmc.assign.shared.claims import AT_ONCE
from mmmc.assign.shared.pairs import Objects
from mmmc.assign.shared.rules import at_hand
from mmmc.boxes import area, paired_iou
from mmmc.structures import NEGATIVE, ObjectState

Conflict = Literal["min_cost", "area_first", "max_iou"]


def ranks(
    rule: Conflict, predicted: Float[Tensor, "B P 4"], objects: Objects, cost: Float[Tensor, "B M P"]
) -> Float[Tensor, "B M P"]:
    """What objects that want a point are compared by, least wins: their losses, their area, or minus the IoU there.

    Args:
        rule: of the three.
        predicted: boxes `x1 y1 x2 y2` in pixels.
        objects: of the batch, with boxes in pixels.
        cost: `Lc + Lr` of every pair.
    """
    match rule:
        case "min_cost":
            return cost
        case "area_first":
            return area(objects.boxes)[..., None].expand_as(cost)
        case "max_iou":
            return -torch.cat([paired_iou(*some.with_each(predicted)) for _, some in objects.in_turn()], dim=1)


def owners(cost: Float[Tensor, "B M P"], chosen: Bool[Tensor, "B M P"]) -> Int[Tensor, "B P"]:
    """Each point goes to the object of lowest cost (of equals the first) among those that chose it, else to none."""
    parts = (slice(first, first + AT_ONCE) for first in range(0, max(1, cost.shape[1]), AT_ONCE))
    return least_rank(cost[:, part].masked_fill(~chosen[:, part], torch.inf) for part in parts)


def least_rank(ranks: Iterable[Float[Tensor, "B _ P"]]) -> Int[Tensor, "B P"]:
    """Each point goes to the object of lowest finite rank (of equals the first), else to none.

    Args:
        ranks: of some objects of each picture, then of the next; at least one tensor, even if of no object.
    """
    first = 0
    for part in ranks:
        if first == 0:
            least = part.new_full((part.shape[0], part.shape[2]), torch.inf)
            gt = torch.full(least.shape, NEGATIVE, device=part.device)
        if part.shape[1]:
            rank, owner = part.min(dim=1)
            better = rank < least
            least, gt = rank.where(better, least), (owner + first).where(better, gt)
        first += part.shape[1]
    return gt


def provide(
    gt: Int[Tensor, "B P"], cost: Float[Tensor, "B M P"], candidate: Bool[Tensor, "B M P"]
) -> tuple[Int[Tensor, "B P"], Bool[Tensor, "B M"]]:
    """Give each object without a point one, where that is possible, in order of their lowest costs.

    It gets its best free candidate, else the best free point that is permitted, else the best permitted point of an
    object that keeps another. So an object stays without only if each point that it could have is another's only one.

    Args:
        gt: object of each point after conflicts; below 0 a point is free.
        cost: of every pair; infinite where it is not permitted.
        candidate: pairs that the rule looked at, all of them permitted.

    Returns:
        The object of each point, and which objects got theirs here.
    """
    batch, objects, _ = cost.shape
    picture = torch.arange(batch, device=gt.device)
    # One column more than objects, where free points are counted and nobody looks.
    owned = gt.new_zeros(batch, objects + 1).scatter_add_(1, gt.where(gt >= 0, objects), torch.ones_like(gt))
    least = cost.amin(dim=2)
    order = least.argsort(dim=1, stable=True)
    helped = torch.zeros(batch, objects, dtype=torch.bool, device=gt.device)
    # A round serves one object of every picture. Which objects lack a point is known to the device only, so all have a
    # round, unless the host can tell: an object that has a point now never loses its last, and one without a permitted
    # point gets none.
    turns = order.mT
    if at_hand(owned):
        lacks = (owned[:, :objects] == 0) & least.isfinite()
        turns = turns[lacks.gather(1, order).any(dim=0)]
    for turn in turns:
        own_cost, own_candidate = cost[picture, turn], candidate[picture, turn]
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
