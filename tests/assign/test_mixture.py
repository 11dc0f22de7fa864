"""The mixture against scikit-learn's, and what holds for rows side by side."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from mmmc.assign.shared import mixture
from mmmc.assign.shared.mixture import fit_mixture


def scikit(values: np.ndarray, variance: float) -> GaussianMixture:
    mixture = GaussianMixture(
        2,
        weights_init=[0.5, 0.5],
        means_init=[[values.min()], [values.max()]],
        precisions_init=np.full((2, 1, 1), 1 / variance),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return mixture.fit(values[:, None])


def problems(count: int) -> list[np.ndarray]:
    """Problems of 2 to 18 values: spread, in two groups, with duplicates, near-equal, with an outlier; of any size."""
    random = np.random.default_rng(0)
    made = []
    for number in range(count):
        n = int(random.integers(2, 19))
        values = [
            random.normal(size=n),
            random.choice([0.0, 3.0], n) + 0.3 * random.normal(size=n),
            random.integers(0, 4, n).astype(float),
            1 + 1e-4 * random.normal(size=n),
            np.append(random.normal(size=n - 1), 50.0),
            np.exp(random.normal(size=n)),
        ][number % 6]
        made.append(values * [1.0, 1e-6, 1e3, 0.3][number // 6 % 4])
    return made


def side_by_side(rows: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Rows of different length as one tensor, and which entries are valid; the others are not finite."""
    width = max(map(len, rows))
    values = torch.full((len(rows), width), torch.nan, dtype=torch.float64)
    for row, given in zip(values, rows, strict=True):
        row[: len(given)] = torch.from_numpy(given)
    return values, values.isfinite()


@pytest.mark.parametrize(
    ("variance", "standard"), [(1.0, True), (1.0, False), (10.0, False)], ids=["standardised", "raw", "code"]
)
def test_decides_as_scikit_learn(variance: float, standard: bool) -> None:
    rows = problems(1000 if standard else 300)
    if standard:
        rows = [(row - row.mean()) / row.std() if row.std() > 1e-6 * abs(row).mean() else row for row in rows]
    values, valid = side_by_side(rows)
    ours = fit_mixture(values, valid, variance=variance)
    shares = ours.responsibilities()
    excused = 0
    for number, row in enumerate(rows):
        theirs = scikit(row, variance)
        expected = theirs.predict_proba(row[:, None])
        mine = shares[number, : len(row)].numpy()
        differs = mine.argmax(1) != expected.argmax(1)
        near = np.abs(mine[:, 0] - mine[:, 1]) < 1e-9
        excused += int((differs & near).sum())
        assert not (differs & ~near).any(), f"problem {number}: {row}"
        np.testing.assert_allclose(ours.means[number], theirs.means_[:, 0], rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(ours.weights[number], theirs.weights_, rtol=1e-6, atol=1e-9)
        np.testing.assert_allclose(ours.variances[number], theirs.covariances_[:, 0, 0], rtol=1e-5, atol=1e-12)
        likelihood = ours.log_likelihood()[number, : len(row)]
        np.testing.assert_allclose(likelihood, theirs.score_samples(row[:, None]), rtol=1e-5, atol=1e-6)
    # Rows of equal or, beside the floor of the variance, very close values: both components claim each alike.
    assert excused <= 0.01 * int(valid.sum()), excused


def test_float32_decides_the_same_on_standardised_values() -> None:
    rows = [(row - row.mean()) / row.std() for row in problems(4000) if row.std() > 1e-6 * abs(row).mean()]
    values, valid = side_by_side(rows)
    wide = fit_mixture(values, valid).responsibilities().argmax(2)[valid]
    narrow = fit_mixture(values.float(), valid).responsibilities().argmax(2)[valid]
    assert (wide != narrow).double().mean() <= 0.001


def test_two_groups_by_hand() -> None:
    """Values 0, 2 and 100, 104, far apart: each component has one group's mean and variance, and half of the weight."""
    fitted = fit_mixture(torch.tensor([[0.0, 100, 2, 104]]).double(), torch.ones(1, 4, dtype=torch.bool))
    torch.testing.assert_close(fitted.weights, torch.tensor([[0.5, 0.5]]).double())
    torch.testing.assert_close(fitted.means, torch.tensor([[1.0, 102]]).double())
    torch.testing.assert_close(fitted.variances, torch.tensor([[1.0 + 1e-6, 4 + 1e-6]]).double())
    # At 2: log ½ − ½ log 2π − ½ (2 − 1)².
    expected = math.log(0.5) - 0.5 * math.log(2 * math.pi) - 0.5
    assert fitted.log_likelihood()[0, 2].item() == pytest.approx(expected, abs=1e-5)


def test_rows_do_not_see_one_another_nor_entries_that_are_not_valid() -> None:
    rows = problems(60)
    values, valid = side_by_side(rows)
    together = fit_mixture(values, valid)
    for number, row in enumerate(rows):
        given = torch.from_numpy(row)[None]
        alone = fit_mixture(given, torch.ones_like(given, dtype=torch.bool))
        torch.testing.assert_close(together.means[number], alone.means[0], rtol=1e-9, atol=1e-12)
        torch.testing.assert_close(
            together.responsibilities()[number, : len(row)], alone.responsibilities()[0], rtol=1e-6, atol=1e-9
        )


def test_order_of_values_does_not_matter() -> None:
    values, valid = side_by_side(problems(60))
    order = torch.randperm(values.shape[1], generator=torch.Generator().manual_seed(0))
    first = fit_mixture(values, valid).responsibilities()[:, order]
    second = fit_mixture(values[:, order], valid[:, order]).responsibilities()
    kept = valid[:, order]
    torch.testing.assert_close(first[kept], second[kept], rtol=1e-6, atol=1e-9)


def test_rows_without_two_values_stay_finite() -> None:
    values = torch.tensor([[torch.nan, torch.inf, 1.0], [torch.nan] * 3, [2.0, 2.0, 2.0]])
    fitted = fit_mixture(values, torch.tensor([[False, False, True], [False] * 3, [True] * 3]))
    for name in ("weights", "means", "variances", "log_prob"):
        assert getattr(fitted, name).isfinite().all(), name


def test_no_row_at_all() -> None:
    fitted = fit_mixture(torch.zeros(0, 18), torch.zeros(0, 18, dtype=torch.bool))
    assert fitted.responsibilities().shape == (0, 18, 2)


def test_a_fit_that_ended_stays_as_it_is() -> None:
    """After the round in which the likelihood changes by less than `tol` more rounds change nothing."""
    values, valid = side_by_side(problems(60))
    assert torch.equal(fit_mixture(values, valid, max_iter=400).means, fit_mixture(values, valid, max_iter=300).means)


def test_an_early_exit_changes_nothing_but_the_number_of_rounds(monkeypatch: pytest.MonkeyPatch) -> None:
    values, valid = side_by_side([*problems(60), np.zeros(0)])
    rounds: list[int] = []
    real = mixture._log_prob
    monkeypatch.setattr(mixture, "_log_prob", lambda *given: (rounds.append(1), real(*given))[1])
    whole, numbers = fit_mixture(values, valid), [len(rounds)]
    early = fit_mixture(values, valid, early_exit=True)
    numbers.append(len(rounds) - numbers[0])
    for name in ("weights", "means", "variances", "log_prob"):
        assert torch.equal(getattr(early, name), getattr(whole, name)), name
    assert numbers[0] == 101
    assert numbers[1] < 101
