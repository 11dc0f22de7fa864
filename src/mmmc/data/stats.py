"""What a set holds, as numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from mmmc.data.sets import CocoSet
from mmmc.data.transforms import Resize

BANDS = ("small", "medium", "large")
"""COCO's: areas below 32² px, below 96² px, and above."""

_EDGES = (0.0, 32.0**2, 96.0**2, np.inf)


@dataclass(frozen=True, eq=False)
class Stats:
    """Numbers of one part of a set.

    Attributes:
        names: of the classes.
        crowds: regions of objects that are not told apart; nothing below counts them.
        labels: class index of each object.
        areas: as in the file, in square pixels of the file.
        drawn: areas of the boxes at the size of training, in its square pixels.
        aspects: width by height of each box.
        per_picture: objects of each picture.
        sizes: height and width of each picture.
    """

    names: tuple[str, ...]
    crowds: int
    labels: Int[np.ndarray, " m"]
    areas: Float[np.ndarray, " m"]
    drawn: Float[np.ndarray, " m"]
    aspects: Float[np.ndarray, " m"]
    per_picture: Int[np.ndarray, " n"]
    sizes: Int[np.ndarray, "n 2"]

    @property
    def per_class(self) -> Int[np.ndarray, " C"]:
        """Objects of each class."""
        return np.bincount(self.labels, minlength=len(self.names))

    def pictures_with(self) -> Int[np.ndarray, " C"]:
        """Pictures that show each class."""
        owners = np.repeat(np.arange(len(self.per_picture)), self.per_picture)
        pairs = np.unique(np.stack([owners, self.labels], axis=1), axis=0)
        return np.bincount(pairs[:, 1], minlength=len(self.names))


def stats(pictures: CocoSet, resize: Resize) -> Stats:
    """Count and measure the objects that training sees.

    Args:
        pictures: a part of a set.
        resize: the recipe's size of pictures.
    """
    counted = pictures.used & ~pictures.crowds
    owners = np.repeat(np.arange(len(pictures)), np.diff(pictures.offsets))[counted]
    sizes = np.stack([pictures.heights, pictures.widths], axis=1)
    after = np.array([resize.size(*size) for size in sizes.tolist()]).reshape(-1, 2)
    sides = (pictures.boxes[counted, 2:] - pictures.boxes[counted, :2]).astype(np.float64)
    return Stats(
        names=pictures.categories.names,
        crowds=int(pictures.crowds.sum()),
        labels=pictures.labels[counted],
        areas=pictures.areas[counted],
        drawn=sides.prod(axis=1) * (after / sizes).prod(axis=1)[owners],
        aspects=sides[:, 0] / sides[:, 1],
        per_picture=np.bincount(owners, minlength=len(pictures)),
        sizes=sizes,
    )


def bands(areas: Float[np.ndarray, " m"]) -> Int[np.ndarray, "3"]:
    """How many areas are small, medium and large."""
    return np.histogram(areas, bins=_EDGES)[0]


def quantiles(values: np.ndarray) -> list[float]:
    """Least, quartiles and greatest value; nothing of nothing."""
    return np.quantile(values, (0, 0.25, 0.5, 0.75, 1)).tolist() if len(values) else []
