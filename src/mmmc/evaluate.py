"""Detections and ground truth in, numbers out: COCO's AP and AR.

Ground truth is a COCO dictionary: `images`, `annotations` (`id`, `image_id`, `category_id`, `bbox` as
`x y width height`, `area`, `iscrowd`) and `categories`, whose order is that of the class indices.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from faster_coco_eval import COCO, COCOeval_faster
from rich.console import Group
from rich.markup import escape
from rich.table import Table

from mmmc.errors import InputError
from mmmc.files import write_text
from mmmc.structures import Detections


@dataclass(frozen=True)
class ClassScores:
    """COCO's measure of one class, as fractions in 0..1; NaN without objects.

    Attributes:
        AP: mean over IoU .50 to .95 in steps of .05.
        AP50: at IoU .50.
        AP75: at IoU .75.
        objects: how many there are, crowd regions not counted.
        precision: at IoU .50 for recall 0, .01 … 1, as AP50 averages it; empty without objects.
    """

    AP: float
    AP50: float
    AP75: float
    objects: int
    precision: tuple[float, ...] = ()


@dataclass(frozen=True)
class Scores:
    """COCO's twelve numbers, as fractions in 0..1, and those of each class by name.

    `s`, `m`, `l` are objects of area up to 32², 32² to 96² and above; `AR1`, `AR10`, `AR100` allow so many
    detections per picture and class. A number without any object to measure is NaN (COCO writes -1), so
    that it cannot pass for a score; with objects and without detections it is 0.
    """

    AP: float
    AP50: float
    AP75: float
    APs: float
    APm: float
    APl: float
    AR1: float
    AR10: float
    AR100: float
    ARs: float
    ARm: float
    ARl: float
    per_class: dict[str, ClassScores]

    def numbers(self) -> dict[str, float | None]:
        """The twelve numbers by name, ready for JSON: None instead of NaN."""
        return {name: _none(getattr(self, name)) for name in NUMBERS}

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values, ready for JSON: None instead of NaN."""
        per_class = {
            name: {key: _none(value) for key, value in asdict(scores).items()} | {"precision": list(scores.precision)}
            for name, scores in self.per_class.items()
        }
        return {**self.numbers(), "per_class": per_class}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Scores:
        """The scores that `to_dict` was called on."""
        per_class = {
            name: ClassScores(**{**_nan(scores), "precision": tuple(scores["precision"])})
            for name, scores in values["per_class"].items()
        }
        return cls(**{**_nan(values), "per_class": per_class})


NUMBERS = tuple(field.name for field in fields(Scores) if field.name != "per_class")
"""Names of COCO's twelve numbers, in COCO's order."""


def to_results(detections: Iterable[Detections], category_ids: Sequence[int]) -> list[dict[str, Any]]:
    """Detections as COCO results, by image id and then in their own order.

    Args:
        detections: those of each picture, every picture at most once.
        category_ids: COCO's category id of each class index.

    Returns:
        Dictionaries with `image_id`, `category_id`, `bbox` as `x y width height` and `score`. Numbers are
        float64 and not rounded: the subtraction is done there, and AP does not depend on the way through a file.

    Raises:
        ValueError: a picture comes twice, which would count its detections twice.
    """
    results: list[dict[str, Any]] = []
    previous = None
    for picture in sorted(detections, key=lambda picture: picture.image_id):
        if picture.image_id == previous:
            raise ValueError(f"The picture with id {previous} comes twice among the detections.")
        previous = picture.image_id
        boxes, scores, labels = (getattr(picture, name).tolist() for name in ("boxes", "scores", "labels"))
        results += [
            {
                "image_id": picture.image_id,
                "category_id": category_ids[label],
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": score,
            }
            for (x1, y1, x2, y2), score, label in zip(boxes, scores, labels, strict=True)
        ]
    return results


def write_results(path: str | Path, results: list[dict[str, Any]]) -> None:
    """Write COCO results as the COCO server takes them: the whole file or none, each number with all its digits.

    Raises:
        InputError: the file cannot be written.
        ValueError: a number is not finite; JSON has no word for it.
    """
    text = json.dumps(results, allow_nan=False)
    write_text(Path(path), text)


def score(ground_truth: dict[str, Any], results: list[dict[str, Any]]) -> Scores:
    """COCO's measure of boxes.

    Args:
        ground_truth: COCO dictionary, see above; left as it is.
        results: COCO results, see `to_results`; may be empty; left as they are.

    Raises:
        InputError: the results name a picture or category that the ground truth does not have, or two
            categories have one name.
    """
    coco = evaluator(ground_truth, results)
    coco.evaluate()
    coco.accumulate()
    coco.summarize()
    # IoU, recall, class, area range, detections allowed: all areas and the most detections are meant here.
    precision = coco.eval["precision"][:, :, :, 0, -1]
    thresholds, columns = coco.params.iouThrs, list(coco.params.catIds)
    at_50, at_75 = (int(np.abs(thresholds - iou).argmin()) for iou in (0.5, 0.75))
    objects = count_objects(ground_truth)

    per_class = {}
    for category in ground_truth["categories"]:
        values = precision[:, :, columns.index(category["id"])]
        if category["name"] in per_class:
            raise InputError(f"The ground truth has two categories with the name {category['name']!r}.")
        per_class[category["name"]] = ClassScores(
            AP=_mean(values),
            AP50=_mean(values[at_50]),
            AP75=_mean(values[at_75]),
            objects=objects[category["id"]],
            precision=tuple(values[at_50].tolist()) if objects[category["id"]] else (),
        )
    numbers = {name: math.nan if value == -1 else float(value) for name, value in zip(NUMBERS, coco.stats, strict=True)}
    return Scores(**numbers, per_class=per_class)


def tables(scores: Scores) -> Group:
    """The twelve numbers and a line for each class, × 100, for `rich.print`."""
    parts = []
    for names in (NUMBERS[:6], NUMBERS[6:]):
        table = Table()
        for name in names:
            table.add_column(name, justify="right", min_width=5)
        table.add_row(*(percent(getattr(scores, name)) for name in names))
        parts.append(table)
    classes = Table("class")
    for name in ("objects", "AP", "AP50", "AP75"):
        classes.add_column(name, justify="right")
    for name, one in scores.per_class.items():
        classes.add_row(escape(name), str(one.objects), percent(one.AP), percent(one.AP50), percent(one.AP75))
    return Group(*parts, classes)


def evaluator(
    ground_truth: dict[str, Any], results: list[dict[str, Any]], kind: type[COCOeval_faster] = COCOeval_faster
) -> COCOeval_faster:
    """COCO's evaluation of boxes, not yet run; annotation and detection ids count from 1 in the given order."""
    require_known(results, *({entry["id"] for entry in ground_truth[kind]} for kind in ("images", "categories")))
    # Copies, because the library writes into the dictionaries. Own ids, because COCO's matching takes an
    # annotation with id 0 for none, and because ids then say the place.
    annotations = [{**annotation, "id": number} for number, annotation in enumerate(ground_truth["annotations"], 1)]
    # What the library's `loadRes` makes, less a polygon for each box, which takes longer than all else here.
    detections = [
        {**result, "id": number, "area": result["bbox"][2] * result["bbox"][3], "iscrowd": 0}
        for number, result in enumerate(results, 1)
    ]
    truth, found = (
        COCO({**ground_truth, "annotations": entries}, print_function=_silent) for entries in (annotations, detections)
    )
    return kind(truth, found, "bbox", print_function=_silent)


def require_known(results: Sequence[Mapping[str, Any]], images: Set[int], categories: Set[int]) -> None:
    """Refuse COCO results of other pictures or categories than those with these ids.

    Raises:
        InputError: names field and ids.
    """
    for field, kind, known in (("image_id", "images", images), ("category_id", "categories", categories)):
        unknown = {result[field] for result in results} - known
        if unknown:
            raise InputError(
                f"The results have {field} {sorted(unknown)[:5]}, which is not among the {kind} of the ground truth."
            )


def _silent(*_: object) -> None:
    pass


def count_objects(ground_truth: dict[str, Any]) -> Counter[int]:
    """Objects by category id, crowd regions not counted."""
    return Counter(annotation["category_id"] for annotation in ground_truth["annotations"] if not annotation["iscrowd"])


def _mean(values: np.ndarray) -> float:
    """Mean of those that are defined; COCO writes -1 for the others."""
    defined = values[values > -1]
    return float(defined.mean()) if defined.size else math.nan


def _none(value: Any) -> Any:
    return None if isinstance(value, float) and math.isnan(value) else value


def _nan(values: dict[str, Any]) -> dict[str, Any]:
    return {key: math.nan if value is None else value for key, value in values.items()}


def percent(value: float) -> str:
    """A fraction × 100 with one digit; a dash for NaN."""
    return "–" if math.isnan(value) else f"{100 * value:.1f}"
