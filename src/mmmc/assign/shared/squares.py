"""Virtual squares round the points, for rules that were written for anchors."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from mmmc.boxes import paired_iou
from mmmc.structures import Points


def iou_with_squares(points: Points, boxes: Float[Tensor, "M 4"], strides: float) -> Float[Tensor, "P M"]:
    """IoU of every object with the square round every point.

    Args:
        points: of the batch.
        boxes: of the objects of one picture, in pixels.
        strides: side of a point's square, in strides of its level.
    """
    xy = points.xy.to(boxes.dtype)
    half = strides / 2 * points.stride.to(boxes.dtype)[:, None]
    squares = torch.cat([xy - half, xy + half], dim=1)
    shape = (len(xy), len(boxes), 4)
    return paired_iou(squares[:, None].expand(shape), boxes.expand(shape))
