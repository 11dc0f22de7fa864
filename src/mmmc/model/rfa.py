"""RFA, the receptive field adaptor: one deformable convolution in each tower (the paper's section 3.1)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import torch
from jaxtyping import Float, Int32
from torch import Tensor, nn
from torch.nn.functional import conv2d, embedding_bag
from torchvision.ops import deform_conv2d

from mmmc.errors import InputError

TAPS = 9
"""Of a 3×3 kernel, row by row; tap 4 is the middle."""

CHUNK = 2048
"""Positions that the row backend samples at once where no gradient is kept: 19 MB of columns with 256 channels. From
32 MB on glibc would fetch them from the system each time."""


@dataclass(frozen=True)
class RFAConfig:
    """Where each tower gets a receptive field of its own, and by which layer.

    Args:
        class_position: convolution of the class tower that is replaced, counted from 1, which is the paper's; 0 for
            none.
        box_position: the same in the box tower.
        kind: a `deformable` convolution; or what the paper names beside it, which is the same at every point: a
            `dilated` convolution in that place, or an `extra` ordinary convolution before it.
        modulated: weigh each tap by a learned mask (DCNv2, Zhu et al. 2019); without it DCNv1 (Dai et al. 2017).
        mask: `double` is 2 · sigmoid, so that untrained offsets leave an ordinary convolution; `plain` is sigmoid,
            the authors' form, which begins with half of it.
        offset_init: weights of the layer that predicts offsets: `zero`, or `normal` with deviation 0.01, the
            authors' form.
        max_offset: largest offset in cells, by `max · tanh(offset / max)`; `null` for no bound.
        dilation: of the dilated convolution.
    """

    class_position: int = 0
    box_position: int = 0
    kind: Literal["deformable", "dilated", "extra"] = "deformable"
    modulated: bool = True
    mask: Literal["double", "plain"] = "double"
    offset_init: Literal["zero", "normal"] = "zero"
    max_offset: float | None = None
    dilation: int = 2

    def __post_init__(self) -> None:
        for name, least in (("class_position", 0), ("box_position", 0), ("dilation", 1)):
            if getattr(self, name) < least:
                raise InputError(f"model.rfa.{name} is {getattr(self, name)}; allowed: at least {least}.")
        if self.max_offset is not None and not self.max_offset > 0:
            raise InputError(f"model.rfa.max_offset is {self.max_offset}; allowed: a number above 0, or null.")


class Offsets(nn.Conv2d):
    """Predicts offsets and masks; zero until trained."""

    def reset_parameters(self) -> None:
        nn.init.zeros_(self.weight)
        nn.init.zeros_(self.bias)  # type: ignore[arg-type]


class DeformableConv(nn.Conv2d):
    """A 3×3 convolution, stride 1, whose nine taps are moved and weighed at each point by what the map shows there.

    It is an ordinary convolution with a second one, `offset`, that predicts for each tap how far it moves down and
    right, in cells, and with DCNv2 its mask. Offsets, mask and sampling are float32 also under autocast; `rows` leaves
    the product with the weights to autocast's precision.

    Two backends compute the same: `rows` is several times faster on a CPU, `torchvision` runs on a GPU and in
    exported graphs. `backend = "auto"` takes `rows` for tensors on a CPU.

    Args:
        channels: of input and output.
        config: DCNv1 or DCNv2, mask, bound.
    """

    backend: Literal["auto", "rows", "torchvision"] = "auto"

    def __init__(self, channels: int, config: RFAConfig) -> None:
        super().__init__(channels, channels, 3, padding=1)
        self.modulated = config.modulated
        self.mask_factor = 2.0 if config.mask == "double" else 1.0
        self.max_offset = config.max_offset
        self.offset = Offsets(channels, (3 if config.modulated else 2) * TAPS, 3, padding=1)
        self.offset_init = config.offset_init

    def reset_offsets(self) -> None:
        """Initialise the layer that predicts offsets.

        A head calls it last, so that all its other layers draw the same values with and without RFA.
        """
        self.offset.reset_parameters()
        if self.offset_init == "normal":
            nn.init.normal_(self.offset.weight, std=0.01)

    def sampling(
        self, features: Float[Tensor, "B D h w"]
    ) -> tuple[Float[Tensor, "B 18 h w"], Float[Tensor, "B 9 h w"]]:
        """How far each tap moves, `down right` in cells, tap by tap; and its factor."""
        predicted = self.offset(features)
        offsets = predicted[:, : 2 * TAPS]
        if self.max_offset is not None:
            offsets = self.max_offset * (offsets / self.max_offset).tanh()
        if not self.modulated:
            return offsets, torch.ones_like(offsets[:, :TAPS])
        return offsets, self.mask_factor * predicted[:, 2 * TAPS :].sigmoid()

    def forward(self, features: Float[Tensor, "B D h w"]) -> Float[Tensor, "B E h w"]:
        device = features.device.type
        precision = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else self.weight.dtype
        with torch.autocast(device, enabled=False):
            features = features.to(self.weight.dtype)
            offsets, mask = self.sampling(features)
            on_rows = device == "cpu" if self.backend == "auto" else self.backend == "rows"
            if on_rows:
                return deform_rows(features, offsets, self.weight.to(precision), self.bias, mask)
            if not torch.compiler.is_exporting():
                # The operator reads wherever an offset that is no number points. The mask carries it on to the loss.
                unknown = offsets.isnan()
                mask = mask.masked_fill(unknown.unflatten(1, (TAPS, 2)).any(dim=2), torch.nan)
                offsets = offsets.masked_fill(unknown, 0.0)
            return deform_conv2d(features, offsets, self.weight, self.bias, padding=1, mask=mask)


def deform_rows(
    features: Float[Tensor, "B D h w"],
    offsets: Float[Tensor, "B 18 h w"],
    weight: Float[Tensor, "E D 3 3"],
    bias: Float[Tensor, " E"] | None,
    mask: Float[Tensor, "B 9 h w"],
) -> Float[Tensor, "B E h w"]:
    """Deformable 3×3 convolution as weighted sums of rows of a channels-last map, followed by one matrix product.

    Equal to torchvision's `deform_conv2d` with padding 1: a corner outside the map counts as 0, and the derivative
    at a whole cell is the one towards larger coordinates.

    Args:
        features: the map.
        offsets: how far each tap moves, `down right` in cells, tap by tap.
        weight: of the convolution; the product with it has its precision, and so has the result.
        bias: of the convolution.
        mask: factor of each tap.
    """
    batch, channels, height, width = features.shape
    index, share = corners(offsets, mask)
    table = features.permute(0, 2, 3, 1).reshape(-1, channels)
    kernel = weight.permute(0, 2, 3, 1).reshape(-1, TAPS * channels)
    # Chunks bound the memory of the columns. With gradients they are kept anyway, and each chunk would have a gradient
    # of the size of the whole map.
    size = TAPS * (max(batch * height * width, 1) if torch.is_grad_enabled() else CHUNK)
    chunks = [
        product(weighted_rows(table, rows, shares).view(-1, TAPS * channels).to(kernel.dtype), kernel)
        for rows, shares in zip(index.split(size), share.split(size), strict=True)
    ]
    output = torch.cat(chunks) if bias is None else torch.cat(chunks) + bias.to(kernel.dtype)
    return output.view(batch, height, width, weight.shape[0]).permute(0, 3, 1, 2)


def weighted_rows(
    table: Float[Tensor, "cells D"], index: Int32[Tensor, "bags 4"], share: Float[Tensor, "bags 4"]
) -> Float[Tensor, "bags D"]:
    """For each bag the sum of its rows of the table, each times its share.

    PyTorch's own gradient of the table adds up row by row; here it is a weighted sum of rows too (`TableGradient`).
    """
    sums = embedding_bag(index, table.detach(), per_sample_weights=share, mode="sum")
    return TableGradient.apply(sums, table, index, share.detach())


def product(columns: Float[Tensor, "N K"], kernel: Float[Tensor, "E K"]) -> Float[Tensor, "N E"]:
    """`columns` times `kernel` transposed, as a 1×1 convolution where that is possible.

    PyTorch hands convolutions to oneDNN, which is up to a third faster than the library of its matrix products; but of
    those of fewer than 16 pictures it makes matrix products again, if it has a single thread.
    """
    if len(columns) == 0 or len(columns) % 16:
        return columns @ kernel.mT
    maps = columns.view(16, -1, 1, columns.shape[1]).permute(0, 3, 1, 2)
    return conv2d(maps, kernel[:, :, None, None]).permute(0, 2, 3, 1).reshape(len(columns), -1)


class TableGradient(torch.autograd.Function):
    """Hands its first argument on, and in the backward pass the table its gradient.

    A row's gradient is the weighted sum of the gradients of all bags that it is in. So with the bags sorted by row it
    comes from the same vector code as the sums themselves.
    """

    @staticmethod
    def forward(
        ctx: Any,
        sums: Float[Tensor, "bags D"],
        table: Float[Tensor, "cells D"],
        index: Int32[Tensor, "bags 4"],
        share: Float[Tensor, "bags 4"],
    ) -> Float[Tensor, "bags D"]:
        ctx.save_for_backward(index, share)
        ctx.cells = len(table)
        return sums.view_as(sums)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        index, share = ctx.saved_tensors
        cell, order = index.flatten().sort(stable=True)
        first = torch.searchsorted(cell, torch.arange(ctx.cells, device=cell.device, dtype=cell.dtype), out_int32=True)
        shares = share.flatten()[order]
        bags = (order >> 2).int()  # of four rows each
        table = embedding_bag(bags, gradient.contiguous(), first, per_sample_weights=shares, mode="sum")
        return gradient, table, None, None


def corners(
    offsets: Float[Tensor, "B 18 h w"], mask: Float[Tensor, "B 9 h w"]
) -> tuple[Int32[Tensor, "bags 4"], Float[Tensor, "bags 4"]]:
    """The four cells round each sampled position, as rows of the batch's table, and what each contributes.

    Returns:
        For `B · h · w · 9` taps, tap last: the rows, and their bilinear shares times the mask, 0 for a cell outside.
    """
    batch, _, height, width = offsets.shape
    moved = offsets.view(batch, TAPS, 2, height, width).permute(0, 3, 4, 1, 2)
    tap = torch.arange(TAPS, device=offsets.device)
    y = torch.arange(height, device=offsets.device).view(-1, 1, 1) + (tap // 3 - 1) + moved[..., 0]
    x = torch.arange(width, device=offsets.device).view(-1, 1) + (tap % 3 - 1) + moved[..., 1]
    first = torch.arange(batch, device=offsets.device, dtype=torch.int32).view(-1, 1, 1, 1) * (height * width)
    factor = mask.permute(0, 2, 3, 1)
    rows = [(first + row * width, share * factor) for row, share in neighbours(y, height)]
    columns = neighbours(x, width)
    index = torch.stack([row + column for row, _ in rows for column, _ in columns], dim=-1)
    share = torch.stack([vertical * horizontal for _, vertical in rows for _, horizontal in columns], dim=-1)
    return index.view(-1, 4), share.view(-1, 4)


def neighbours(
    position: Float[Tensor, "*taps"], size: int
) -> list[tuple[Int32[Tensor, "*taps"], Float[Tensor, "*taps"]]]:
    """The two cells round each position along one side of a map, each with its share, which is 0 for a cell outside."""
    # What is no number has no cell: it takes the first, and a share that is none either.
    low = position.floor().detach().nan_to_num()
    beyond = position - low
    return [
        (cell.clamp(0, size - 1).int(), share.masked_fill((cell < 0) | (cell >= size), 0))
        for cell, share in ((low, 1 - beyond), (low + 1, beyond))
    ]
