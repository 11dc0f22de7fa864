"""Where the detector looks: one point per cell of each pyramid level."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from mmmc.structures import Points


def make_points(
    shapes: Sequence[tuple[int, int]],
    strides: Sequence[int],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> Points:
    """Points at the centres of the cells, `(i + 0.5) · stride` (FCOS's `stride / 2 + i · stride`).

    Args:
        shapes: height and width of each level's map, finest first.
        strides: pixels between neighbouring points of each level.
        device: where the tensors are made.
        dtype: type of the coordinates; at least float32, since bfloat16 cannot tell 1020 from 1024.
    """
    xy, stride, level = [], [], []
    for index, ((height, width), step) in enumerate(zip(shapes, strides, strict=True)):
        x = (torch.arange(width, device=device, dtype=dtype) + 0.5) * step
        y = (torch.arange(height, device=device, dtype=dtype) + 0.5) * step
        grid_y, grid_x = torch.meshgrid(y, x, indexing="ij")
        xy.append(torch.stack([grid_x.flatten(), grid_y.flatten()], dim=1))
        stride.append(torch.full((height * width,), float(step), device=device, dtype=dtype))
        level.append(torch.full((height * width,), index, device=device, dtype=torch.long))
    return Points(
        xy=torch.cat(xy),
        stride=torch.cat(stride),
        level=torch.cat(level),
        shapes=tuple((height, width) for height, width in shapes),
        strides=tuple(strides),
    )
