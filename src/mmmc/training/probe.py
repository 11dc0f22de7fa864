"""A look at the labels after each epoch, always on the same training pictures."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from mmmc.assign import Assigner, ignore_crowds
from mmmc.data.coco import CocoSet
from mmmc.data.loading import EvalLoader
from mmmc.label_measures import LabelMeasures, recorded_sampling
from mmmc.model import Detector
from mmmc.recipe import Recipe
from mmmc.structures import Batch, Supervision


class Probe:
    """Diagnoses the detector on pictures that are spread evenly over the training set, resized and not augmented.

    Args:
        fabric: device and precision.
        train_set: the training pictures.
        recipe: how many of them, and their size.
        options: of the loader.

    Attributes:
        labels: which points were positive in the last look; a resumed run needs it to say how many change side.
    """

    def __init__(self, fabric: Fabric, train_set: CocoSet, recipe: Recipe, options: Mapping[str, Any]) -> None:
        count = min(recipe.train.diagnose, len(train_set))
        chosen = [index * len(train_set) // count for index in range(count)]
        self.fabric = fabric
        self._loader: Iterable[Batch] = (
            EvalLoader(train_set.subset(chosen), recipe.resize, batch_size=8, **options) if count else []
        )
        self.labels: list[Tensor] = []

    @torch.no_grad()
    def __call__(self, detector: Detector, assigner: Assigner) -> dict[str, float]:
        """Measures by name; nothing if no picture is to be looked at."""
        measures, training = LabelMeasures(), detector.training
        detector.eval()
        for batch in self._loader:
            batch = batch.to(self.fabric.device)
            with self.fabric.autocast(), recorded_sampling(detector) as sampling:
                points, prediction = detector(batch.images, Supervision(batch.targets, 1.0))
            assignment = ignore_crowds(points, assigner(points, prediction, batch.targets), batch.targets)
            measures.add(points, prediction, batch.targets, assignment, sampling)
        detector.train(training)
        found = measures.result(before=self.labels)
        self.labels = list(measures.labels)
        return found
