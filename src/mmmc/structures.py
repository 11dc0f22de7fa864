"""The values that travel from left to right: batch, points, prediction, assignment, detections.

Frozen dataclasses with plain tensors inside. Axis letters, here and in every signature:
`B` images, `P` points of all levels together, `M` objects, `C` classes, `L` levels, `N` detections.

Boxes are `x1 y1 x2 y2` in absolute pixels, continuous (no +1), with `x1 < x2` and `y1 < y2`.
Class indices are `0..C-1`. Sizes are `(height, width)`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

NEGATIVE = -1
"""`Assignment.gt` of a point that belongs to no object."""

IGNORED = -2
"""`Assignment.gt` of a point that takes no part in any loss."""


@dataclass(frozen=True)
class Target:
    """What is known of one picture of a batch: its objects and how it got its present size.

    Attributes:
        boxes: objects, in pixels of the batch. `M = 0` is ordinary.
        labels: class index of each object.
        crowd: regions with objects that are not told apart. Points there are no negatives.
        image_id: the id in the annotation file.
        size: height and width of the picture inside the padded batch; what lies beyond is padding.
        original_size: height and width of the picture file, after EXIF orientation.
        scale: pixels of the batch per original pixel, horizontally and vertically.
    """

    boxes: Float[Tensor, "M 4"]
    labels: Int[Tensor, " M"]
    crowd: Float[Tensor, "R 4"]
    image_id: int
    size: tuple[int, int]
    original_size: tuple[int, int]
    scale: tuple[float, float] = (1.0, 1.0)

    def to(self, device: torch.device, non_blocking: bool = False) -> Target:
        """The same target with its tensors on `device`."""
        return replace(
            self,
            boxes=self.boxes.to(device, non_blocking=non_blocking),
            labels=self.labels.to(device, non_blocking=non_blocking),
            crowd=self.crowd.to(device, non_blocking=non_blocking),
        )

    def pin_memory(self) -> Target:
        """The same target with its tensors in page-locked memory."""
        return replace(
            self, boxes=self.boxes.pin_memory(), labels=self.labels.pin_memory(), crowd=self.crowd.pin_memory()
        )


@dataclass(frozen=True)
class Batch:
    """Pictures of one step, as 8-bit RGB, padded right and bottom to one size, and their targets."""

    images: UInt8[Tensor, "B 3 H W"]
    targets: list[Target]

    def to(self, device: torch.device, non_blocking: bool = True) -> Batch:
        """The same batch on `device`; from page-locked memory the copy does not block."""
        return replace(
            self,
            images=self.images.to(device, non_blocking=non_blocking),
            targets=[target.to(device, non_blocking) for target in self.targets],
        )

    def pin_memory(self) -> Batch:
        """The same batch in page-locked memory; called by PyTorch's loader."""
        return replace(self, images=self.images.pin_memory(), targets=[target.pin_memory() for target in self.targets])

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class Supervision:
    """What only training knows of a batch, for a part of the detector that only training has.

    Attributes:
        targets: the objects of each picture.
        progress: how far the training has come, from 0 to 1.
    """

    targets: Sequence[Target]
    progress: float = 0.0


@dataclass(frozen=True)
class Points:
    """Centres of all cells of all pyramid levels, at `(i + 0.5) · stride`, finest level first, row by row.

    Attributes:
        xy: position in pixels of the batch.
        stride: pixels between neighbours on the point's level.
        level: index of the point's level, 0 for the finest.
        shapes: height and width of each level's map.
        strides: stride of each level.
    """

    xy: Float[Tensor, "P 2"]
    stride: Float[Tensor, " P"]
    level: Int[Tensor, " P"]
    shapes: tuple[tuple[int, int], ...]
    strides: tuple[int, ...]

    def split(self, values: Float[Tensor, " P"] | Int[Tensor, " P"] | Bool[Tensor, " P"]) -> list[Tensor]:
        """Cut a vector over all points into one map of `height width` per level. Every loss map is this call."""
        sizes = [height * width for height, width in self.shapes]
        return [part.view(shape) for part, shape in zip(values.split(sizes), self.shapes, strict=True)]

    def within(self, size: tuple[int, int]) -> Bool[Tensor, " P"]:
        """Which points lie on a picture of this height and width rather than in the padding beyond it."""
        height, width = size
        return (self.xy[:, 0] < width) & (self.xy[:, 1] < height)

    def __len__(self) -> int:
        return sum(height * width for height, width in self.shapes)


@dataclass(frozen=True)
class Prediction:
    """What the detector says at each point, in training and in inference alike.

    Attributes:
        logits: class scores before the sigmoid.
        boxes: decoded boxes in pixels of the batch, at least float32, not clipped to the picture.
        quality: predicted quality of the box, before the sigmoid.
        extra: further outputs by name, for a branch that one method adds; the first axis of each is `B`.
    """

    logits: Float[Tensor, "B P C"]
    boxes: Float[Tensor, "B P 4"]
    quality: Float[Tensor, "B P"]
    extra: Mapping[str, Tensor] = field(default_factory=dict)


class ObjectState(IntEnum):
    """How an object came by its positive points, or why it has none."""

    CHOSEN = 0
    """The rule gave it at least one point."""
    FALLBACK = 1
    """The rule left it empty; a documented fallback gave it a point."""
    NO_POINT = 2
    """It has none: no point of any level lies in its box."""
    NO_CANDIDATE = 3
    """It has none: points lie in its box, but the rule admits none of them."""
    NONE_LEFT = 4
    """It has none: every point that it could have had went to another object."""


@dataclass(frozen=True)
class Assignment:
    """Which object each point answers for. A value: print it, draw it, save it, compare it.

    Attributes:
        gt: index of the object among those of its picture, `NEGATIVE` or `IGNORED`.
        score: class target of a positive point, 1 for a hard label; 0 elsewhere.
        weight: factor on the losses of the point; 1 unless a method weighs.
        state: for each picture an `ObjectState` per object.
        finite: for each picture whether all values that the rule looked at were finite. A tensor, so that
            nothing inside a training step waits for it; `check` reads it outside the step.
        not_finite: by the term that a rule looks at, for each picture which objects met a value that is not finite.
        pairs: for methods that weigh pairs instead of choosing one object for each point, the weight of each pair, 0
            where there is none. `M` is the largest number of objects; each picture is filled up to it. The other
            fields then hold the strongest pair of each point, so that such a method is drawn and compared like any.
    """

    gt: Int[Tensor, "B P"]
    score: Float[Tensor, "B P"]
    weight: Float[Tensor, "B P"]
    state: list[Int[Tensor, " _"]]
    finite: Bool[Tensor, " B"]
    not_finite: Mapping[str, list[Bool[Tensor, " _"]]] = field(default_factory=dict)
    pairs: Float[Tensor, "B M P"] | None = None

    @property
    def positive(self) -> Bool[Tensor, "B P"]:
        """Points that answer for an object."""
        return self.gt >= 0

    def counts(self) -> list[Int[Tensor, " _"]]:
        """Positive points of each object, per picture; of a method that weighs pairs, the points with a weight."""
        if self.pairs is not None:
            return [(row[: len(state)] > 0).sum(dim=1) for row, state in zip(self.pairs, self.state, strict=True)]
        return [
            torch.zeros(len(state), dtype=torch.long, device=gt.device).index_add_(0, gt.clamp(min=0), (gt >= 0).long())
            if len(state)
            else torch.zeros(0, dtype=torch.long, device=gt.device)
            for gt, state in zip(self.gt, self.state, strict=True)
        ]

    def check(self, targets: Sequence[Target]) -> None:
        """Raise if a picture's assignment met values that are not finite. Reads the device: not for a hot path.

        Raises:
            FloatingPointError: names the pictures and, where the rule says so, objects and terms.
        """
        bad = []
        for index, (target, finite) in enumerate(zip(targets, self.finite.tolist(), strict=True)):
            if not finite:
                objects = [
                    f"object {number} ({term} loss)"
                    for term, pictures in self.not_finite.items()
                    for number, wrong in enumerate(pictures[index].tolist())
                    if wrong
                ]
                bad.append(f"picture {target.image_id}" + (f": {', '.join(objects)}" if objects else ""))
        if bad:
            raise FloatingPointError(f"The assignment met values that are not finite: {'; '.join(bad)}.")


@dataclass(frozen=True)
class Detections:
    """Boxes found in one picture, best score first, in pixels of the picture file."""

    boxes: Float[Tensor, "N 4"]
    scores: Float[Tensor, " N"]
    labels: Int[Tensor, " N"]
    image_id: int

    def __len__(self) -> int:
        return len(self.scores)

    def to(self, device: torch.device) -> Detections:
        """The same detections on `device`."""
        return replace(self, boxes=self.boxes.to(device), scores=self.scores.to(device), labels=self.labels.to(device))

    def above(self, threshold: float | Float[Tensor, " C"]) -> Detections:
        """Those with at least this score; one threshold for all classes or one for each."""
        limit = threshold[self.labels] if isinstance(threshold, Tensor) else threshold
        keep = self.scores >= limit
        return replace(self, boxes=self.boxes[keep], scores=self.scores[keep], labels=self.labels[keep])
