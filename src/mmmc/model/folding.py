"""Frozen BatchNorm folded into the convolution before it: the same numbers without two more passes over each map."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from timm.layers import FrozenBatchNormAct2d
from torch import Tensor, nn
from torchvision.ops import FrozenBatchNorm2d

from mmmc.errors import InputError

SMALL = 64
"""Side in pixels of the picture that a trunk is tried with."""


class FoldedNorm(nn.Module):
    """What is left of a frozen BatchNorm: its numbers, under their names, and the activation behind it, if it has one.

    Args:
        norm: the BatchNorm; its buffers are shared.
    """

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, norm: FrozenBatchNorm2d | FrozenBatchNormAct2d) -> None:
        super().__init__()
        for name in ("weight", "bias", "running_mean", "running_var"):
            self.register_buffer(name, getattr(norm, name))
        self.eps: float = norm.eps
        self.drop = getattr(norm, "drop", nn.Identity())
        self.act = getattr(norm, "act", nn.Identity())

    def scale_and_shift(self) -> tuple[Float[Tensor, " D"], Float[Tensor, " D"]]:
        """The norm as `x · scale + shift`."""
        scale = self.weight * (self.running_var + self.eps).rsqrt()
        return scale, self.bias - self.running_mean * scale

    def forward(self, x: Float[Tensor, "B D h w"]) -> Float[Tensor, "B D h w"]:
        return self.act(self.drop(x))


class FoldedConv2d(nn.Conv2d):
    """A convolution that scales and shifts as the frozen BatchNorm behind it would.

    It folds anew in each call, for the convolution's weight may be learning: a product of the size of the weight
    instead of two of the size of the map, forward and backward.

    Args:
        conv: the convolution; its parameters are shared.
        norm: the norm behind it, which is a module of the same trunk and not one of this convolution's own.
    """

    norm: FoldedNorm

    def __init__(self, conv: nn.Conv2d, norm: FoldedNorm) -> None:
        nn.Module.__init__(self)
        self.__dict__.update({name: value for name, value in vars(conv).items() if name != "_modules"})
        self.__dict__["norm"] = norm

    def forward(self, x: Float[Tensor, "B _ _ _"]) -> Float[Tensor, "B D h w"]:
        scale, shift = self.norm.scale_and_shift()
        if self.bias is not None:
            shift = shift + self.bias * scale
        return self._conv_forward(x, self.weight * scale[:, None, None, None], shift)


def fold_frozen_norms(trunk: nn.Module) -> None:
    """Fold every frozen BatchNorm of a trunk that reads the output of a convolution.

    Names and tensors of the trunk's state stay. Which norm reads which convolution is seen by running the trunk once on
    a small picture, without gradient and without drawing anything random.

    Raises:
        InputError: the trunk does not take that picture.
    """
    names = {module: name for name, module in trunk.named_modules()}
    made: list[tuple[nn.Conv2d, Any]] = []
    pairs: list[tuple[nn.Conv2d, nn.Module]] = []

    def seen(module: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        if type(module) is nn.Conv2d:
            made.append((module, output))
        else:
            pairs.extend((conv, module) for conv, made_of_it in made if made_of_it is inputs[0])

    watched = (nn.Conv2d, FrozenBatchNorm2d, FrozenBatchNormAct2d)
    hooks = [module.register_forward_hook(seen) for module in names if isinstance(module, watched)]
    training = trunk.training
    with torch.no_grad():
        try:
            trunk.eval()(next(trunk.parameters()).new_zeros(1, 3, SMALL, SMALL))
        except (AssertionError, RuntimeError, ValueError) as error:  # whatever a network has against the size
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(
                f"model.backbone does not take a picture of {SMALL} × {SMALL} px ({reason}); needed: a network for "
                "pictures of any size."
            ) from error
    trunk.train(training)
    for hook in hooks:
        hook.remove()
    for conv, norm in pairs:
        folded = FoldedNorm(norm)
        trunk.set_submodule(names[norm], folded)
        trunk.set_submodule(names[conv], FoldedConv2d(conv, folded))
