"""What tests of all criteria ask of their terms."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import nn

from mmmc.losses import Losses
from mmmc.testing import Scene, make_scene


def sums(found: Losses) -> dict[str, tuple[float, float]]:
    """Sum and norm of each term."""
    return {name: (term.sum.item(), term.norm.item()) for name, term in found.terms.items()}


def assert_reaches_all(detector: nn.Module) -> None:
    """Each parameter has a gradient, maybe 0: with several processes one without would be waited for."""
    for name, parameter in detector.named_parameters():
        assert parameter.grad is not None, f"{name} is not in the graph"
        assert parameter.grad.isfinite().all(), name


def assert_low_precision_is_widened(losses: Callable[[Scene], Losses]) -> None:
    """Logits in bfloat16 give what the same logits give in float32, under autocast too."""
    scene = make_scene(2)
    logits, quality = scene.prediction.logits.bfloat16(), scene.prediction.quality.bfloat16()
    low = scene._replace(prediction=replace(scene.prediction, logits=logits, quality=quality))
    wide = scene._replace(prediction=replace(scene.prediction, logits=logits.float(), quality=quality.float()))
    expected = sums(losses(wide))
    assert sums(losses(low)) == expected
    with torch.autocast("cpu", torch.bfloat16):
        assert sums(losses(wide)) == expected
    assert losses(low).total().dtype == torch.float32
