"""What is shown of one object, as values: the paper's figures 1 to 3, and where deformed kernels look."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

from mmmc.draw.panels import around
from mmmc.structures import Points


@dataclass(frozen=True)
class Scene:
    """A picture of a batch and one of its objects.

    Attributes:
        image: as it is in the batch.
        size: height and width without padding.
        points: of the batch.
        box: of the object.
        name: what it is called in titles.
        reach: a region `x1 y1 x2 y2` that is shown besides the object, as far as it lies in the picture.
    """

    image: UInt8[Tensor, "3 H W"]
    size: tuple[int, int]
    points: Points
    box: Float[Tensor, "4"]
    name: str
    reach: Float[Tensor, "4"] | None = None

    @property
    def window(self) -> tuple[float, float, float, float]:
        """The part of the picture round the object that is shown, `x1 y1 x2 y2`."""
        shown = self.box
        if self.reach is not None:
            shown = torch.cat([shown[:2].minimum(self.reach[:2]), shown[2:].maximum(self.reach[2:])])
        x1, y1, x2, y2 = shown.tolist()
        return around((x1, y1, x2, y2), self.size)


@dataclass(frozen=True)
class Found:
    """What a point predicts for the object.

    Attributes:
        point: its index.
        box: that it predicts.
        score: its probability of the object's class.
        iou: of the box with the object's.
    """

    point: int
    box: Float[Tensor, "4"]
    score: float
    iou: float


@dataclass(frozen=True)
class Misaligned:
    """Figure 1: what the point of best class score and that of best box predict, and the losses of all points.

    Attributes:
        scene: picture and object.
        best_class: of the point in the box with the highest score.
        best_box: of the point in the box with the highest IoU.
        losses: by name, a value per point; NaN outside the object's box.
    """

    scene: Scene
    best_class: Found
    best_box: Found
    losses: Mapping[str, Float[Tensor, " P"]]


@dataclass(frozen=True)
class Candidates:
    """The candidates of an object on its chosen levels, level by level.

    Attributes:
        point: index of the point.
        cls: class loss.
        reg: box loss.
        fit: what the fitness is made of, for either task: its share of the softmax.
        score: by which they are parted; high is good.
        positive: whether they answer for the object before conflicts.
    """

    point: Int[Tensor, " Q"]
    cls: Float[Tensor, " Q"]
    reg: Float[Tensor, " Q"]
    fit: tuple[Float[Tensor, " Q"], Float[Tensor, " Q"]]
    score: Float[Tensor, " Q"]
    positive: Bool[Tensor, " Q"]


@dataclass(frozen=True)
class Parted:
    """Figure 2: how APS parts the candidates.

    Attributes:
        scene: picture and object.
        candidates: of the object.
        score: name of the score.
    """

    scene: Scene
    candidates: Candidates
    score: str


@dataclass(frozen=True)
class Chosen:
    """Figure 3: the losses of both tasks, and which points assigners choose.

    Attributes:
        scene: picture and object.
        losses: by name, a value per point; NaN outside the object's box.
        positive: by the assigner's name, the object's positive points; the maps show the levels of the first.
    """

    scene: Scene
    losses: Mapping[str, Float[Tensor, " P"]]
    positive: Mapping[str, Bool[Tensor, " P"]]


@dataclass(frozen=True)
class Deformed:
    """Where the deformed kernels of both towers look from a point.

    Attributes:
        scene: picture and object.
        point: whose kernels.
        taps: by tower, how far each tap has moved, down and right in cells.
        masks: by tower, the factor of each tap.
    """

    scene: Scene
    point: int
    taps: Mapping[str, Float[Tensor, "9 2"]]
    masks: Mapping[str, Float[Tensor, "9"]]


View = Misaligned | Parted | Chosen | Deformed
