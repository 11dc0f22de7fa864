"""Mixtures of 512 objects with 18 values each: one batched fit against scikit-learn's, one an object."""

from __future__ import annotations

import warnings

import numpy as np
import torch

from benchmarks.result import Row
from benchmarks.setting import Setting
from benchmarks.timing import interleaved, timed
from mmmc.assign.shared.mixture import fit_mixture
from mmmc.assign.shared.rules import at_hand
from mmmc.errors import InputError

OBJECTS, VALUES = 512, 18


def run(setting: Setting) -> list[Row]:
    """Seconds of all fits; the batched one in float32, as assigners have it."""
    values = costs(8 if setting.tiny else OBJECTS)
    batched = values.float().to(setting.device)
    valid = torch.ones_like(batched, dtype=torch.bool)
    clocks = {
        "scikit-learn": timed(lambda: one_by_one(values.numpy()), setting.device),
        "batched": timed(lambda: fit_mixture(batched, valid, early_exit=at_hand(batched)), setting.device),
    }
    return interleaved(clocks, {"batched": "scikit-learn"}, setting.effort(within=0.05))


def costs(objects: int) -> torch.Tensor:
    """Standardised values of each object: some low, most high, as costs of candidates are."""
    random = torch.Generator().manual_seed(0)
    low = torch.rand(objects, 1, generator=random) < torch.linspace(0.9, 0.0, VALUES)
    values = torch.randn(objects, VALUES, generator=random, dtype=torch.float64) - 3.0 * low
    return (values - values.mean(1, keepdim=True)) / values.std(1, keepdim=True)


def one_by_one(values: np.ndarray) -> None:
    """scikit-learn's fit of each row from the same start and to the same end."""
    try:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.mixture import GaussianMixture
    except ImportError as error:
        raise InputError(
            "The mixture is measured against scikit-learn, which is not installed: pip install '.[dev]'."
        ) from error
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for row in values:
            GaussianMixture(
                2,
                tol=1e-3,
                reg_covar=1e-6,
                max_iter=100,
                weights_init=[0.5, 0.5],
                means_init=[[row.min()], [row.max()]],
                precisions_init=[[[1.0]], [[1.0]]],
            ).fit(row[:, None])
