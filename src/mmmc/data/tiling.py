"""How a large picture is cut into tiles, to be predicted or to be trained on."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mmmc.errors import InputError

Window = tuple[int, int, int, int]
"""`x1 y1 x2 y2` of a tile, in pixels of the picture."""


@dataclass(frozen=True)
class Tiling:
    """How a picture is cut.

    Args:
        size: side of a tile in pixels; a picture that is nowhere larger is one tile.
        overlap: least share of a tile that the next one shows again. Objects up to this share of a tile are whole in
            one of them.
        whole: the picture as a whole is one more tile, for objects that are larger.
    """

    size: int = 640
    overlap: float = 0.2
    whole: bool = True

    def __post_init__(self) -> None:
        if self.size < 32:
            raise InputError(f"The tile is {self.size} pixels wide; allowed: at least 32.")
        if not 0 <= self.overlap <= 0.9:
            raise InputError(f"The overlap of tiles is {self.overlap}; allowed: 0 to 0.9.")

    def windows(self, height: int, width: int) -> list[Window]:
        """The tiles of a picture of this size, row by row, at even distances; last the whole, if it is one."""
        tiles = [
            (x, y, min(x + self.size, width), min(y + self.size, height))
            for y in self._starts(height)
            for x in self._starts(width)
        ]
        return [*tiles, (0, 0, width, height)] if self.whole and len(tiles) > 1 else tiles

    def _starts(self, side: int) -> list[int]:
        room = side - self.size
        if room <= 0:
            return [0]
        step = max(1, math.floor(self.size * (1 - self.overlap)))
        steps = math.ceil(room / step)
        return [round(room * k / steps) for k in range(steps + 1)]
