"""Mixtures of two Gaussians over numbers, fitted to all rows of a batch at once by expectation maximisation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Mixture:
    """A fitted mixture for each row. Component 0 began at the row's least value, component 1 at its greatest.

    Attributes:
        weights: share of each component.
        means: of the components.
        variances: of the components.
        log_prob: logarithm of weight times density of each component at each value.
    """

    weights: Float[Tensor, "N 2"]
    means: Float[Tensor, "N 2"]
    variances: Float[Tensor, "N 2"]
    log_prob: Float[Tensor, "N 2 Q"]

    def responsibilities(self) -> Float[Tensor, "N Q 2"]:
        """The probability that a value is of a component."""
        return self.log_prob.softmax(dim=1).mT

    def log_likelihood(self) -> Float[Tensor, "N Q"]:
        """Logarithm of the mixture's density at each value."""
        return _likelihood(self.log_prob)


def fit_mixture(
    values: Float[Tensor, "N Q"],
    valid: Bool[Tensor, "N Q"],
    *,
    variance: float = 1.0,
    max_iter: int = 100,
    tol: float = 1e-3,
    reg: float = 1e-6,
    early_exit: bool = False,
) -> Mixture:
    """Fit a mixture to the valid values of each row.

    What scikit-learn's `GaussianMixture(2, reg_covar=reg, tol=tol, max_iter=max_iter)` does when it begins with weights
    of ½, means at the least and greatest value and this variance: a fit ends when the mean log-likelihood changes by
    less than `tol`, after which nothing of it changes. So all rows take `max_iter` rounds, for how many they need is
    known to the device only; or, with the same result, as many as the slowest needs, if the host may ask.
    A row without two different values is fitted without sense, but to finite numbers.

    Args:
        values: what is parted; arbitrary where not valid, also not finite.
        valid: which values take part.
        variance: that both components begin with.
        max_iter: rounds.
        tol: change of the mean log-likelihood at which a fit ends.
        reg: added to each variance.
        early_exit: ask after each round whether all fits ended, and stop if so. The host waits for the answer.
    """
    mask = valid.to(values.dtype)
    x = values.masked_fill(~valid, 0)
    count = mask.sum(dim=1).clamp(min=1)
    empty = ~valid.any(dim=1, keepdim=True)
    least = x.masked_fill(~valid, torch.inf).amin(dim=1, keepdim=True)
    greatest = x.masked_fill(~valid, -torch.inf).amax(dim=1, keepdim=True)
    means = torch.cat([least, greatest], dim=1).masked_fill(empty, 0)
    weights, variances = torch.full_like(means, 0.5), torch.full_like(means, variance)
    # Keeps a component that lost all its values from dividing by 0.
    least_mass = 10 * torch.finfo(x.dtype).eps
    before = torch.full_like(count, -torch.inf)
    ended = torch.zeros_like(count, dtype=torch.bool)
    for _ in range(max_iter):
        log_prob = _log_prob(x, weights, means, variances)
        likelihood = _likelihood(log_prob)
        share = (log_prob - likelihood[:, None]).exp() * mask[:, None]
        mass = share.sum(dim=2) + least_mass
        new_means = (share * x[:, None]).sum(dim=2) / mass
        new_variances = (share * (x[:, None] - new_means[..., None]).square()).sum(dim=2) / mass + reg
        kept = ended[:, None]
        weights = torch.where(kept, weights, mass / mass.sum(dim=1, keepdim=True))
        means, variances = torch.where(kept, means, new_means), torch.where(kept, variances, new_variances)
        now = (likelihood * mask).sum(dim=1) / count
        ended = ended | ((now - before).abs() < tol)
        before = now
        if early_exit and bool(ended.all()):
            break
    return Mixture(weights, means, variances, _log_prob(x, weights, means, variances))


def _log_prob(
    x: Float[Tensor, "N Q"], weights: Float[Tensor, "N 2"], means: Float[Tensor, "N 2"], variances: Float[Tensor, "N 2"]
) -> Float[Tensor, "N 2 Q"]:
    constant = weights.log() - 0.5 * (math.log(2 * math.pi) + variances.log())
    return constant[..., None] - 0.5 * (x[:, None] - means[..., None]).square() / variances[..., None]


def _likelihood(log_prob: Float[Tensor, "N 2 Q"]) -> Float[Tensor, "N Q"]:
    return torch.logaddexp(*log_prob.unbind(1))
