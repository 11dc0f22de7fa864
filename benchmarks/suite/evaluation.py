"""COCO's measure of 5,000 pictures with 100 detections each, against pycocotools.

Synthetic: 7 objects a picture of 80 classes; every second detection lies near an object.
"""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np

from benchmarks.result import Row
from benchmarks.setting import Setting
from benchmarks.timing import interleaved, timed
from mmmc.errors import InputError
from mmmc.evaluate import score

CPU_ONLY = True
PICTURES, DETECTIONS, OBJECTS, CLASSES = 5000, 100, 7, 80


def run(setting: Setting) -> list[Row]:
    """Seconds of the whole evaluation."""
    truth, results = scene(20 if setting.tiny else PICTURES)
    clocks = {
        "pycocotools": timed(lambda: reference(truth, results), setting.device),
        "mmmc": timed(lambda: score(truth, results), setting.device),
    }
    return interleaved(clocks, {"mmmc": "pycocotools"}, setting.effort(warmup=0, most=7, within=0.05))


def scene(pictures: int, detections: int = DETECTIONS) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Ground truth and results in COCO's form; the truth does not depend on the number of detections."""
    random = np.random.default_rng(0)
    sides = 2 ** random.uniform(3, 8, (pictures, OBJECTS, 2))
    boxes = np.concatenate([random.uniform(0, 380, sides.shape), sides], axis=2)
    labels = random.integers(1, CLASSES + 1, (pictures, OBJECTS))
    which = random.integers(OBJECTS, size=(pictures, detections))
    near = np.take_along_axis(boxes, which[..., None], axis=1)
    near += 0.1 * near[..., [2, 3, 2, 3]] * random.normal(size=near.shape)
    near[..., 2:] = near[..., 2:].clip(min=1)
    near[:, 1::2, :2] = random.uniform(0, 380, near[:, 1::2, :2].shape)
    found = np.take_along_axis(labels, which, axis=1)
    scores = random.random(found.shape)
    annotations = [
        {
            "id": picture * OBJECTS + number + 1,
            "image_id": picture + 1,
            "category_id": int(labels[picture, number]),
            "bbox": boxes[picture, number].tolist(),
            "area": float(sides[picture, number].prod()),
            "iscrowd": 0,
        }
        for picture in range(pictures)
        for number in range(OBJECTS)
    ]
    truth = {
        "images": [
            {"id": number + 1, "file_name": f"{number + 1}.jpg", "width": 640, "height": 640}
            for number in range(pictures)
        ],
        "categories": [{"id": number + 1, "name": f"class {number}"} for number in range(CLASSES)],
        "annotations": annotations,
    }
    results = [
        {"image_id": picture + 1, "category_id": label, "bbox": box, "score": said}
        for picture in range(pictures)
        for label, box, said in zip(
            found[picture].tolist(), near[picture].tolist(), scores[picture].tolist(), strict=True
        )
    ]
    return truth, results


def reference(truth: dict[str, Any], results: list[dict[str, Any]]) -> np.ndarray:
    """COCO's twelve numbers by pycocotools."""
    try:
        from pycocotools.coco import COCO
        from pycocotools.cocoeval import COCOeval
    except ImportError as error:
        raise InputError(
            "The evaluation is measured against pycocotools, which is not installed: pip install '.[dev]'."
        ) from error
    with contextlib.redirect_stdout(io.StringIO()):
        coco = COCO()
        coco.dataset = truth
        coco.createIndex()
        # Copies, because it writes into the dictionaries.
        evaluation = COCOeval(coco, coco.loadRes([dict(result) for result in results]), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation.stats
