"""Small sets of COCO objects and detections, made by chance or by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmmc.misalignment.arrays import Boxes, Overlaps, Truth, overlaps
from mmmc.misalignment.flags import MOST, Verdicts

Row = dict[str, Any]


def coco(annotations: Sequence[Row], images: Sequence[int] = (1,), classes: int = 1) -> dict[str, Any]:
    """A COCO dictionary."""
    return {
        "images": [{"id": image, "width": 400, "height": 400} for image in images],
        "annotations": [{"id": number, **row} for number, row in enumerate(annotations, 1)],
        "categories": [{"id": 10 * (label + 1), "name": f"class {label}"} for label in range(classes)],
    }


def object(*bbox: float, image: int = 1, label: int = 0, crowd: bool = False, area: float | None = None) -> Row:
    return {
        "image_id": image,
        "category_id": 10 * (label + 1),
        "bbox": list(bbox),
        "area": bbox[2] * bbox[3] if area is None else area,
        "iscrowd": int(crowd),
    }


def box(score: float, *bbox: float, image: int = 1, label: int = 0) -> Row:
    return {"image_id": image, "category_id": 10 * (label + 1), "bbox": list(bbox), "score": score}


def random_set(seed: int, *, crowds: bool = True, pictures: int = 4) -> tuple[dict[str, Any], list[Row], list[Row]]:
    """Ground truth with objects of all sizes, detections near and far from them, and boxes before suppression."""
    draw = np.random.default_rng(seed)
    # Ids have gaps and do not ascend.
    images = (1 + 3 * draw.permutation(pictures)).tolist()
    annotations, results, before = [], [], []
    for image in images:
        for _ in range(draw.integers(0, 6)):
            width, height = draw.choice([10, 20, 60, 150], 2) * draw.uniform(0.7, 1.3, 2)
            x, y = draw.uniform(0, 200, 2)
            label, crowd = int(draw.integers(3)), bool(crowds and draw.random() < 0.15)
            area = width * height * draw.uniform(0.6, 1)
            annotations.append(object(x, y, width, height, image=image, label=label, crowd=crowd, area=area))
            for _ in range(draw.integers(0, 5)):
                dx, dy, dw, dh = draw.normal(0, draw.choice([0.02, 0.1, 0.3]), 4)
                place = (x + dx * width, y + dy * height, width * np.exp(dw), height * np.exp(dh))
                said = label if draw.random() < 0.8 else int(draw.integers(3))
                row = box(float(draw.random()), *map(float, place), image=image, label=said)
                (results if draw.random() < 0.5 else before).append(row)
        for _ in range(draw.integers(0, 3)):
            place = (*draw.uniform(0, 200, 2), *draw.uniform(5, 90, 2))
            results.append(box(float(draw.random()), *map(float, place), image=image, label=int(draw.integers(3))))
    return coco(annotations, images, classes=3), results, results + before


def prepared(ground_truth: dict[str, Any], results: Sequence[Row]) -> tuple[Truth, Boxes, Overlaps, Verdicts]:
    truth = Truth.from_coco(ground_truth)
    boxes = Boxes.from_coco(results, truth)
    boxes = boxes[boxes.first(MOST, by_class=True)]
    pairs = overlaps(boxes, truth)
    return truth, boxes, pairs, Verdicts(boxes, truth, pairs)
