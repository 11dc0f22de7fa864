"""Seconds and memory that the reader takes for a JSON of the size of COCO's train2017, without pictures.

The file is made for the purpose, the same each time: 118,287 pictures, 860,001 boxes, nearly all with polygons, some
crowd regions with run lengths, COCO's 80 category ids with their gaps. Its making does not count. It is read in a fresh
process.
"""

from __future__ import annotations

import json
import random
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.intervals import ENOUGH
from benchmarks.memory import fresh
from benchmarks.result import Row
from benchmarks.setting import Setting

CPU_ONLY = True
PICTURES, BOXES, CROWD_EVERY = 118_287, 860_001, 85
GAPS = {12, 26, 29, 30, 45, 66, 68, 69, 71, 83}
CATEGORY_IDS = [id for id in range(1, 91) if id not in GAPS]
TINY = 100
"""Pictures are fewer by this factor in a smoke test."""


def run(setting: Setting) -> list[Row]:
    """Seconds after the import, and the most that the whole process holds."""
    factor = TINY if setting.tiny else 1
    effort = setting.effort(most=ENOUGH)
    found = []
    with TemporaryDirectory() as folder:
        file = Path(folder) / "instances_train.json"
        make(file, PICTURES // factor, BOXES // factor)
        for _ in range(effort.most):
            found.append(
                fresh(
                    "import sys; from mmmc.data.coco import read_coco",
                    "read_coco(sys.argv[1], sys.argv[2], check_headers=False)",
                    file,
                    folder,
                )
            )
        note = f"file of {file.stat().st_size / 1e6:.0f} MB"
    seconds, memory = zip(*found, strict=True)
    return [Row("seconds", seconds, note=note), Row("memory of the process", memory, unit="MB")]


def make(file: Path, pictures: int, boxes: int) -> None:
    """Write the annotation file."""
    rng = random.Random(0)
    polygons = [json.dumps([_polygon(rng)]) for _ in range(4096)]
    runs = [json.dumps({"counts": [rng.randrange(400) for _ in range(300)], "size": [480, 640]}) for _ in range(64)]
    with file.open("w") as stream:
        stream.write('{"info": {"description": "made for a benchmark"}, "licenses": [], "images": [')
        stream.write(", ".join(json.dumps(_image(id)) for id in range(1, pictures + 1)))
        stream.write('], "annotations": [')
        for id in range(1, boxes + 1):
            crowd = int(id % CROWD_EVERY == 0)
            shape = rng.choice(runs if crowd else polygons)
            rest = json.dumps(_annotation(rng, id, crowd, pictures))[1:]
            stream.write(f'{", " if id > 1 else ""}{{"segmentation": {shape}, {rest}')
        categories = [{"supercategory": "thing", "id": id, "name": f"class {id}"} for id in CATEGORY_IDS]
        stream.write(f'], "categories": {json.dumps(categories)}}}')


def _polygon(rng: random.Random) -> list[float]:
    return [round(rng.uniform(0, 480), 2) for _ in range(2 * rng.randint(6, 40))]


def _image(id: int) -> dict[str, Any]:
    name = f"{id:012d}.jpg"
    return {
        "license": 1,
        "file_name": name,
        "coco_url": f"http://images.example.org/train2017/{name}",
        "height": 480,
        "width": 640,
        "date_captured": "2013-11-14 11:18:45",
        "flickr_url": f"http://farm9.example.org/8186/{id:010d}_4e622c8349_z.jpg",
        "id": id,
    }


def _annotation(rng: random.Random, id: int, crowd: int, pictures: int) -> dict[str, Any]:
    width, height = rng.uniform(4, 300), rng.uniform(4, 220)
    x, y = rng.uniform(0, 640 - width), rng.uniform(0, 480 - height)
    return {
        "area": round(0.6 * width * height, 4),
        "iscrowd": crowd,
        "image_id": rng.randint(1, pictures),
        "bbox": [round(value, 2) for value in (x, y, width, height)],
        "category_id": rng.choice(CATEGORY_IDS),
        "id": id,
    }
