"""Pictures of a run: what it learned, where its labels land, and where each task finds its work hard."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import matplotlib
import torch
from jaxtyping import Float
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import to_pil_image

from mmmc import draw
from mmmc.assign import FCOS, ignore_crowds
from mmmc.comparison import compare_assigners
from mmmc.criterion import DenseCriterion
from mmmc.data.batching import collate
from mmmc.data.coco import CocoSet
from mmmc.data.loading import eval_sample
from mmmc.data.pictures import read_picture
from mmmc.errors import InputError
from mmmc.files import write_atomically
from mmmc.predictor import Predictor
from mmmc.recipe.naming import NamedAssigner
from mmmc.structures import Batch, Points, Prediction, Supervision, Target
from mmmc.training.folder import RunFolder
from mmmc.training.journal import read_metrics
from mmmc.training.sets import open_sets

SHOWN = 6
"""Pictures of a mosaic."""

THRESHOLD = 0.5
"""Least score of a box that is drawn. A score is the root of class probability times quality, so it is not low."""


def draw_run(path: str | Path, *, device: str = "cpu") -> list[Path]:
    """Draw a finished run into its folder of pictures.

    Curves of training, the labels of its pictures, predictions beside the ground truth, positives per level and loss
    maps of the scored picture with the most objects.

    Returns:
        The files.
    """
    folder = RunFolder(Path(path))
    folder.require()
    predictor = Predictor.load(path, weights="last", device=device)
    train_set, val_set = open_sets(predictor.recipe.data)
    counts = [len(val_set.objects(i).labels) for i in range(len(val_set))]
    crowded = counts.index(max(counts))
    comparisons = [draw_comparison(predictor, val_set, i) for i in evenly(len(val_set), SHOWN)]
    height, width = comparisons[0].shape[1:]
    images = {"predictions": draw.mosaic(comparisons, 2, (round(720 * height / width), 720))}
    figures = {
        "curves": draw.curves(read_metrics(folder.metrics)),
        "objects": draw_objects(train_set),
        "labels": draw_labels(predictor, val_set, crowded),
        "losses": draw_losses(predictor, val_set, crowded),
    }
    files = [save_image(image, folder.pictures / f"{name}.png") for name, image in images.items()]
    return files + [save_figure(figure, folder.pictures / f"{name}.png") for name, figure in figures.items()]


def evenly(count: int, most: int) -> list[int]:
    """So many places of a list, at least two, spread over it, so that nobody chose them; all of a shorter one."""
    return sorted({round(k * (count - 1) / (most - 1)) for k in range(most)}) if most < count else list(range(count))


def draw_comparison(predictor: Predictor, pictures: CocoSet, index: int, threshold: float = THRESHOLD) -> Tensor:
    """Ground truth and predictions of a picture of a set, side by side, in the size of the file."""
    batch = eval_batch(predictor, pictures, index)
    return draw.comparison(
        read_picture(pictures.file(index)),
        batch.targets[0],
        predictor.detect(batch)[0],
        predictor.categories.names,
        threshold,
    )


def draw_labels(predictor: Predictor, pictures: CocoSet, index: int) -> Figure:
    """Which points of which level the recipe's assigner gives to which object of a picture of a set."""
    return labels_figure(predictor, eval_batch(predictor, pictures, index))


def labels_figure(predictor: Predictor, batch: Batch) -> Figure:
    """Which points of which level the recipe's assigner gives to which object of a batch of one picture."""
    points, prediction = predict_on_cpu(predictor, batch)
    assignment = predictor.recipe.assigner(points, prediction, batch.targets)
    assignment = ignore_crowds(points, assignment, batch.targets)
    return draw.positives(batch.images[0], points, assignment, 0, batch.targets[0], predictor.categories.names)


def draw_assigners(
    predictor: Predictor,
    pictures: CocoSet,
    index: int,
    assigners: Sequence[NamedAssigner],
    *,
    per_level: bool = False,
) -> Figure:
    """Where assigners, as they are when training ends, put their labels on the same predictions of a picture.

    Raises:
        InputError: the picture has no object, or an assigner reads a branch that the run's detector does not have.
    """
    batch = eval_batch(predictor, pictures, index)
    target = batch.targets[0]
    if not len(target.labels):
        raise InputError(f"{pictures.names[index]} has no object to give points to.")
    points, prediction = predict_on_cpu(predictor, batch)
    rules = {named.name: named.assigner.at(1.0) for named in assigners}
    return draw.side_by_side(
        batch.images[0],
        compare_assigners(rules, points, prediction, target),
        predictor.categories.names,
        notes={named.name: named.note for named in assigners},
        per_level=per_level,
    )


def draw_losses(predictor: Predictor, pictures: CocoSet, index: int) -> Figure:
    """The same of a picture of a set as `losses_figure` of a batch."""
    return losses_figure(predictor, eval_batch(predictor, pictures, index))


def losses_figure(predictor: Predictor, batch: Batch) -> Figure:
    """Class and box loss that each point would have for the smallest object around it, level by level (Fig. 1)."""
    points, prediction = predict_on_cpu(predictor, batch)
    return draw.loss_maps(
        batch.images[0],
        points,
        candidate_losses(points, prediction, batch.targets[0]),
        size=batch.targets[0].size,
        boxes=batch.targets[0].boxes,
    )


def candidate_losses(points: Points, prediction: Prediction, target: Target) -> dict[str, Float[Tensor, " P"]]:
    """Focal loss and GIoU loss of every point inside a box, for the smallest box around it; NaN elsewhere."""
    everywhere = FCOS(range_strides=None, center_radius=None)(points, prediction, [target])
    losses = DenseCriterion(box_weight="none").point_losses(points, prediction, [target], everywhere)
    outside = ~everywhere.positive[0]
    return {
        "class loss (focal)": losses["class"][0].masked_fill(outside, torch.nan),
        "box loss (1 − GIoU)": losses["box"][0].masked_fill(outside, torch.nan),
    }


def save_image(image: Tensor, path: Path, *, comment: str = "") -> Path:
    """Write an 8-bit picture `3 H W` in the format that the file's name says, a JPEG perhaps with a comment."""
    picture: Image.Image = to_pil_image(image)
    suffix = Image.registered_extensions().get(path.suffix.lower(), "PNG")
    options = {"comment": comment} if comment and suffix == "JPEG" else {}
    write_atomically(path, lambda temporary: picture.save(temporary, format=suffix, **options))
    return path


def save_figure(figure: Figure, path: Path) -> Path:
    """Write a figure in the format that the file's name says; letters of a PDF are TrueType, as publishers want."""
    with matplotlib.rc_context({"pdf.fonttype": 42}):
        write_atomically(path, lambda temporary: figure.savefig(temporary, format=path.suffix[1:] or "png", dpi=150))
    return path


def eval_batch(predictor: Predictor, pictures: CocoSet, index: int) -> Batch:
    """A picture of a set as a batch of its own, as it is scored."""
    sample = eval_sample(pictures, predictor.recipe.resize, index)
    return collate([sample], predictor.detector.backbone.normalize.padding, divisor=32)


@torch.no_grad()
def predict_on_cpu(predictor: Predictor, batch: Batch) -> tuple[Points, Prediction]:
    """What the detector says of a batch, brought to the CPU to be drawn."""
    batch = batch.to(predictor.device)
    points, prediction = predictor.detector(batch.images, Supervision(batch.targets, 1.0))
    cpu = torch.device("cpu")
    points = replace(points, xy=points.xy.to(cpu), stride=points.stride.to(cpu), level=points.level.to(cpu))
    return points, Prediction(
        logits=prediction.logits.to(cpu),
        boxes=prediction.boxes.to(cpu),
        quality=prediction.quality.to(cpu),
        extra={name: value.to(cpu) for name, value in prediction.extra.items()},
    )


def draw_objects(pictures: CocoSet) -> Figure:
    """Objects of a set per class, their sizes, and where their centres lie."""
    objects = [pictures.objects(i) for i in range(len(pictures))]
    return draw.label_map(
        [torch.from_numpy(entry.boxes) for entry in objects],
        [torch.from_numpy(entry.labels) for entry in objects],
        [pictures.size(i) for i in range(len(pictures))],
        pictures.categories.names,
    )
