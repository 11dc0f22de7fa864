"""The columns and rows of each level's points, and which of them lie on each picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmmc.structures import Points, Target


class LevelGrid(NamedTuple):
    """One level's points as columns and rows, in pixels.

    Attributes:
        x: of each column.
        y: of each row.
        columns: which of them lie on each picture rather than in its padding.
        rows: the same.
    """

    x: Float[Tensor, " w"]
    y: Float[Tensor, " h"]
    columns: Bool[Tensor, "B w"]
    rows: Bool[Tensor, "B h"]


def level_grids(points: Points, targets: Sequence[Target]) -> list[LevelGrid]:
    """Columns and rows of all levels, finest first."""
    grids, first = [], 0
    for height, width in points.shapes:
        x, y = points.xy[first : first + width, 0], points.xy[first : first + height * width : width, 1]
        columns = torch.stack([x < target.size[1] for target in targets])
        rows = torch.stack([y < target.size[0] for target in targets])
        grids.append(LevelGrid(x, y, columns, rows))
        first += height * width
    return grids


def open_levels(grids: Sequence[LevelGrid], boxes: Float[Tensor, "B M 4"]) -> Bool[Tensor, "B M L"]:
    """On which levels a point of the picture lies strictly in each box; where on none, the finest stands in."""
    x1, y1, x2, y2 = boxes[..., None].unbind(2)
    held = torch.stack(
        [
            ((grid.x > x1) & (grid.x < x2) & grid.columns[:, None]).any(dim=2)
            & ((grid.y > y1) & (grid.y < y2) & grid.rows[:, None]).any(dim=2)
            for grid in grids
        ],
        dim=2,
    )
    finest = held[..., :1] | ~held.any(dim=2, keepdim=True)
    return torch.cat([finest, held[..., 1:]], dim=2)
