"""Everything that can be said of a detector's boxes on a set, as one value."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from mmmc.misalignment.apart import Apart, groups
from mmmc.misalignment.arrays import Boxes, Truth, overlaps
from mmmc.misalignment.calibration import Trust, trust
from mmmc.misalignment.flags import MOST, Verdicts
from mmmc.misalignment.oracles import NEED_BEFORE, ORACLES, PLAIN, Costs, costs
from mmmc.misalignment.tide import FOREGROUND, Tide, tide
from mmmc.misalignment.words import Loss, largest_losses
from mmmc.recipe import Recipe

NEEDS_BEFORE = (
    " and ".join(ORACLES[kind] for kind in NEED_BEFORE).capitalize()
    + ": need the boxes before suppression, that is a run or --before-nms."
)
NEEDS_RUN = (
    "Points that score an object best and overlap it most: need the predictions of every point, that is a run.",
    "Labels in training: need a run.",
)
NEEDS_LOG = "Labels in training: need the folder of a run that was told to look at them (train.diagnose)."


@dataclass(frozen=True, eq=False)
class Diagnosis:
    """What a detector loses on a set, and where.

    Attributes:
        pictures, objects, detections: how many; crowd regions are no objects, detections are those that COCO looks at.
        costs: AP with and without oracles.
        tide: what each kind of error costs.
        trust: whether scores follow overlaps.
        names: of the classes.
        recipe: of the run, or None.
        apart: the two points of each object, or None.
        labels: measures of the labels in training, or None.
        absent: sentences that say which parts are not there and what they need.
    """

    pictures: int
    objects: int
    detections: int
    costs: Costs
    tide: Tide
    trust: Trust
    names: tuple[str, ...]
    recipe: Recipe | None = None
    apart: Apart | None = None
    labels: Mapping[str, Any] | None = None
    absent: tuple[str, ...] = ()

    @property
    def losses(self) -> list[Loss]:
        """The three largest."""
        return largest_losses(self.costs, self.tide, self.recipe)

    def of_run(self, recipe: Recipe, apart: Apart, labels: Mapping[str, Any] | None) -> Diagnosis:
        """The same with what only a run has.

        Args:
            recipe: its recipe.
            apart: the two points of each object.
            labels: the last line about labels of its journal, or None.
        """
        absent = tuple(sentence for sentence in self.absent if sentence not in NEEDS_RUN)
        return replace(
            self,
            recipe=recipe,
            apart=apart,
            labels=labels,
            absent=absent if labels is not None else (*absent, NEEDS_LOG),
        )

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON: None instead of NaN."""
        return _plain(
            {
                "pictures": self.pictures,
                "objects": self.objects,
                "detections": self.detections,
                "AP": self.costs.total(PLAIN),
                "AP50": self.costs.at(PLAIN, 0),
                "AP75": self.costs.at(PLAIN, 5),
                "tide": asdict(self.tide),
                "oracles": self.costs.to_dict(),
                "trust": asdict(self.trust),
                "points": None
                if self.apart is None
                else {
                    "groups": groups(self.apart, self.names),
                    "without_a_point": dict(zip(self.names, self.apart.without.tolist(), strict=True)),
                },
                "labels": None if self.labels is None else dict(self.labels),
                "largest_losses": [loss.to_dict() for loss in self.losses],
                "absent": list(self.absent),
            }
        )


def diagnose(
    ground_truth: Mapping[str, Any], results: Sequence[Mapping[str, Any]], before: Boxes | None = None
) -> Diagnosis:
    """What a detector loses, from its detections alone.

    Args:
        ground_truth: COCO dictionary, see `mmmc.evaluate`.
        results: COCO results, of its pictures and categories.
        before: boxes before suppression, where they were kept.

    Raises:
        InputError: the results name a picture or category that the ground truth does not have.
    """
    truth = Truth.from_coco(ground_truth)
    boxes = Boxes.from_coco(results, truth)
    boxes = boxes[boxes.first(MOST, by_class=True)]
    pairs = overlaps(boxes, truth)
    verdicts = Verdicts(boxes, truth, pairs)
    flags = verdicts(FOREGROUND)
    return Diagnosis(
        pictures=len(truth.image_ids),
        objects=int((~truth.crowd).sum()),
        detections=len(boxes),
        costs=costs(boxes, truth, verdicts, pairs, before),
        tide=tide(boxes, truth, flags, pairs),
        trust=trust(boxes, truth, flags, pairs),
        names=truth.names,
        absent=(*(() if before is not None else (NEEDS_BEFORE,)), *NEEDS_RUN),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(entry) for entry in value]
    return None if isinstance(value, float) and math.isnan(value) else value
