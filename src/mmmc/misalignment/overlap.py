"""Whether label assigners differ where both tasks are misaligned: overlap of their labels against the object's gap.

An object's gap is the overlap that its best-scored point falls short of the best (`Apart.lost`): it belongs to the
detector and to no assigner. Small objects have few points, so a small gap, and labels that can hardly differ; they are
compared with others of about their size.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64
from torch import Tensor

from mmmc.assign import Assigner
from mmmc.comparison import compare_assigners, positive_pairs
from mmmc.misalignment.apart import apart
from mmmc.predictor import Predictor
from mmmc.structures import Batch

PARTS = ("aligned", "middle", "misaligned")
"""Thirds of the objects of each size by their gap, the smallest first."""

SIZES = 5
"""Groups of equally many objects by the area of their boxes."""


@dataclass(frozen=True, eq=False)
class LabelOverlap:
    """Objects that a point lies in.

    Attributes:
        gap: of each object.
        area: of its box in square pixels of the picture file.
        overlap: by assigner, of its positive points with those of the run's own rule, intersection over union; NaN
            where neither has any.
    """

    gap: Float64[np.ndarray, " M"]
    area: Float64[np.ndarray, " M"]
    overlap: Mapping[str, Float64[np.ndarray, " M"]]

    def parts(self) -> list[Int64[np.ndarray, " _"]]:
        """Rows of each of `PARTS`: of each size the same share. Equals stay in their order."""
        sizes = np.array_split(np.argsort(self.area, kind="stable"), SIZES)
        thirds = [np.array_split(rows[np.argsort(self.gap[rows], kind="stable")], len(PARTS)) for rows in sizes]
        return [np.concatenate(same) for same in zip(*thirds, strict=True)]

    def metrics(self) -> dict[str, float | None]:
        """Means of gap and overlaps in each part, and for each assigner `_drop`, from the aligned to the misaligned.

        None where no object tells.
        """
        found: dict[str, float | None] = {"objects": float(len(self.gap))}
        for part, rows in zip(PARTS, self.parts(), strict=True):
            found[f"gap_{part}"] = _mean(self.gap[rows])
            for name, overlap in self.overlap.items():
                found[f"{name}_{part}"] = _mean(overlap[rows])
        for name in self.overlap:
            aligned, misaligned = found[f"{name}_{PARTS[0]}"], found[f"{name}_{PARTS[-1]}"]
            found[f"{name}_drop"] = None if aligned is None or misaligned is None else aligned - misaligned
        return found


@torch.no_grad()
def label_overlap(predictor: Predictor, others: Mapping[str, Assigner], pictures: Iterable[Batch]) -> LabelOverlap:
    """Assign the objects of a set by a run's own rule and by others, all on what its detector says.

    Args:
        predictor: of the run.
        others: assigners by name.
        pictures: batches of one picture each, as the run is scored.
    """
    own = predictor.recipe.assigner
    gaps, areas = [np.zeros(0)], [np.zeros(0)]
    overlaps = {name: [np.zeros(0)] for name in others}
    for batch in pictures:
        batch = batch.to(predictor.device)
        points, prediction = predictor.detector(batch.images)
        (target,) = batch.targets
        if not len(target.labels):
            continue
        score = predictor.recipe.postprocess.scores(points, prediction, 0, target)
        objects = apart(points, score, prediction.boxes[0].to(score.dtype), target)
        compared = compare_assigners({"": own, **others}, points, prediction, target)
        mine, *theirs = (positive_pairs(assignment) for assignment in compared.assignments)
        gaps.append(objects.lost)
        areas.append(objects.area)
        for name, pairs in zip(others, theirs, strict=True):
            overlaps[name].append(_by_object(mine, pairs)[objects.number])
    return LabelOverlap(
        gap=np.concatenate(gaps),
        area=np.concatenate(areas),
        overlap={name: np.concatenate(parts) for name, parts in overlaps.items()},
    )


def _by_object(one: Bool[Tensor, "M P"], other: Bool[Tensor, "M P"]) -> Float64[np.ndarray, " M"]:
    both, either = (pairs.sum(dim=1).double() for pairs in (one & other, one | other))
    return (both / either).cpu().numpy()  # 0 / 0 is NaN


def _mean(values: Float64[np.ndarray, " _"]) -> float | None:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else None
