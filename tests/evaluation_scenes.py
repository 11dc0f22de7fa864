"""Ground truth and detections for the tests of the evaluation."""

from __future__ import annotations

import numpy as np
import torch

from mmmc.structures import Detections

CATEGORY_IDS = (90, 3, 17, 1, 44, 62, 8, 70, 25, 51)
"""Sparse, and not in the order of the class indices."""


def truth(*objects: tuple[int, int, list[float], int], images: int = 2) -> dict:
    """Ground truth of the classes `cat` (id 7) and `dog` (id 3) from (image, category, bbox, iscrowd)."""
    return {
        "images": [{"id": number, "width": 200, "height": 200} for number in range(1, images + 1)],
        "categories": [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": category,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": c,
            }
            for number, (image, category, box, c) in enumerate(objects)
        ],
    }


def found(*detections: tuple[int, int, list[float], float]) -> list[dict]:
    return [
        {"image_id": image, "category_id": category, "bbox": box, "score": score}
        for image, category, box, score in detections
    ]


A, B, NOWHERE = [0.0, 0.0, 20.0, 20.0], [100.0, 100.0, 50.0, 50.0], [60.0, 10.0, 20.0, 20.0]


def random_set(pictures: int = 300) -> tuple[dict, list[Detections]]:
    """Objects of all sizes, crowds, pictures without objects or detections, equal scores, a picture with many."""
    rng = np.random.default_rng(0)
    annotations, detections = [], []
    for image_id in range(1, pictures + 1):
        boxes, labels = [], []
        for _ in range(rng.integers(0, 9)):
            side = 2 ** rng.uniform(2, 8, size=2)
            box, label = [*rng.uniform(0, 300, size=2), *side], int(rng.integers(0, 9))
            crowd = int(rng.random() < 0.1)
            annotations.append(
                {"image_id": image_id, "category_id": CATEGORY_IDS[label], "bbox": [float(v) for v in box]}
                # A segmented object's area is less than its box's.
                | {"id": len(annotations) + 1, "area": float(side.prod() * rng.uniform(0.4, 1)), "iscrowd": crowd}
            )
            for _ in range(rng.integers(0, 4)):
                boxes.append(np.array(box) + rng.normal(0, 0.08, 4) * np.array([*side, *side]))
                labels.append(label if rng.random() < 0.9 else int(rng.integers(0, 10)))
        for _ in range(150 if image_id == 7 else rng.integers(0, 4)):
            boxes.append(np.array([*rng.uniform(0, 300, size=2), *rng.uniform(5, 100, size=2)]))
            labels.append(0 if image_id == 7 else int(rng.integers(0, 10)))
        if rng.random() < 0.1:
            boxes, labels = [], []
        xywh = torch.tensor(np.array(boxes).reshape(-1, 4), dtype=torch.float32)
        xywh[:, 2:].clamp_(min=1)
        detections.append(
            Detections(
                boxes=torch.cat([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]], dim=1),
                scores=torch.tensor(rng.random(len(boxes)).round(2), dtype=torch.float32),
                labels=torch.tensor(labels, dtype=torch.long),
                image_id=image_id,
            )
        )
    return {
        "images": [{"id": number, "width": 640, "height": 640} for number in range(1, pictures + 1)],
        "categories": [{"id": number, "name": f"class {index}"} for index, number in enumerate(CATEGORY_IDS)],
        "annotations": annotations,
    }, detections
