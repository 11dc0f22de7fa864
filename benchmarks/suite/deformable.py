"""RFA's layer: its row backend against torchvision's operator, and the whole layer against a plain 3×3.

Two maps: P3 of a ResNet-50's pyramid at 800 × 1344, and P3 of `small` at 192 × 320 with 8 pictures. The backends get
the same offsets, about half a cell long; the layer predicts its own. In bf16 both run under autocast from a bf16 map,
which is what a tower gets there; the deformable convolution itself stays in float32.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.ops import deform_conv2d

from benchmarks.detectors import PRECISIONS, autocast
from benchmarks.result import Row
from benchmarks.setting import Setting
from benchmarks.timing import interleaved, timed
from mmmc.model import RFAConfig
from mmmc.model.rfa import DeformableConv, deform_rows

MAPS = {"1 × 256 × 100 × 168": (1, 256, 100, 168), "8 × 64 × 24 × 40": (8, 64, 24, 40)}
"""Pictures, channels, height and width."""

TINY = {"1 × 8 × 6 × 10": (1, 8, 6, 10)}


def run(setting: Setting) -> list[Row]:
    """Forward without gradient, and forward with backward."""
    rows = []
    for name, shape in (TINY if setting.tiny else MAPS).items():
        rows += backends(name, shape, setting)
        for precision in PRECISIONS:
            rows += layers(name, shape, precision, setting)
    return rows


def backends(name: str, shape: tuple[int, int, int, int], setting: Setting) -> list[Row]:
    """The row backend and torchvision's operator on one map."""
    random = torch.Generator().manual_seed(0)
    batch, channels, height, width = shape

    def draw(*size: int) -> Tensor:
        return torch.randn(*size, generator=random).to(setting.device)

    x = draw(*shape).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight = (0.02 * draw(channels, channels, 3, 3)).requires_grad_()
    bias = torch.zeros(channels, device=setting.device, requires_grad=True)
    offsets = (0.5 * draw(batch, 18, height, width)).requires_grad_()
    mask = draw(batch, 9, height, width).sigmoid().requires_grad_()
    rivals = {
        "torchvision": lambda: deform_conv2d(x, offsets, weight, bias, padding=1, mask=mask),
        "rows": lambda: deform_rows(x, offsets, weight, bias, mask),
    }
    return both_ways(name, rivals, {"rows": "torchvision"}, "fp32", setting)


def layers(name: str, shape: tuple[int, int, int, int], precision: str, setting: Setting) -> list[Row]:
    """RFA's layer, which predicts its offsets, and the convolution that it replaces."""
    torch.manual_seed(0)
    channels = shape[1]
    deformable = DeformableConv(channels, RFAConfig(offset_init="normal"))
    deformable.reset_offsets()
    plain: nn.Module = nn.Conv2d(channels, channels, 3, padding=1)
    for layer in (deformable, plain):
        layer.to(setting.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    x = torch.randn(*shape).to(setting.device).contiguous(memory_format=torch.channels_last)
    x = (x.bfloat16() if precision == "bf16" else x).requires_grad_()
    rivals = {"plain": lambda: plain(x), "RFA": lambda: deformable(x)}
    return both_ways(name, rivals, {"RFA": "plain"}, precision, setting)


def both_ways(
    name: str, rivals: Mapping[str, Callable[[], Tensor]], against: Mapping[str, str], precision: str, setting: Setting
) -> list[Row]:
    """Rows of the rivals forward, and forward and backward."""

    def forward(run: Callable[[], Tensor]) -> None:
        with torch.no_grad(), autocast(precision, setting.device):
            run()

    def training(run: Callable[[], Tensor]) -> None:
        with autocast(precision, setting.device):
            output = run()
        output.float().sum().backward()

    rows = []
    for way, call in (("forward", forward), ("forward and backward", training)):
        clocks = {
            f"{rival}, {way}, {precision}, {name}": timed(partial(call, run), setting.device)
            for rival, run in rivals.items()
        }
        pairs = {
            f"{one}, {way}, {precision}, {name}": f"{other}, {way}, {precision}, {name}"
            for one, other in against.items()
        }
        rows += interleaved(clocks, pairs, setting.effort(seconds=40))
    return rows
