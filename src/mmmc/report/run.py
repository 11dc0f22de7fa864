"""The diagnosis of a run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from mmmc.data.coco import CocoSet
from mmmc.draw.apart import Mark, two_points
from mmmc.gallery import eval_batch
from mmmc.misalignment import Diagnosis, Truth, diagnose
from mmmc.misalignment.apart import OVERLAPPING, SCORED, Apart
from mmmc.misalignment.look import Seen, look
from mmmc.predictor import Predictor
from mmmc.recipe import Recipe
from mmmc.structures import Batch
from mmmc.training.folder import RunFolder
from mmmc.training.journal import read_metrics

WORST = 10
"""Objects that are drawn."""


@dataclass(frozen=True)
class Drawn:
    """A picture of the page.

    Attributes:
        caption: below it, and for those who do not see it.
        figure: the picture.
    """

    caption: str
    figure: Figure


def diagnose_run(
    predictor: Predictor, pictures: CocoSet, batches: Iterable[Batch], path: Path | str
) -> tuple[Diagnosis, list[Drawn]]:
    """Detect on a set and say what is lost.

    Args:
        predictor: of the run.
        pictures: the set.
        batches: its pictures as they are scored.
        path: of the run; its journal says what labels did in training, where it is a folder.

    Returns:
        The diagnosis, and the objects with the worst misalignment as pictures.
    """
    ground_truth = pictures.to_coco()
    seen = look(predictor, Truth.from_coco(ground_truth), batches)
    return diagnosed(ground_truth, seen, predictor.recipe, path), worst(predictor, pictures, seen.apart)


def diagnosed(ground_truth: Mapping[str, Any], seen: Seen, recipe: Recipe, path: Path | str) -> Diagnosis:
    """The diagnosis of what a run's detector said, trained by `recipe`; `path` as in `diagnose_run`."""
    return diagnose(ground_truth, seen.results, seen.before).of_run(recipe, seen.apart, _labels(Path(path)))


def _labels(path: Path) -> dict[str, Any] | None:
    """The last line about labels of a run's journal."""
    metrics = RunFolder(path).metrics
    rows = [row for row in read_metrics(metrics) if row["kind"] == "assign"] if metrics.is_file() else []
    return rows[-1] if rows else None


def worst(predictor: Predictor, pictures: CocoSet, found: Apart) -> list[Drawn]:
    """The objects with the worst misalignment as pictures."""
    index_of = {pictures.image_id(index): index for index in range(len(pictures))}
    drawn = []
    for row in found.worst(WORST).tolist():
        index = index_of[int(found.image_id[row])]
        batch = eval_batch(predictor, pictures, index)
        name = predictor.categories.names[int(found.label[row])]
        x1, y1, x2, y2 = found.box[row].tolist()
        figure = two_points(
            batch.images[0],
            batch.targets[0].size,
            (x1, y1, x2, y2),
            f"{name}, {pictures.names[index]}",
            _mark(found, SCORED, row),
            _mark(found, OVERLAPPING, row),
        )
        scored, best = found.iou[:, row].tolist()
        caption = (
            f"{name}, object {int(found.number[row])} of {pictures.names[index]}: IoU {scored:.2f} where the score is "
            f"best, {best:.2f} at best; points {found.strides[row]:.1f} strides and "
            f"{int(found.levels[row])} levels apart."
        )
        drawn.append(Drawn(caption, figure))
    return drawn


def _mark(found: Apart, which: int, row: int) -> Mark:
    x, y = found.xy[which, row].tolist()
    x1, y1, x2, y2 = found.boxes[which, row].tolist()
    return Mark(
        xy=(x, y),
        stride=int(found.stride[which, row]),
        box=(x1, y1, x2, y2),
        score=float(found.score[which, row]),
        iou=float(found.iou[which, row]),
    )
