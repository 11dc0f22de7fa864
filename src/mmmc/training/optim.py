"""Optimiser, learning rate and averaged weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from mmmc.recipe import OptimizerConfig


def build_optimizer(model: nn.Module, config: OptimizerConfig, batch_size: int) -> torch.optim.Optimizer:
    """SGD or AdamW over weights, scales of normalisation, and biases, each with their rate and decay.

    What predicts the offsets of deformable convolutions has the rates of weights and biases times `offset_lr`.
    The learning rate is scaled from `lr_batch` to the batch, linearly for SGD (Goyal et al. 2017) and by the square
    root for AdamW. Each group keeps its own as `base_lr`.
    """
    groups: dict[str, list[nn.Parameter]] = {
        kind: [] for kind in ("weight", "norm", "bias", "offset weight", "offset bias")
    }
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            # A bias is called so; what else has one axis scales: GroupNorm, BatchNorm, the head's factor per level.
            kind = "bias" if name.endswith("bias") else "weight" if parameter.ndim > 1 else "norm"
            groups[f"offset {kind}" if ".offset." in name else kind].append(parameter)
    ratio = batch_size / config.lr_batch
    lr = config.lr * (ratio if config.kind == "sgd" else math.sqrt(ratio))
    settings = {
        "weight": (lr, config.weight_decay),
        "norm": (lr, config.norm_decay),
        "bias": (lr * config.bias_lr, config.bias_decay),
        "offset weight": (lr * config.offset_lr, config.weight_decay),
        "offset bias": (lr * config.offset_lr * config.bias_lr, config.bias_decay),
    }
    parameters = [
        {"params": members, "lr": settings[kind][0], "weight_decay": settings[kind][1], "base_lr": settings[kind][0]}
        for kind, members in groups.items()
        if members
    ]
    if config.kind == "adamw":
        return torch.optim.AdamW(parameters, fused=True)
    optimizer = torch.optim.SGD(parameters, momentum=config.momentum, fused=True)
    if config.momentum:
        # As the first step would make them. PyTorch leaves them as memory happens to be where that one is not finite.
        for parameter in (parameter for members in groups.values() for parameter in members):
            optimizer.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
    return optimizer


def take_step(optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], clip: float | None) -> None:
    """Clip the gradients' norm and step; gradients that are not finite change no weight, and nobody waits to know.

    Args:
        optimizer: of `build_optimizer`.
        parameters: what the norm is taken over.
        clip: largest norm; None for none.
    """
    norm = nn.utils.clip_grad_norm_(parameters, torch.inf if clip is None else clip)
    # What gradient scalers tell fused optimisers: at 1 they leave weights and moments as they are.
    optimizer.found_inf = (~norm.isfinite()).float()  # type: ignore[attr-defined]
    optimizer.step()


def lr_factor(step: int, total: int, config: OptimizerConfig) -> float:
    """What the learning rate is multiplied by at iteration `step`, counted from 0, of `total`."""
    if config.schedule == "step":
        factor = config.gamma ** sum(step >= round(share * total) for share in config.steps)
    else:
        factor = 0.5 * (1 + math.cos(math.pi * step / total))
    warmup = min(config.warmup, total // 10)
    if step < warmup:
        share = step / warmup if config.warmup_kind == "linear" else 0.0
        factor *= config.warmup_factor + (1 - config.warmup_factor) * share
    return factor


def set_lr(optimizer: torch.optim.Optimizer, factor: float) -> None:
    """Give every group its own rate times `factor`."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


class EMA:
    """Exponential moving average of a model's parameters; buffers are copied.

    The decay is `min(decay, (1 + n) / (10 + n))` at the n-th update, so that the start is soon forgotten.
    `n` is a Python number: torch's `AveragedModel` keeps it on the device and waits for it at every step.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.decay = decay
        self.updates = 0

    @torch.no_grad()
    def update(self, model: nn.Module) -> None:
        """Move towards the present parameters of `model`."""
        self.updates += 1
        decay = min(self.decay, (1 + self.updates) / (10 + self.updates))
        averaged: list[Tensor] = list(self.model.parameters())
        current: list[Tensor] = list(model.parameters())
        torch._foreach_lerp_(averaged, current, 1 - decay)
        copies = list(self.model.buffers())
        if copies:
            torch._foreach_copy_(copies, list(model.buffers()))

    def state_dict(self) -> dict[str, Tensor | int | Mapping[str, Tensor]]:
        """All that `load_state_dict` needs to go on exactly."""
        return {"model": self.model.state_dict(), "updates": self.updates}

    def load_state_dict(self, state: Mapping[str, object]) -> None:
        """Go on from `state_dict`."""
        self.model.load_state_dict(state["model"])  # type: ignore[arg-type]
        self.updates = int(state["updates"])  # type: ignore[call-overload]
