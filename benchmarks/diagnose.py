"""What `mmmc diagnose` needs for COCO's validation set: 5,000 pictures, 100 detections each, 80 classes.

    python -m benchmarks.diagnose --out benchmarks/results/diagnose.json

The set is made by chance: seven objects a picture, half of the boxes near an object of their class. Time and memory
are those of the whole command, files read and written.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from mmmc.training.environment import environment

PICTURES, OBJECTS, CLASSES = 5000, 7, 80
SIDE = 640


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--detections", type=int, default=100, help="of a picture")
    parser.add_argument("--before", type=int, default=300, help="boxes of a picture before suppression")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        at = Path(folder)
        _write(at, options.detections, options.before)
        load = os.getloadavg()[0]
        seconds, memory = _run(at)
    row = {
        "pictures": PICTURES,
        "detections_per_picture": options.detections,
        "before_per_picture": options.before,
        "seconds": round(seconds, 1),
        "processor_seconds": round(sum(resource.getrusage(resource.RUSAGE_CHILDREN)[:2]), 1),
        "peak_memory_mb": round(memory),
        "load_before": round(load, 1),
        "environment": environment(),
    }
    print({name: value for name, value in row.items() if name != "environment"})
    options.out.write_text(json.dumps(row, indent=2) + "\n")


def _run(at: Path) -> tuple[float, float]:
    files = ["--detections", "results.json", "--before-nms", "before.json", "--annotations", "instances.json"]
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "mmmc", "diagnose", *files], cwd=at, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000


def _write(at: Path, detections: int, before: int) -> None:
    draw = np.random.default_rng(0)
    picture = np.repeat(np.arange(PICTURES), OBJECTS)
    label = draw.integers(0, CLASSES, len(picture)) % draw.integers(1, CLASSES, len(picture))
    objects = _places(draw, len(picture))
    content: dict[str, Any] = {
        "images": [
            {"id": number, "file_name": f"{number}.jpg", "width": SIDE, "height": SIDE} for number in range(PICTURES)
        ],
        "categories": [{"id": number, "name": f"class {number}"} for number in range(CLASSES)],
        "annotations": [
            {
                "id": number,
                "image_id": image,
                "category_id": kind,
                "bbox": box,
                "area": box[2] * box[3],
                "iscrowd": crowd,
            }
            for number, (image, kind, box, crowd) in enumerate(
                zip(
                    picture.tolist(),
                    label.tolist(),
                    objects.tolist(),
                    (draw.random(len(picture)) < 0.01).astype(int).tolist(),
                    strict=True,
                )
            )
        ],
    }
    (at / "instances.json").write_text(json.dumps(content))
    for name, count in (("results", detections), ("before", before)):
        image = np.repeat(np.arange(PICTURES), count)
        near = draw.random(len(image)) < 0.5
        whose = image * OBJECTS + draw.integers(0, OBJECTS, len(image))
        shift = draw.normal(0, 0.15, (len(image), 4))
        place = np.concatenate(
            [objects[whose, :2] + shift[:, :2] * objects[whose, 2:], objects[whose, 2:] * np.exp(shift[:, 2:])], axis=1
        )
        boxes = np.where(near[:, None], place, _places(draw, len(image)))
        kinds = np.where(near, label[whose], draw.integers(0, CLASSES, len(image)))
        scores = draw.random(len(image)) ** 3
        rows = [
            {"image_id": one, "category_id": kind, "bbox": box, "score": score}
            for one, kind, box, score in zip(
                image.tolist(), kinds.tolist(), boxes.tolist(), scores.tolist(), strict=True
            )
        ]
        (at / f"{name}.json").write_text(json.dumps(rows))


def _places(draw: np.random.Generator, count: int) -> np.ndarray:
    """Boxes `x y width height` of all sizes."""
    size = np.exp(draw.normal(4, 1, (count, 2))).clip(4, 400)
    return np.concatenate([draw.random((count, 2)) * (SIDE - size), size], axis=1)


if __name__ == "__main__":
    main()
