"""Batches of pictures, each a pure function of (seed, epoch, index): resuming needs no state of a loader.

The step `k` of an epoch takes the same pictures whatever the number of processes, micro-batches and workers.
Only how they are dealt differs: rank `r` of `world` gets `batch[r::world]`, cut into `micro` consecutive parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from mmmc.data.batching import Sample, padded
from mmmc.data.pictures import read_picture
from mmmc.data.transforms import Augmentation, Resize
from mmmc.data.workers import Batches
from mmmc.errors import InputError
from mmmc.structures import Batch, Target


@runtime_checkable
class Objects(Protocol):
    """What is marked in one picture, in pixels of the file after EXIF orientation."""

    @property
    def boxes(self) -> Float[np.ndarray, "M 4"]: ...
    @property
    def labels(self) -> Int[np.ndarray, " M"]: ...
    @property
    def crowd(self) -> Float[np.ndarray, "R 4"]: ...


@runtime_checkable
class Pictures(Protocol):
    """A set of labelled pictures that can be sent to a worker. Sizes are `(height, width)` after EXIF orientation."""

    def __len__(self) -> int: ...
    def file(self, index: int, /) -> Path: ...
    def size(self, index: int, /) -> tuple[int, int]: ...
    def image_id(self, index: int, /) -> int: ...
    def objects(self, index: int, /) -> Objects: ...


def train_sample(pictures: Pictures, augmentation: Augmentation, index: int, *, seed: int, epoch: int) -> Sample:
    """Picture `index` as it is seen in this epoch.

    Raises:
        InputError: the file cannot be read or has another size than the set says; names the file.
    """
    image, boxes, labels, crowd = _read(pictures, index)
    draws = int(_entropy(seed, epoch, index).generate_state(1, np.uint64)[0])
    image, boxes, labels, crowd, scale = augmentation(image, boxes, labels, crowd, draws)
    return _sample(pictures, index, image, boxes, labels, crowd, scale)


def eval_sample(pictures: Pictures, resize: Resize, index: int) -> Sample:
    """Picture `index` as it is seen in evaluation.

    Raises:
        InputError: the file cannot be read or has another size than the set says; names the file.
    """
    image, boxes, labels, crowd = _read(pictures, index)
    image, scale = resize(image)
    factors = torch.tensor(scale * 2)
    return _sample(pictures, index, image, boxes * factors, labels, crowd * factors, scale)


class TrainLoader:
    """Training batches of any epoch, in any order of epochs, one epoch at a time.

    An epoch is a permutation of the set, cut into batches; what is left over at its end waits for another
    permutation. A set smaller than one batch fills it by going round again.

    Args:
        pictures: the labelled pictures; sent to the workers.
        augmentation: what each picture goes through.
        seed: with the epoch it gives the permutation, with epoch and index the draws of the augmentation.
        batch_size: pictures of one optimiser step, over all processes.
        rank, world: this process and the number of processes.
        micro: parts in which each process takes its share of a step (gradient accumulation).
        workers: processes that read pictures; 0 reads them in this one. They live as long as the loader.
        pad_value: colour of the padding, RGB.
        divisor: sides of a batch are multiples of it.
        pin_memory: put batches into page-locked memory, from which a GPU copies without waiting.

    Attributes:
        steps_per_epoch: optimiser steps in an epoch.

    Raises:
        InputError: an empty set, a batch that cannot be dealt evenly, a negative number.
    """

    def __init__(
        self,
        pictures: Pictures,
        augmentation: Augmentation,
        *,
        seed: int,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        micro: int = 1,
        workers: int = 0,
        pad_value: tuple[int, int, int] = (124, 116, 104),
        divisor: int = 32,
        pin_memory: bool = False,
    ) -> None:
        if len(pictures) == 0:
            raise InputError("The set to train on holds no pictures.")
        if batch_size < 1 or batch_size % (world * micro):
            raise InputError(
                f"batch_size = {batch_size} cannot be dealt to {world} processes in {micro} parts each. "
                f"Allowed: a multiple of {world * micro}."
            )
        if seed < 0:
            raise InputError(f"seed = {seed} cannot be used. Allowed: 0 or more.")
        self.steps_per_epoch = max(1, len(pictures) // batch_size)
        self._pictures = len(pictures)
        self._seed, self._batch_size, self._rank, self._world, self._micro = seed, batch_size, rank, world, micro
        sample = partial(train_sample, pictures, augmentation, seed=seed)
        self._batches = Batches(sample, pad_value, divisor, workers, pin_memory)

    def indices(self, epoch: int) -> Int[np.ndarray, "steps micro part"]:
        """Which pictures this process takes in each part of each step of an epoch."""
        order = np.random.default_rng(_entropy(self._seed, epoch)).permutation(self._pictures)
        steps = np.resize(order, (self.steps_per_epoch, self._batch_size))
        return steps[:, self._rank :: self._world].reshape(self.steps_per_epoch, self._micro, -1)

    def epoch(self, number: int) -> Iterator[list[Batch]]:
        """The micro-batches of each optimiser step. Ends the epoch that was being read, if any.

        Raises:
            InputError: a picture cannot be used; names the file.
        """
        parts = self.indices(number).reshape(self.steps_per_epoch * self._micro, -1)
        batches = self._batches.read([[{"index": index, "epoch": number} for index in part] for part in parts.tolist()])
        for _ in range(self.steps_per_epoch):
            yield [next(batches) for _ in range(self._micro)]


class EvalLoader:
    """Evaluation batches: the pictures `rank::world`, each once, resized and no more.

    Only pictures that are padded to the same size share a batch. GroupNorm averages over the padding too, so what is
    found in a picture would otherwise depend on its batch mates.

    The arguments are those of `TrainLoader`, but `batch_size` is that of this process, and the last batch may be
    smaller. Iterate as often as wanted.
    """

    def __init__(
        self,
        pictures: Pictures,
        resize: Resize,
        *,
        batch_size: int,
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
        pad_value: tuple[int, int, int] = (124, 116, 104),
        divisor: int = 32,
        pin_memory: bool = False,
    ) -> None:
        if batch_size < 1:
            raise InputError(f"batch_size = {batch_size} cannot be used. Allowed: 1 or more.")
        groups: dict[tuple[int, int], list[int]] = {}
        for index in range(rank, len(pictures), world):
            height, width = resize.size(*pictures.size(index))
            groups.setdefault((padded(height, divisor), padded(width, divisor)), []).append(index)
        self._parts = [
            group[start : start + batch_size] for group in groups.values() for start in range(0, len(group), batch_size)
        ]
        self._batches = Batches(partial(eval_sample, pictures, resize), pad_value, divisor, workers, pin_memory)

    def __len__(self) -> int:
        return len(self._parts)

    def __iter__(self) -> Iterator[Batch]:
        return self._batches.read([[{"index": index} for index in part] for part in self._parts])


def _entropy(seed: int, *key: int) -> np.random.SeedSequence:
    """Independent streams for each key; (epoch,) and (epoch, 0) differ too, as they would not as plain entropy."""
    return np.random.SeedSequence(seed, spawn_key=key)


def _read(pictures: Pictures, index: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    image, objects = read_picture(pictures.file(index)), pictures.objects(index)
    height, width = pictures.size(index)
    if image.shape[1:] != (height, width):
        raise InputError(
            f"{pictures.file(index)}: the picture is {image.shape[2]} × {image.shape[1]} pixels, "
            f"but its annotation says width {width} and height {height}."
        )
    boxes, crowd = (torch.as_tensor(part, dtype=torch.float32) for part in (objects.boxes, objects.crowd))
    return image, boxes, torch.as_tensor(objects.labels, dtype=torch.int64), crowd


def _sample(
    pictures: Pictures,
    index: int,
    image: Tensor,
    boxes: Tensor,
    labels: Tensor,
    crowd: Tensor,
    scale: tuple[float, float],
) -> Sample:
    target = Target(
        boxes=boxes,
        labels=labels,
        crowd=crowd,
        image_id=pictures.image_id(index),
        size=(image.shape[1], image.shape[2]),
        original_size=pictures.size(index),
        scale=scale,
    )
    return Sample(image, target)
