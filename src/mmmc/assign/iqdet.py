"""IQDet: positions drawn from a learned distribution of quality over each object (Ma et al. 2021)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from mmmc.assign.protocol import Assigner
from mmmc.assign.shared.bilinear import Corners, corners
from mmmc.assign.shared.pairs import Objects, gather_objects
from mmmc.assign.shared.rules import widened
from mmmc.assign.shared.weighing import weighed
from mmmc.errors import InputError
from mmmc.parts.box_mixture import DEVIATIONS, draw, lattice, normalised, pixels, start_mixture, values_at
from mmmc.parts.level_grid import LevelGrid, level_grids, open_levels
from mmmc.structures import Assignment, Points, Prediction, Target

FIXED = (0.618034, 0.5, 0.5)
"""Shifts of a lattice that does not move. The first takes no position to where one level's share ends."""


@dataclass(frozen=True)
class Positions:
    """Continuous positions of each object at which predictions are read.

    Attributes:
        value: what the distribution says there, 0..1.
        corners: the points that each is read from.
        counted: which take part; not those of fillers, of objects whose numbers are not finite, or on a level
            without a point on the picture.
        finite: whether an object's mixtures and positions are finite.
    """

    value: Float[Tensor, "B M S"]
    corners: Corners
    counted: Bool[Tensor, "B M S"]
    finite: Bool[Tensor, "B M"]


@dataclass(frozen=True)
class IQDet(Assigner):
    """Points next to positions that the quality distribution of each object draws, on any level.

    The weight of a pair is the sum, over the object's positions, of the bilinear share of the point in what is read
    there, times the distribution's value there. A position is read from the points of its level on the picture; they
    may lie outside the box.

    Distributions and positions come with the prediction from the part `QualityDistribution`. A prediction without
    them, as one of another method, is given what that part begins with: one Gaussian in the middle of the box on
    every level that has a point there (on the finest, if none has), and a fixed lattice of positions. The options
    say of what kind; they mean nothing where the part speaks.

    Re-created from a description, since the published method has no public code; not verified against it.

    Args:
        samples: positions of an object.
        deviation: of the Gaussian, in half sides of the box.
    """

    samples: int = 12
    deviation: float = 0.5

    def __post_init__(self) -> None:
        if not self.samples >= 1:
            raise InputError(f"assigner IQDet: samples is {self.samples}; allowed: 1 or more.")
        low, high = DEVIATIONS
        if not low <= self.deviation <= high:
            raise InputError(f"assigner IQDet: deviation is {self.deviation}; allowed: {low} to {high}.")

    @torch.no_grad()
    def __call__(self, points: Points, prediction: Prediction, targets: Sequence[Target]) -> Assignment:
        """Assign the points of a batch; see `Assigner`."""
        with torch.autocast(points.xy.device.type, enabled=False):
            dtype = torch.promote_types(prediction.boxes.dtype, torch.float32)
            prediction = widened(prediction, dtype)
            objects = gather_objects(points, targets, dtype)
            grids = level_grids(points, targets)
            if "samples" in prediction.extra:
                mixture, samples = given(prediction, objects)
            else:
                mixture, samples = self.start(grids, objects)
            found = positions(points, grids, objects, mixture, samples)
            pairs = found.corners.spread(found.value * found.counted, len(points))
            return weighed(objects, pairs, pairs > 0, {"distribution": ~found.finite})

    def start(
        self, grids: Sequence[LevelGrid], objects: Objects
    ) -> tuple[Float[Tensor, "B M L K 5"], Float[Tensor, "B M S 3"]]:
        """Mixtures and positions of an untrained part, with a lattice that is not moved."""
        admitted = open_levels(grids, objects.boxes)
        mixture = start_mixture(admitted.shape, self.deviation, objects.boxes)
        fixed = lattice(self.samples, [FIXED] * len(objects.counts), objects.boxes)
        at, level = draw(mixture, admitted, fixed)
        return mixture, torch.cat([pixels(at, objects.boxes[:, :, None]), level[..., None].to(at.dtype)], dim=3)


def given(prediction: Prediction, objects: Objects) -> tuple[Float[Tensor, "B M L K 5"], Float[Tensor, "B M S 3"]]:
    """Mixtures and positions that came with the prediction; of one that was cut out of a batch, without its fillers."""
    count = objects.boxes.shape[1]
    return prediction.extra["quality mixture"][:, :count], prediction.extra["samples"][:, :count]


def positions(
    points: Points,
    grids: Sequence[LevelGrid],
    objects: Objects,
    mixture: Float[Tensor, "B M L K 5"],
    samples: Float[Tensor, "B M S 3"],
) -> Positions:
    """Where predictions are read for each object, and what the distribution says there."""
    finite = mixture.isfinite().flatten(2).all(dim=2) & samples.isfinite().flatten(2).all(dim=2)
    samples = samples.where(finite[..., None, None], 0)
    level = samples[..., 2].long()
    read = corners(points, grids, samples[..., :2], level)
    boxes = objects.boxes[:, :, None]
    value = values_at(mixture, level, normalised(samples[..., :2], boxes[..., :2], boxes[..., 2:]))
    number = torch.arange(finite.shape[1], device=finite.device)
    real = torch.stack([number < count for count in objects.counts])
    return Positions(
        value=value.where(finite[..., None], 0),
        corners=read,
        counted=read.readable & (real & finite)[..., None],
        finite=finite | ~real,
    )
