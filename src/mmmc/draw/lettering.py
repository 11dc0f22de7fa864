"""Text on pictures: the font, how wide a text is, and where a label does the least harm."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import matplotlib
import numpy as np
from PIL import ImageFont

Box = tuple[float, float, float, float]


@cache
def font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which comes with matplotlib, at this height in pixels."""
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf", size)


def shorten(text: str, limit: int = 26) -> str:
    """One line of at most `limit` characters; what was cut away is shown by an ellipsis."""
    # Control characters have no glyph, and the text engine refuses them.
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return line if len(line) <= limit else f"{line[: limit - 1].rstrip()}…"


def fit(text: str, size: int, width: float) -> str:
    """`text` cut, with an ellipsis, to at most `width` pixels in the font of this size; empty where nothing fits."""
    for limit in range(len(text), 0, -1):
        line = shorten(text, limit)
        if font(size).getlength(line) <= width:
            return line
    return ""


def place(boxes: Sequence[Box], sizes: Sequence[tuple[float, float]], picture: tuple[int, int]) -> list[Box]:
    """Where to put one label per box: inside the picture and, as far as there is room, not over another label.

    Args:
        boxes: what is labelled, most important first: earlier labels choose first.
        sizes: width and height of each label.
        picture: height and width of the picture.

    Returns:
        the rectangle of each label, `x1 y1 x2 y2`. The first free of: above the box, below it, inside at its top,
        inside at its bottom, each at the left, then at the right edge; else the one that covers the least.
    """
    height, width = picture
    taken = np.zeros((0, 4))
    for (x1, y1, x2, y2), (w, h) in zip(boxes, sizes, strict=True):
        corners = np.array([(x, y) for y in (y1 - h, y2, y1, y2 - h) for x in (x1, x2 - w)])
        # A label larger than the picture starts at its left and top edge.
        left_top = np.maximum(np.minimum(corners, (width - w, height - h)), 0.0)
        rectangles = np.concatenate([left_top, left_top + np.array((w, h))], axis=1)
        overlap = np.minimum(rectangles[:, None, 2:], taken[None, :, 2:]) - np.maximum(
            rectangles[:, None, :2], taken[None, :, :2]
        )
        covered = overlap.clip(min=0).prod(axis=-1).sum(axis=-1)
        taken = np.concatenate([taken, rectangles[covered.argmin()][None]])
    return [(float(x1), float(y1), float(x2), float(y2)) for x1, y1, x2, y2 in taken]
