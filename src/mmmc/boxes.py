"""Geometry of boxes `x1 y1 x2 y2`, paired element by element. Pairwise IoU is `torchvision.ops.box_iou`."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

EPSILON = 1e-7
"""Least area in square pixels that anything is divided by."""


def area(boxes: Float[Tensor, "*shape 4"]) -> Float[Tensor, "*shape"]:
    """Width times height, in square pixels."""
    x1, y1, x2, y2 = boxes.unbind(-1)
    return (x2 - x1) * (y2 - y1)


def paired_iou(first: Float[Tensor, "*shape 4"], second: Float[Tensor, "*shape 4"]) -> Float[Tensor, "*shape"]:
    """Intersection over union of each box with its partner, in 0..1; 0 where both are without area."""
    intersection, union = _intersection_and_union(first, second)
    return intersection / union.clamp(min=EPSILON)


def paired_giou(first: Float[Tensor, "*shape 4"], second: Float[Tensor, "*shape 4"]) -> Float[Tensor, "*shape"]:
    """Generalised IoU of each box with its partner, in -1..1 (Rezatofighi et al. 2019); 0 where both are a point."""
    # torchvision's loss of this name selects by a mask, for which the host must wait for the device.
    intersection, union = _intersection_and_union(first, second)
    (left, top, right, bottom), (x1, y1, x2, y2) = first.unbind(-1), second.unbind(-1)
    enclosing = (right.maximum(x2) - left.minimum(x1)) * (bottom.maximum(y2) - top.minimum(y1))
    return intersection / union.clamp(min=EPSILON) - (enclosing - union) / enclosing.clamp(min=EPSILON)


def _intersection_and_union(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    # Coordinate by coordinate: pairs of coordinates would be copied, and read with gaps.
    (left, top, right, bottom), (x1, y1, x2, y2) = first.unbind(-1), second.unbind(-1)
    width = (right.minimum(x2) - left.maximum(x1)).clamp(min=0)
    height = (bottom.minimum(y2) - top.maximum(y1)).clamp(min=0)
    intersection = width * height
    return intersection, area(first) + area(second) - intersection


def distances(xy: Float[Tensor, "*#shape 2"], boxes: Float[Tensor, "*#shape 4"]) -> Float[Tensor, "*#shape 4"]:
    """Distances `left top right bottom` in pixels from points to the sides of boxes, broadcast; negative outside."""
    return torch.cat([xy - boxes[..., :2], boxes[..., 2:] - xy], dim=-1)


def center_offsets(
    xy: Float[Tensor, "*#shape 2"], boxes: Float[Tensor, "*#shape 4"]
) -> tuple[Float[Tensor, "*#shape"], Float[Tensor, "*#shape"]]:
    """How far points lie to the right of the centres of boxes and below them, in pixels, broadcast."""
    # Coordinate by coordinate: arithmetic over a last axis of two is several times slower.
    (x, y), (x1, y1, x2, y2) = xy.unbind(-1), boxes.unbind(-1)
    return x - (x1 + x2) / 2, y - (y1 + y2) / 2


def squared_center_distance(
    xy: Float[Tensor, "*#shape 2"], boxes: Float[Tensor, "*#shape 4"]
) -> Float[Tensor, "*#shape"]:
    """Squared distance from the centres of boxes to points, in square pixels, broadcast."""
    right, down = center_offsets(xy, boxes)
    return right.square() + down.square()


def centerness(ltrb: Float[Tensor, "*shape 4"]) -> Float[Tensor, "*shape"]:
    """FCOS's centerness `sqrt(min(l,r)/max(l,r) · min(t,b)/max(t,b))` (Tian et al. 2019, Eq. 3).

    1 in the middle of a box, 0 on its border and, by definition here, 0 for a point outside.
    """
    left, top, right, bottom = ltrb.clamp(min=0).unbind(-1)
    horizontal = left.minimum(right) / left.maximum(right).clamp(min=1e-7)
    vertical = top.minimum(bottom) / top.maximum(bottom).clamp(min=1e-7)
    return (horizontal * vertical).sqrt()
