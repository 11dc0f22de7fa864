"""From pictures to detections."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn

from mmmc.checkpoint import Weights, load_state, load_weights
from mmmc.data.batching import Sample, collate
from mmmc.data.coco import CocoSet
from mmmc.data.loading import EvalLoader
from mmmc.data.pictures import from_any
from mmmc.data.sets import Categories
from mmmc.errors import InputError
from mmmc.model import Detector
from mmmc.postprocess import Postprocess
from mmmc.recipe import Recipe
from mmmc.structures import Batch, Detections, Target

WEIGHTS = ("best", "last")
"""Weights that a run folder holds: of the best evaluated epoch, and of the last one."""

DIVISOR = 32
"""Sides of a batch are multiples of it."""


def build_detector(weights: Weights) -> Detector:
    """The detector whose tensors these are, in evaluation mode."""
    # Its tensors come from the file, so nothing has to be fetched for the backbone.
    detector = Detector(weights.recipe.model, len(weights.categories), load_backbone=False)
    load_state(detector, weights.state, "the weights file")
    return detector.eval()


class Predictor:
    """A trained detector that takes pictures as people have them.

    Args:
        detector: the network.
        recipe: how it was trained; its `resize` and `postprocess` are used.
        categories: names and ids of its classes.
        device: where it runs.

    Example:
        >>> predictor = mmmc.load("runs/cells")
        >>> detections = predictor(["a.jpg", "b.png"])
    """

    def __init__(
        self, detector: Detector, recipe: Recipe, categories: Categories, device: str | torch.device = "cpu"
    ) -> None:
        self.device = torch.device(device)
        # The layout of training: as fast, and the same numbers to the last bit.
        self.detector = detector.to(self.device, memory_format=torch.channels_last).eval()  # type: ignore[call-overload]
        self.recipe = recipe
        self.categories = categories

    @classmethod
    def load(cls, path: str | Path, *, weights: str = "best", device: str | torch.device = "cpu") -> Predictor:
        """From a run folder or a weights file.

        Args:
            path: the folder, or a `.safetensors` file.
            weights: which of a folder's weights: `best` or `last`.
            device: where it runs.

        Raises:
            InputError: no such folder or file, or not one of ours.
        """
        path = Path(path)
        if weights not in WEIGHTS:
            raise InputError(f"weights is {weights!r}; allowed: {', '.join(WEIGHTS)}.")
        file = path / f"{weights}.safetensors" if path.is_dir() else path
        if path.is_dir() and not file.is_file():
            raise InputError(f"{path} is no finished run: it holds no {file.name}.")
        loaded = load_weights(file)
        return cls(build_detector(loaded), loaded.recipe, loaded.categories, device)

    def __call__(self, images: Iterable[Any], *, batch_size: int = 8) -> list[Detections]:
        """Detections of each picture, in pixels of the picture as displayed (EXIF orientation applied).

        Args:
            images: paths, PIL pictures, arrays `H W 3`, or tensors `3 H W`, 8-bit or in 0..1. `image_id` of a
                result is the place in this list.
            batch_size: pictures that go through the network at once, if they get one size. The result is the same.

        Raises:
            InputError: a single picture instead of several, or one that cannot be used.
        """
        if isinstance(images, (str, Path, Image.Image)) or getattr(images, "ndim", 0) in (2, 3):
            raise InputError("images is a single picture; allowed: several, so put it into a list.")
        if batch_size < 1:
            raise InputError(f"batch_size is {batch_size}; allowed: at least 1.")
        return [found for batch in self._batches(images, batch_size) for found in self.detect(batch)]

    def torchvision(self, images: Iterable[Any], *, batch_size: int = 8) -> list[dict[str, Tensor]]:
        """The same as torchvision's detectors return it: `boxes`, `labels`, `scores`; labels are class indices."""
        return [
            {"boxes": found.boxes, "labels": found.labels, "scores": found.scores}
            for found in self(images, batch_size=batch_size)
        ]

    def detect(self, batch: Batch) -> list[Detections]:
        """Detections of a batch that is already resized and padded."""
        return detect(self.detector, batch, self.recipe.postprocess, self.device)

    def batch(self, images: Sequence[Any], first_id: int = 0) -> Batch:
        """Pictures resized and padded as in evaluation, without objects."""
        samples = [self._sample(image, first_id + index) for index, image in enumerate(images)]
        return collate(samples, self.detector.backbone.normalize.padding, DIVISOR)

    def _batches(self, images: Iterable[Any], batch_size: int) -> Iterator[Batch]:
        # Only pictures that are padded to one size anyway share a batch: GroupNorm sees the padding, so a larger one
        # would let a picture's detections depend on its neighbours.
        samples = (self._sample(image, index) for index, image in enumerate(images))
        for _, same in groupby(samples, key=_padded_size):
            while chunk := list(islice(same, batch_size)):
                yield collate(chunk, self.detector.backbone.normalize.padding, DIVISOR)

    def _sample(self, image: Any, image_id: int) -> Sample:
        picture = from_any(image)
        resized, scale = self.recipe.resize(picture)
        target = Target(
            boxes=torch.zeros(0, 4),
            labels=torch.zeros(0, dtype=torch.long),
            crowd=torch.zeros(0, 4),
            image_id=image_id,
            size=(resized.shape[1], resized.shape[2]),
            original_size=(picture.shape[1], picture.shape[2]),
            scale=scale,
        )
        return Sample(resized, target)


def _padded_size(sample: Sample) -> tuple[int, int]:
    height, width = sample.target.size
    return -(-height // DIVISOR) * DIVISOR, -(-width // DIVISOR) * DIVISOR


@torch.no_grad()
def detect(
    detector: nn.Module,
    batch: Batch,
    postprocess: Postprocess,
    device: torch.device,
    autocast: AbstractContextManager[Any] | None = None,
) -> list[Detections]:
    """Detections of a batch, on the CPU, in pixels of the picture files."""
    batch = batch.to(device)
    with autocast or nullcontext():
        points, prediction = detector(batch.images)
    return [found.to(torch.device("cpu")) for found in postprocess(points, prediction, batch.targets)]


def load(path: str | Path, *, weights: str = "best", device: str | torch.device = "cpu") -> Predictor:
    """The predictor of a run folder or weights file; see `Predictor.load`."""
    return Predictor.load(path, weights=weights, device=device)


def scored_batches(predictor: Predictor, pictures: CocoSet, batch_size: int | None = None) -> EvalLoader:
    """Batches of a set as the run was scored; `batch_size` pictures at once, or as many as in training."""
    trained = predictor.recipe.train
    return EvalLoader(
        pictures,
        predictor.recipe.resize,
        batch_size=trained.batch_size // trained.accumulate if batch_size is None else batch_size,
        pad_value=predictor.detector.backbone.normalize.padding,
    )
