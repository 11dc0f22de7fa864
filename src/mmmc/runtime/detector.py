"""From pictures to detections through a file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import groupby, islice
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from mmmc.errors import InputError
from mmmc.rgb import array_to_rgb, image_to_rgb, read_rgb, require_several
from mmmc.runtime.description import Description
from mmmc.runtime.opening import OPENERS, Run


@dataclass(frozen=True)
class Detections:
    """Boxes found in one picture, best score first.

    Attributes:
        boxes: `x1 y1 x2 y2` in pixels of the picture as displayed, `N 4`, float32.
        scores: `N`, float32.
        labels: class indices, `N`, int64.
    """

    boxes: np.ndarray
    scores: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.scores)


class FileDetector:
    """A detector in a file, which takes pictures as people have them.

    Args:
        description: what the file says of itself.
        run: what computes.

    Example:
        >>> detector = mmmc.runtime.load("runs/cells/best.onnx")
        >>> for found in detector(["a.jpg", "b.png"]):
        ...     print(found.boxes, found.scores, [detector.names[label] for label in found.labels])
    """

    def __init__(self, description: Description, run: Run) -> None:
        self.description = description
        self.names = description.names
        self._run = run

    def __call__(
        self, pictures: Iterable[Any], *, batch_size: int = 8, threshold: float | Literal["f1"] = 0.0
    ) -> list[Detections]:
        """Objects of each picture.

        Args:
            pictures: paths, PIL pictures, or arrays `H W 3` or `H W`, uint8.
            batch_size: pictures that go through the network at once, if they have one size.
            threshold: least score; or `f1`, for each class the one that `Description.best` has.

        Raises:
            InputError: a single picture instead of several, one that cannot be used, or no threshold.
        """
        least = self._thresholds(threshold)
        require_several(pictures, "pictures")
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; allowed: at least 1.")
        found: list[Detections] = []
        for _, same in groupby(map(_rgb, pictures), key=np.shape):
            while chunk := list(islice(same, batch_size)):
                found += self._detect(np.stack(chunk))
        return [_of_at_least(least, one) for one in found]

    def _thresholds(self, given: float | Literal["f1"]) -> np.ndarray:
        if given == "f1":
            if not self.description.best:
                raise InputError("The file says no thresholds of best F1; mmmc export --pictures 0 measures none.")
            return np.array(self.description.best, dtype=np.float32)
        if isinstance(given, str) or not 0 <= given <= 1:
            raise InputError(f"threshold is {given!r}; allowed: 0 to 1, or f1.")
        return np.full(len(self.names), given, dtype=np.float32)

    def _detect(self, pictures: np.ndarray) -> list[Detections]:
        boxes, scores, labels, counts = self._run(pictures)
        return [
            Detections(boxes[index, :count], scores[index, :count], labels[index, :count])
            for index, count in enumerate(counts)
        ]


def _of_at_least(least: np.ndarray, found: Detections) -> Detections:
    """What a picture has from the threshold of each class on."""
    kept = found.scores >= least[found.labels]
    return Detections(found.boxes[kept], found.scores[kept], found.labels[kept])


def load(path: str | Path, *, threads: int | None = None) -> FileDetector:
    """The detector in a file that `mmmc export` wrote.

    Args:
        path: the file.
        threads: of one call; as many as the machine has cores, if not given.

    Raises:
        InputError: no such file, not one of ours, or the package that runs it is missing.
    """
    if not Path(path).is_file():
        raise InputError(f"There is no file {path}.")
    if threads is not None and threads < 1:
        raise InputError(f"threads is {threads}; allowed: at least 1.")
    path = Path(path)
    if path.suffix not in OPENERS:
        raise InputError(f"{path} cannot be run; allowed: files that end with {' or '.join(OPENERS)}.")
    said, run = OPENERS[path.suffix](path, threads)
    return FileDetector(Description.from_strings(said, path), run)


def _rgb(picture: Any) -> np.ndarray:
    if isinstance(picture, str | Path):
        return read_rgb(picture)
    if isinstance(picture, Image.Image):
        return image_to_rgb(picture)
    if isinstance(picture, np.ndarray):
        return array_to_rgb(picture)
    raise InputError(
        f"A picture of type {type(picture).__name__} cannot be used. Allowed: a path, a PIL image, a numpy array."
    )
