"""Mixtures of two Gaussians, fitted to all rows of a batch at once."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Mixture:
    weights: Float[Tensor, "N 2"]
    means: Float[Tensor, "N 2"]
    variances: Float[Tensor, "N 2"]
    log_prob: Float[Tensor, "N Q 2"]

    def responsibilities(self) -> Float[Tensor, "N Q 2"]:
        return self.log_prob.softmax(dim=2)

    def log_likelihood(self) -> Float[Tensor, "N Q"]:
        return self.log_prob.logsumexp(dim=2)


def fit_mixture(
    values: Float[Tensor, "N Q"],
    valid: Bool[Tensor, "N Q"],
    *,
    variance: float = 1.0,
    max_iter: int = 100,
    tol: float = 1e-3,
    reg: float = 1e-6,
) -> Mixture:
    x = values.masked_fill(~valid, 0)
    mask = valid.to(x.dtype)
    count = mask.sum(dim=1).clamp(min=1)
    low = values.masked_fill(~valid, torch.inf).amin(dim=1)
    high = values.masked_fill(~valid, -torch.inf).amax(dim=1)
    means = torch.stack([low, high], dim=1).nan_to_num(0, 0, 0)
    weights = torch.full_like(means, 0.5)
    variances = torch.full_like(means, variance)
    previous = torch.full_like(low, -torch.inf)
    done = torch.zeros_like(low, dtype=torch.bool)
    eps = 10 * torch.finfo(x.dtype).eps

    def log_prob() -> Tensor:
        return (
            weights.log()[:, None]
            - 0.5 * (math.log(2 * math.pi) + variances.log()[:, None])
            - 0.5 * (x[..., None] - means[:, None]).square() / variances[:, None]
        )

    for _ in range(max_iter):
        lp = log_prob()
        total = lp.logsumexp(dim=2)
        bound = (total * mask).sum(dim=1) / count
        share = (lp - total[..., None]).exp() * mask[..., None]
        mass = share.sum(dim=1) + eps
        new_means = (share * x[..., None]).sum(dim=1) / mass
        new_variances = (share * (x[..., None] - new_means[:, None]).square()).sum(dim=1) / mass + reg
        new_weights = mass / mass.sum(dim=1, keepdim=True)
        keep = done[:, None]
        means, variances, weights = (
            torch.where(keep, means, new_means),
            torch.where(keep, variances, new_variances),
            torch.where(keep, weights, new_weights),
        )
        done = done | ((bound - previous).abs() < tol)
        previous = bound
    return Mixture(weights, means, variances, log_prob())
