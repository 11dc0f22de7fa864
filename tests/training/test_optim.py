"""Rates, decays, schedules and averages against numbers worked by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from mmmc.model import RFAConfig
from mmmc.model.rfa import DeformableConv
from mmmc.recipe import OptimizerConfig
from mmmc.training.optim import EMA, build_optimizer, lr_factor, set_lr, take_step


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.norm = nn.GroupNorm(2, 4)
        self.scales = nn.Parameter(torch.ones(5))
        self.frozen = nn.Conv2d(3, 4, 1).requires_grad_(False)


def groups(config: OptimizerConfig, batch_size: int = 16) -> dict[str, dict[str, float]]:
    """Rate and decay of each parameter, by its name."""
    model = Small()
    names = {parameter: name for name, parameter in model.named_parameters()}
    return {
        names[parameter]: {"lr": group["lr"], "decay": group["weight_decay"]}
        for group in build_optimizer(model, config, batch_size).param_groups
        for parameter in group["params"]
    }


def test_weights_scales_and_biases_have_their_own_rates_and_decays() -> None:
    config = OptimizerConfig(lr=0.01, weight_decay=1e-4, norm_decay=5e-5, bias_decay=0.0, bias_lr=2.0)
    assert groups(config) == {
        "conv.weight": {"lr": 0.01, "decay": 1e-4},
        "conv.bias": {"lr": 0.02, "decay": 0.0},
        "norm.weight": {"lr": 0.01, "decay": 5e-5},
        "norm.bias": {"lr": 0.02, "decay": 0.0},
        "scales": {"lr": 0.01, "decay": 5e-5},
    }


def test_the_rate_is_scaled_to_the_batch() -> None:
    linear = groups(OptimizerConfig(kind="sgd", lr=0.01, lr_batch=16), batch_size=4)
    root = groups(OptimizerConfig(kind="adamw", lr=0.01, lr_batch=16), batch_size=4)
    assert linear["conv.weight"]["lr"] == pytest.approx(0.0025)
    assert linear["conv.bias"]["lr"] == pytest.approx(0.005)
    assert root["conv.weight"]["lr"] == pytest.approx(0.005)


def test_the_optimizers_are_torch_s_own() -> None:
    sgd = build_optimizer(Small(), OptimizerConfig(momentum=0.8), 16)
    assert isinstance(sgd, torch.optim.SGD)
    assert {group["momentum"] for group in sgd.param_groups} == {0.8}
    assert isinstance(build_optimizer(Small(), OptimizerConfig(kind="adamw"), 16), torch.optim.AdamW)


def test_what_predicts_offsets_has_a_rate_of_its_own() -> None:
    model = nn.Module()
    model.layer = DeformableConv(4, RFAConfig())
    config = OptimizerConfig(lr=0.01, bias_lr=2.0, offset_lr=0.1, weight_decay=1e-4, bias_decay=1e-5)
    found = {
        tuple(parameter.shape): (group["lr"], group["weight_decay"])
        for group in build_optimizer(model, config, 16).param_groups
        for parameter in group["params"]
    }
    assert {shape: (pytest.approx(lr), decay) for shape, (lr, decay) in found.items()} == {
        (4, 4, 3, 3): (0.01, 1e-4),
        (4,): (0.02, 1e-5),
        (27, 4, 3, 3): (0.001, 1e-4),
        (27,): (0.002, 1e-5),
    }


@pytest.mark.parametrize("kind", ["sgd", "adamw"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("clip", [None, 1.0])
def test_gradients_that_are_not_finite_change_no_weight(kind: Any, bad: float, clip: float | None) -> None:
    model = Small()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = build_optimizer(model, OptimizerConfig(kind=kind), 16)

    def step(last: float) -> list[bool]:
        before = [parameter.detach().clone() for parameter in trained]
        for parameter in trained:
            parameter.grad = torch.ones_like(parameter)
        trained[-1].grad[-1] = last  # type: ignore[index]
        take_step(optimizer, trained, clip)
        return [torch.equal(a, b) for a, b in zip(before, trained, strict=True)]

    assert not any(step(1.0))
    assert all(step(bad))
    assert not any(step(1.0))
    assert all(parameter.isfinite().all() for parameter in trained)


def test_a_first_step_that_is_not_finite_leaves_no_momentum() -> None:
    """The steps after it are those of an optimiser that has not seen it."""
    ends = []
    for gradients in ((math.nan, 1.0, 2.0), (1.0, 2.0)):
        torch.manual_seed(0)
        model = Small()
        optimizer = build_optimizer(model, OptimizerConfig(), 16)
        trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
        # What memory happens to hold, as long as nobody writes to it.
        junk = [torch.full_like(parameter, 7.0) for parameter in trained for _ in range(99)]
        del junk
        for gradient in gradients:
            for parameter in trained:
                parameter.grad = torch.full_like(parameter, gradient)
            take_step(optimizer, trained, None)
        ends.append([parameter.detach().clone() for parameter in trained])
    for first, second in zip(*ends, strict=True):
        assert torch.equal(first, second)
    moments = [state["momentum_buffer"] for state in optimizer.state.values()]
    assert len(moments) == len(trained)
    assert not any(moment.requires_grad for moment in moments)


def test_clipping_by_hand() -> None:
    """A gradient of 3 and 4 has norm 5; clipped to 1 and at rate 0.1 it moves by 0.06 and 0.08."""
    weight = nn.Parameter(torch.zeros(2))
    optimizer = torch.optim.SGD([weight], lr=0.1, fused=True)
    weight.grad = torch.tensor([3.0, 4.0])
    take_step(optimizer, [weight], 1.0)
    assert weight.tolist() == pytest.approx([-0.06, -0.08], rel=1e-4)
    weight.grad = torch.tensor([3.0, 4.0])
    take_step(optimizer, [weight], None)
    assert weight.tolist() == pytest.approx([-0.36, -0.48], rel=1e-4)


def test_set_lr_keeps_the_ratio_of_the_groups() -> None:
    optimizer = build_optimizer(Small(), OptimizerConfig(lr=0.01), 16)
    for factor in (0.5, 0.1):
        set_lr(optimizer, factor)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(
            [0.01 * factor, 0.01 * factor, 0.02 * factor]
        )


def test_steps_of_the_published_schedule() -> None:
    config = OptimizerConfig()
    factors = {step: lr_factor(step, 90_000, config) for step in (0, 499, 500, 59_999, 60_000, 79_999, 80_000, 89_999)}
    assert factors == pytest.approx(
        {0: 1 / 3, 499: 1 / 3, 500: 1, 59_999: 1, 60_000: 0.1, 79_999: 0.1, 80_000: 0.01, 89_999: 0.01}
    )


def test_linear_warmup_and_cosine() -> None:
    config = OptimizerConfig(schedule="cosine", warmup=100, warmup_factor=0.1, warmup_kind="linear")

    def cosine(step: int) -> float:
        return 0.5 * (1 + math.cos(math.pi * step / 1000))

    assert lr_factor(0, 1000, config) == pytest.approx(0.1)
    assert lr_factor(50, 1000, config) == pytest.approx(0.55 * cosine(50))
    assert lr_factor(100, 1000, config) == pytest.approx(cosine(100))
    assert lr_factor(500, 1000, config) == pytest.approx(0.5)
    assert 0 < lr_factor(999, 1000, config) < 1e-5


def test_the_warmup_takes_at_most_a_tenth() -> None:
    config = OptimizerConfig(warmup=500)
    assert [lr_factor(step, 30, config) for step in (2, 3)] == pytest.approx([1 / 3, 1])
    assert lr_factor(0, 5, config) == 1
    assert lr_factor(0, 30, OptimizerConfig(warmup=0)) == 1


def test_the_average_by_hand() -> None:
    model = nn.BatchNorm1d(1)
    nn.init.zeros_(model.weight)
    ema = EMA(model, decay=0.3)
    assert not ema.model.training
    expected = 0.0
    # 2/11 and 3/12 are below the decay of 0.3; from the third update on it is the decay.
    for value, decay in ((1.0, 2 / 11), (2.0, 3 / 12), (3.0, 0.3), (4.0, 0.3)):
        nn.init.constant_(model.weight, value)
        nn.init.constant_(model.running_mean, value)
        ema.update(model)
        expected = decay * expected + (1 - decay) * value
        assert ema.model.weight.item() == pytest.approx(expected)
        assert ema.model.running_mean.item() == value
    assert ema.updates == 4


def test_the_average_goes_on_from_its_state() -> None:
    torch.manual_seed(0)
    model = nn.Linear(3, 2)
    first = EMA(model, decay=0.99)
    nn.init.normal_(model.weight)
    first.update(model)
    second = EMA(nn.Linear(3, 2), decay=0.99)
    second.load_state_dict(first.state_dict())
    nn.init.normal_(model.weight)
    for ema in (first, second):
        ema.update(model)
    assert torch.equal(first.model.weight, second.model.weight)
    assert first.updates == second.updates == 2
