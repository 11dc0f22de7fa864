"""What answers: pictures in, objects out, whatever runs the network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from typing import Literal, Protocol, runtime_checkable

import torch
from PIL import Image

from mmmc import gallery, runtime
from mmmc.predictor import Predictor
from mmmc.runtime import FileDetector
from mmmc.structures import Detections

FIGURES = {"labels": gallery.labels_figure, "losses": gallery.losses_figure}
"""What can be drawn of a picture whose labels are known."""


@dataclass(frozen=True)
class Found:
    """An object: class index, score in 0..1, `x1 y1 x2 y2` in pixels of the picture as displayed."""

    label: int
    score: float
    box: tuple[float, float, float, float]


@runtime_checkable
class Engine(Protocol):
    """A detector that a server asks. It is called by one thread at a time."""

    names: tuple[str, ...]
    """Of its classes."""

    def __call__(self, pictures: Sequence[Image.Image]) -> list[list[Found]]:
        """Objects of each picture, best first."""
        ...


@runtime_checkable
class Explainer(Engine, Protocol):
    """An engine that can also draw labels and losses, for which it needs the recipe and all that the network says."""

    def draw(
        self,
        figure: Literal["labels", "losses"],
        picture: Image.Image,
        boxes: Sequence[Sequence[float]],
        labels: Sequence[int],
    ) -> bytes:
        """A PNG of where the labels of these objects land, or of both losses at each point."""
        ...


class FileEngine:
    """An exported file, with what runs it instead of PyTorch."""

    def __init__(self, detector: FileDetector) -> None:
        self.detector = detector
        self.names = detector.names

    def __call__(self, pictures: Sequence[Image.Image]) -> list[list[Found]]:
        """Objects of each picture, best first."""
        return _found(self.detector(pictures, batch_size=len(pictures)))


class RunEngine:
    """A trained run in PyTorch."""

    def __init__(self, predictor: Predictor) -> None:
        self.predictor = predictor
        self.names = predictor.categories.names

    def __call__(self, pictures: Sequence[Image.Image]) -> list[list[Found]]:
        """Objects of each picture, best first."""
        return _found(self.predictor(pictures, batch_size=len(pictures)))

    def draw(
        self,
        figure: Literal["labels", "losses"],
        picture: Image.Image,
        boxes: Sequence[Sequence[float]],
        labels: Sequence[int],
    ) -> bytes:
        """A PNG of where the labels of these objects land, or of both losses at each point."""
        batch = self.predictor.batch([picture])
        target = batch.targets[0]
        x, y = target.scale
        target = replace(
            target,
            boxes=torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4) * torch.tensor([x, y, x, y]),
            labels=torch.tensor(labels, dtype=torch.long),
        )
        file = BytesIO()
        FIGURES[figure](self.predictor, replace(batch, targets=[target])).savefig(file, format="png", dpi=110)
        return file.getvalue()


def _found(pictures: Sequence[Detections | runtime.Detections]) -> list[list[Found]]:
    return [
        [
            Found(label, score, (x1, y1, x2, y2))
            for label, score, (x1, y1, x2, y2) in zip(
                found.labels.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True
            )
        ]
        for found in pictures
    ]
