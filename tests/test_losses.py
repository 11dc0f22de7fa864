"""Terms that know their divisors."""

from __future__ import annotations

import pytest
import torch

from mmmc.losses import Losses, Term


def term(total: float, norm: float, **options: float) -> Term:
    return Term(torch.tensor(total, requires_grad=True), torch.tensor(norm), **options)


def test_a_term_is_divided_by_its_norm_but_never_by_less_than_its_floor() -> None:
    losses = Losses({"class": term(6.0, 4.0), "empty": term(6.0, 0.0), "box": term(0.1, 0.2, floor=1e-6)})
    divided = losses.divided()
    assert [value.item() for value in divided.values()] == pytest.approx([1.5, 6.0, 0.5])
    assert losses.total().item() == pytest.approx(8.0)
    losses.total().backward()
    assert losses["class"].sum.grad == pytest.approx(0.25)
    assert losses["box"].sum.grad == pytest.approx(5.0)


def test_the_divisors_of_the_whole_step_take_the_place_of_the_batch_s_own() -> None:
    losses = Losses({"class": term(6.0, 4.0), "box": term(3.0, 1.0)})
    divisors = {"class": torch.tensor(8.0), "box": torch.tensor(0.5)}
    assert {name: value.item() for name, value in losses.divided(divisors).items()} == {"class": 0.75, "box": 6.0}
    assert losses.total(divisors).item() == 6.75
