"""Which of an object's candidates are positive, by their costs; many objects at once."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmmc.assign.shared.mixture import fit_mixture
from mmmc.assign.shared.rules import at_hand

Rule = Literal["a", "b", "c", "mean", "topk"]

CostScale = Literal["standard", "tenfold", "raw"]

ROUNDS, UNSEEN_ROUNDS = 100, 40
"""Of a mixture: at most, where the host sees that all fits have ended; and of every one, where it cannot look without
waiting for the device. What the difference decides: docs/performance.md."""

EQUAL = 1e-6
"""Costs whose range is below this share of their mean size are equal: there is nothing to part."""


def parted(
    cost: Float[Tensor, "N Q"], valid: Bool[Tensor, "N Q"], rule: Rule, *, scale: CostScale = "standard", topk: int = 9
) -> tuple[Bool[Tensor, "N Q"], Bool[Tensor, "N Q"]]:
    """Positive and ignored candidates of each row.

    A row with a valid entry has a positive: one candidate is positive, and of equal ones all are. A component with a
    large variance can claim candidates on the far side of the other component, or lose its own best to it; so no
    candidate beyond the worse component's mean belongs to the better one, and what is no worse than a member is a
    member.

    Args:
        cost: of each candidate, least is best; arbitrary where not valid.
        valid: which entries are candidates.
        rule: `a`: what belongs to the better component. `c`: of these, what is no worse than the component's most
            likely member. `b`: as `c`, and what lies between the most likely members of both components is ignored.
            `mean`: what is no worse than the mean. `topk`: the `topk` best.
        scale: `standard`: the costs of each row are brought to mean 0 and variance 1, and the mixture begins with
            variances of 1; `tenfold`: they are multiplied by 10 and it begins with 10, as the released code of MMMC
            does; `raw`: they stay as they are and it begins with 1, as PAA's.
        topk: for rule `topk`.
    """
    best = cost.masked_fill(~valid, torch.inf).amin(dim=1, keepdim=True)
    worst = cost.masked_fill(~valid, -torch.inf).amax(dim=1, keepdim=True)
    count = valid.sum(dim=1, keepdim=True)
    mean = cost.masked_fill(~valid, 0).sum(dim=1, keepdim=True) / count
    ignored = torch.zeros_like(valid)
    match rule:
        case "mean":
            positive = cost <= mean
        case "topk":
            ascending = cost.masked_fill(~valid, torch.inf).sort(dim=1).values
            positive = cost <= ascending[:, min(topk, cost.shape[1]) - 1, None]
        case "a" | "b" | "c":
            scaled = {"standard": _standardised(cost, valid, mean), "tenfold": 10 * cost, "raw": cost}[scale]
            variance = 10.0 if scale == "tenfold" else 1.0
            positive, ignored = _by_mixture(scaled.masked_fill(~valid, 0), valid, rule, variance)
    size = cost.abs().masked_fill(~valid, 0).sum(dim=1, keepdim=True) / count
    equal = worst - best < EQUAL * size
    positive = (positive | equal | (cost == best)) & valid
    return positive, ignored & valid & ~positive


def _standardised(
    cost: Float[Tensor, "N Q"], valid: Bool[Tensor, "N Q"], mean: Float[Tensor, "N 1"]
) -> Float[Tensor, "N Q"]:
    variance = (cost - mean).masked_fill(~valid, 0).square().sum(dim=1, keepdim=True) / valid.sum(dim=1, keepdim=True)
    # Equal costs have no variance; they are not parted anyway.
    return (cost - mean) / variance.sqrt().clamp(min=torch.finfo(cost.dtype).tiny)


def _by_mixture(
    cost: Float[Tensor, "N Q"], valid: Bool[Tensor, "N Q"], rule: Rule, variance: float
) -> tuple[Bool[Tensor, "N Q"], Bool[Tensor, "N Q"]]:
    """Positive and ignored entries by rules `a`, `b` and `c`."""
    seen = at_hand(cost)
    mixture = fit_mixture(cost, valid, variance=variance, max_iter=ROUNDS if seen else UNSEEN_ROUNDS, early_exit=seen)
    better = mixture.means.argmin(dim=1, keepdim=True)
    share = mixture.responsibilities().gather(2, better[..., None].expand(-1, cost.shape[1], -1)).squeeze(2)
    member = valid & (share >= 0.5) & (cost <= mixture.means.amax(dim=1, keepdim=True))
    member = valid & (cost <= cost.masked_fill(~member, -torch.inf).amax(dim=1, keepdim=True))
    if rule == "a":
        return member, torch.zeros_like(member)
    likelihood = mixture.log_likelihood()
    positive = member & (cost <= _mode(cost, likelihood, member))
    if rule == "c":
        return positive, torch.zeros_like(member)
    return positive, valid & (cost < _mode(cost, likelihood, valid & ~member)) & ~positive


def _mode(
    cost: Float[Tensor, "N Q"], likelihood: Float[Tensor, "N Q"], member: Bool[Tensor, "N Q"]
) -> Float[Tensor, "N 1"]:
    """Cost of the most likely member; of equally likely ones the best. Infinite where there is no member."""
    likelihood = likelihood.masked_fill(~member, -torch.inf)
    most = member & (likelihood == likelihood.amax(dim=1, keepdim=True))
    return cost.masked_fill(~most, torch.inf).amin(dim=1, keepdim=True)
