"""From pictures to detections."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import ModelHubMixin, hf_hub_download
from torch import Tensor, nn

from mmmc.checkpoint import FORMAT, HUB_FILE, Weights, load_state, load_weights, save_weights, weights_file
from mmmc.data.batching import Sample, collate, padded
from mmmc.data.coco import CocoSet
from mmmc.data.loading import EvalLoader
from mmmc.data.pictures import from_any
from mmmc.data.sets import Categories
from mmmc.errors import InputError
from mmmc.files import write_text
from mmmc.model import Detector
from mmmc.postprocess import Postprocess
from mmmc.recipe import Recipe, to_yaml
from mmmc.rgb import require_several
from mmmc.structures import Batch, Detections, Target

WEIGHTS = ("best", "last")
"""Weights that a run folder holds: of the best evaluated epoch, and of the last one."""

BESIDE = ("README.md", "environment.json", "config.json")
"""What goes along from the folder that a predictor was loaded from: the model card, and what it refers to."""

DIVISOR = 32
"""Sides of a batch are multiples of it."""


def build_detector(weights: Weights, source: str | Path) -> Detector:
    """The detector whose tensors these are, in evaluation mode; errors name their source."""
    # Its tensors come from the file, so nothing has to be fetched for the backbone.
    detector = Detector(weights.recipe.model, len(weights.categories), load_backbone=False)
    load_state(detector, weights.state, source)
    return detector.eval()


class Predictor(ModelHubMixin, library_name="mmmc", pipeline_tag="object-detection", tags=["mmmc", "anchor-free"]):
    """A trained detector that takes pictures as people have them.

    `save_pretrained`, `push_to_hub` and `from_pretrained` are those of huggingface_hub.

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
        self._source: Path | None = None  # the weights file, if it lay in a folder of ours

    @classmethod
    def load(cls, path: str | Path, *, weights: str = "best", device: str | torch.device = "cpu") -> Predictor:
        """From a run folder, a folder of `save_pretrained`, or a weights file.

        Args:
            path: the folder, or a `.safetensors` file.
            weights: which of a run folder's weights: `best` or `last`.
            device: where it runs.

        Raises:
            InputError: no such folder or file, or not one of ours.
        """
        path = Path(path)
        if weights not in WEIGHTS:
            raise InputError(f"weights is {weights!r}; allowed: {', '.join(WEIGHTS)}.")
        file = weights_file(path, weights)
        loaded = load_weights(file)
        predictor = cls(build_detector(loaded, file), loaded.recipe, loaded.categories, device)
        predictor._source = file if path.is_dir() else None
        return predictor

    def __call__(self, images: Iterable[Any], *, batch_size: int = 8) -> list[Detections]:
        """Detections of each picture, in pixels of the picture as displayed (EXIF orientation applied).

        Args:
            images: paths, PIL pictures, arrays `H W 3`, or tensors `3 H W`, 8-bit or in 0..1. `image_id` of a
                result is the place in this list.
            batch_size: pictures that go through the network at once, if they get one size. The result is the same.

        Raises:
            InputError: a single picture instead of several, or one that cannot be used.
        """
        require_several(images, "images")
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

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | Path, **options: Any) -> Predictor:
        """From a folder of `save_pretrained`, a run folder, or the hub.

        Args:
            pretrained_model_name_or_path: the folder, or `NAME/REPOSITORY` on the hub.
            options: `device` as in `load`; of huggingface_hub `revision`, `token`, `cache_dir`, `local_files_only`,
                `force_download`.

        Raises:
            InputError: neither is there, or it holds no detector of ours.
        """
        try:
            return super().from_pretrained(pretrained_model_name_or_path, **options)
        except InputError:
            raise
        except (OSError, ValueError) as error:
            where = f"{pretrained_model_name_or_path} is no folder and could not be had from the hub"
            raise InputError(f"{where}: {error}") from error

    def _save_pretrained(self, save_directory: Path) -> None:
        """Weights, recipe, classes; and the model card of the folder that this predictor was loaded from."""
        recipe = without_places(self.recipe)
        save_weights(save_directory / HUB_FILE, Weights(self.detector.state_dict(), recipe, self.categories))
        config = {
            "format": FORMAT,
            "classes": dict(zip(map(str, self.categories.ids), self.categories.names, strict=True)),
            "weights": None if self._source is None else self._source.stem,
        }
        texts = {
            "recipe.yaml": to_yaml(recipe),
            "config.json": json.dumps(config, indent=2, ensure_ascii=False) + "\n",
        }
        if self._source is not None:
            known = {name: self._source.with_name(name) for name in BESIDE}
            texts |= {name: file.read_text(encoding="utf-8") for name, file in known.items() if file.is_file()}
        for name, text in texts.items():
            write_text(save_directory / name, text)

    @classmethod
    def _from_pretrained(cls, *, model_id: str, device: str | torch.device = "cpu", **options: Any) -> Predictor:
        """From a folder, or from the hub or its cache; `device` as in `load`."""
        path = model_id if Path(model_id).is_dir() else hf_hub_download(model_id, HUB_FILE, **options)
        return cls.load(path, device=device)

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


def without_places(recipe: Recipe) -> Recipe:
    """The recipe with the last parts of its paths alone: where files lie on a machine is nobody else's business."""
    data, model = recipe.data, recipe.model
    places = ("path", "train_annotations", "train_images", "val_annotations", "val_images")
    names: dict[str, Any] = {name: Path(place).name for name in places if (place := getattr(data, name)) is not None}
    return replace(recipe, data=replace(data, **names), model=replace(model, weights=Path(model.weights).name))


def _padded_size(sample: Sample) -> tuple[int, int]:
    height, width = sample.target.size
    return padded(height, DIVISOR), padded(width, DIVISOR)


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
