"""One object of one picture as a run's two tasks see it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor

from mmmc.assign import APS, FCOS, Assigner, ignore_crowds
from mmmc.assign.aps_steps import Steps
from mmmc.assign.shared.pairs import class_losses
from mmmc.boxes import area, paired_giou, paired_iou
from mmmc.data.coco import CocoSet
from mmmc.draw.views import Candidates, Chosen, Deformed, Found, Misaligned, Parted, Scene, View
from mmmc.errors import InputError
from mmmc.gallery import eval_batch, predict_on_cpu
from mmmc.label_measures import recorded_sampling
from mmmc.predictor import Predictor
from mmmc.structures import Batch, Points, Prediction

FIGURES = ("1", "2", "3", "offsets")


@dataclass(frozen=True)
class Closeup:
    """What a figure shows of an object.

    Attributes:
        number: of the object in its picture.
        view: to be drawn (`mmmc.draw.closeup.figure_of`).
    """

    number: int
    view: View


def look(predictor: Predictor, pictures: CocoSet, index: int, figure: str, number: int | None = None) -> Closeup:
    """What one of the paper's figures shows for an object of a picture.

    Args:
        predictor: of the run.
        pictures: a set.
        index: of the picture.
        figure: `1`, detections from different places beside both loss maps; `2`, the candidates' losses, scores and
            split; `3`, loss maps and chosen points; `offsets`, where deformed kernels look.
        number: of the object in the picture; the largest if None.

    Raises:
        InputError: there is no such object or figure, or the run has no deformable convolution to look at.
    """
    batch = eval_batch(predictor, pictures, index)
    boxes = batch.targets[0].boxes
    if not len(boxes):
        raise InputError(f"{pictures.names[index]} has no object to look at.")
    if number is None:
        number = int(area(boxes).argmax())
    if not 0 <= number < len(boxes):
        raise InputError(f"--object is {number}; allowed for {pictures.names[index]}: 0 to {len(boxes) - 1}.")
    with recorded_sampling(predictor.detector) as sampling:
        points, prediction = predict_on_cpu(predictor, batch)
    rule = predictor.recipe.assigner
    aps = rule if isinstance(rule, APS) and (rule.scale or rule.spatial) else APS()
    steps = aps.steps(points, prediction, batch.targets)
    label = predictor.categories.names[int(batch.targets[0].labels[number])]
    scene = Scene(batch.images[0], batch.targets[0].size, points, boxes[number], f"object {number} ({label})")
    view: View
    match figure:
        case "1":
            view = _misaligned(scene, steps, points, prediction, number)
        case "2":
            scene = scene if aps is rule else replace(scene, name=f"{scene.name}, by APS with its defaults")
            view = Parted(scene, _candidates(steps, number), aps.score)
        case "3":
            view = _chosen(predictor, scene, steps, batch, prediction, number)
        case "offsets":
            if not sampling:
                raise InputError(
                    "This run has no RFA, so no kernel is deformed (model.rfa.class_position and box_position)."
                )
            view = _deformed(scene, steps, sampling, number)
        case _:
            raise InputError(f"There is no figure {figure!r}. Allowed: {', '.join(FIGURES)}.")
    return Closeup(number, view)


def _losses(
    steps: Steps, prediction: Prediction, number: int, *, cross_entropy: bool = False
) -> dict[str, Float[Tensor, " P"]]:
    """Both losses of the object at each point, NaN outside its box."""
    outside = ~steps.objects.in_box[0, number]
    labels = steps.objects.labels
    found = {"class loss (focal)": class_losses(prediction.logits.float(), labels)[0, number]}
    if cross_entropy:
        found["class loss (cross-entropy)"] = class_losses(prediction.logits.float(), labels, "bce")[0, number]
    boxes = prediction.boxes[0].float()
    found["box loss (1 − GIoU)"] = 1 - paired_giou(boxes, steps.objects.boxes[0, number].expand_as(boxes))
    return {name: values.float().masked_fill(outside, torch.nan) for name, values in found.items()}


def _misaligned(scene: Scene, steps: Steps, points: Points, prediction: Prediction, number: int) -> Misaligned:
    in_box = steps.objects.in_box[0, number]
    if not in_box.any():
        raise InputError(f"No point lies in the box of {scene.name}.")
    scores = prediction.logits[0, :, int(steps.objects.labels[0, number])].float().sigmoid()
    ious = paired_iou(prediction.boxes[0].float(), scene.box.expand(len(points), 4))

    def found(values: Float[Tensor, " P"]) -> Found:
        point = int(values.masked_fill(~in_box, -1).argmax())
        return Found(point, prediction.boxes[0, point].float(), float(scores[point]), float(ious[point]))

    return Misaligned(scene, found(scores), found(ious), _losses(steps, prediction, number, cross_entropy=True))


def _candidates(steps: Steps, number: int) -> Candidates:
    shortlist = steps.shortlist
    valid = shortlist.valid[0, number].flatten()
    if not valid.any():
        raise InputError(f"Object {number} has no candidate: no point lies in its box.")

    def of(values: Tensor) -> Tensor:
        return values[0, number].flatten()[valid]

    cls, reg = of(shortlist.cls).float(), of(shortlist.reg).float()
    return Candidates(
        point=of(shortlist.point),
        cls=cls,
        reg=reg,
        fit=((-cls).softmax(0), (-reg).softmax(0)),
        score=-of(steps.scores.cost).float(),
        positive=of(steps.split.positive),
    )


def _chosen(
    predictor: Predictor, scene: Scene, steps: Steps, batch: Batch, prediction: Prediction, number: int
) -> Chosen:
    rule = predictor.recipe.assigner
    rules: dict[str, Assigner] = {type(rule).__name__: rule}
    # Beside the run's own rule the other of the two, with its defaults.
    rules.setdefault("FCOS", FCOS(range_strides=4.0))
    rules.setdefault("APS", APS())
    chosen = {}
    for name, assigner in rules.items():
        assignment = assigner(scene.points, prediction, batch.targets)
        chosen[name] = ignore_crowds(scene.points, assignment, batch.targets).gt[0] == number
    return Chosen(scene, _losses(steps, prediction, number), chosen)


def _deformed(scene: Scene, steps: Steps, sampling: dict[str, list[tuple[Tensor, Tensor]]], number: int) -> Deformed:
    """From the object's positive point of least loss, or else from the point nearest to its centre."""
    total = steps.looked.cost[0, number].masked_fill(steps.assignment.gt[0] != number, torch.inf)
    center = (scene.box[:2] + scene.box[2:]) / 2
    away = (scene.points.xy - center).norm(dim=1)
    point = int(total.argmin()) if total.isfinite().any() else int(away.argmin())
    level = int(scene.points.level[point])
    first = sum(height * width for height, width in scene.points.shapes[:level])
    row, column = divmod(point - first, scene.points.shapes[level][1])
    taps, masks = {}, {}
    for tower, levels in sampling.items():
        offsets, mask = levels[level]
        taps[tower] = offsets[0, :, row, column].view(9, 2).float().cpu()
        masks[tower] = mask[0, :, row, column].float().cpu()
    return Deformed(scene, point, taps, masks)
