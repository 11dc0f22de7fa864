"""How APS weighs its candidates: fitness and alignment of both losses (the paper's Eqs. 7 to 9), or something else."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from mmmc.assign.aps_steps import Scores
from mmmc.assign.shared.candidates import Candidates

Score = Literal["paper", "code", "sum", "fit_only", "align_only", "printed"]
SoftmaxOver = Literal["object", "level"]


def scored(shortlist: Candidates, score: Score, softmax_over: SoftmaxOver) -> Scores:
    """Fitness (Eq. 7), alignment (Eq. 8), and a cost by their geometric mean (Eq. 9) or by what `score` names.

    Args:
        shortlist: the candidates of the chosen levels.
        score: as in `APS`.
        softmax_over: the set of Eq. 7, as in `APS`.
    """
    sign = 1.0 if score == "printed" else -1.0
    by_class = _softmax(sign * shortlist.cls, shortlist.valid, softmax_over)
    by_box = _softmax(sign * shortlist.reg, shortlist.valid, softmax_over)
    fit = by_class + by_box
    gap = (shortlist.cls - shortlist.reg).abs()
    alignment = 1 / (1 + gap.exp())
    total = shortlist.cls + shortlist.reg
    match score:
        case "paper" | "printed":
            cost = -(fit * alignment).sqrt()
        case "code":
            cost = (gap.sigmoid() * total).sqrt()
        case "sum":
            cost = total
        case "fit_only":
            cost = -fit
        case "align_only":
            cost = -alignment
    return Scores(fit, alignment, cost)


def relative_scores(
    gt: Int[Tensor, "B P"], shortlist: Candidates, cost: Float[Tensor, "B M V K"], score: Score
) -> Float[Tensor, "B P"]:
    """Of each point how good it is for its object, relative to the best candidate of that; in 0..1.

    A point that was given to an object as a fallback and is none of its candidates has no score: 1. So have points
    without an object.

    Args:
        gt: index of the object that a point answers for; negative for none.
        shortlist: the candidates.
        cost: of the candidates, by `scored`.
        score: that made the cost.
    """
    if cost.shape[1] == 0:
        return torch.ones(gt.shape, dtype=cost.dtype, device=cost.device)
    best = cost.masked_fill(~shortlist.valid, torch.inf).amin(dim=(2, 3), keepdim=True)
    # Where high is good costs are negative scores: score over best score. Else best cost over cost.
    relative = best / cost if score in ("code", "sum") else cost / best
    dense = shortlist.spread(relative.nan_to_num(1.0).clamp(0, 1), gt.shape[1])
    known = shortlist.spread(shortlist.valid, gt.shape[1])
    owner = gt.clamp(min=0)[:, None]
    own, scored = dense.gather(1, owner).squeeze(1), known.gather(1, owner).squeeze(1)
    return own.where(scored & (gt >= 0), 1.0)


def _softmax(
    values: Float[Tensor, "B M V K"], valid: Bool[Tensor, "B M V K"], over: SoftmaxOver
) -> Float[Tensor, "B M V K"]:
    values = values.masked_fill(~valid, -torch.inf)
    shares = values.softmax(dim=3) if over == "level" else values.flatten(2).softmax(2).view_as(values)
    return shares.masked_fill(~valid, 0)
