"""Pictures a second that one worker decodes and augments, against what training steps of `small` eat.

JPEGs of 640 × 480 pixels with painted scenes, augmented as `small` does; the steps train on the batches that the loader
made.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

from benchmarks.detectors import methods
from benchmarks.result import Row
from benchmarks.setting import Setting
from benchmarks.steps import Step
from benchmarks.timing import interleaved, timed
from mmmc.data.coco import CocoSet, read_coco
from mmmc.data.loading import TrainLoader
from mmmc.data.synthetic import make_synthetic
from mmmc.structures import Batch

CPU_ONLY = True
PICTURES, SIZE = 64, (480, 640)


def run(setting: Setting) -> list[Row]:
    """Seconds of a picture: loaded by a worker, and trained on."""
    recipe = methods("small", tiny=setting.tiny)["FCOS"]
    with TemporaryDirectory() as folder:
        pictures = jpegs(Path(folder) / "set", *((8, (64, 96)) if setting.tiny else (PICTURES, SIZE)))
        size = recipe.train.batch_size
        loader = TrainLoader(pictures, recipe.augmentation, seed=0, batch_size=size, workers=1)
        batches = [batch for (batch,) in loader.epoch(0)]
        step = Step(recipe, batches[0], len(pictures.categories), setting.device)
        following = cycle(batches)

        def train() -> None:
            step.batch = next(following)
            step()

        def load() -> list[list[Batch]]:
            return list(loader.epoch(1))

        clocks = {
            "training step": per_picture(train, size, setting),
            "loader, one worker": per_picture(load, size * len(batches), setting),
        }
        return interleaved(clocks, {"loader, one worker": "training step"}, setting.effort(within=0.05))


def per_picture(run: Callable[[], object], pictures: int, setting: Setting) -> Callable[[], float]:
    """Seconds of a call divided by the pictures that went through."""
    clock = timed(run, setting.device)
    return lambda: clock() / pictures


def jpegs(folder: Path, count: int, size: tuple[int, int]) -> CocoSet:
    """The embedded set as JPEGs."""
    make_synthetic(folder, train=count, val=1, size=size)
    annotations = folder / "annotations" / "instances_train.json"
    content = json.loads(annotations.read_text(encoding="utf-8"))
    for picture in content["images"]:
        file = folder / "images" / picture["file_name"]
        with Image.open(file) as image:
            image.convert("RGB").save(file.with_suffix(".jpg"), quality=90)
        picture["file_name"] = file.with_suffix(".jpg").name
    annotations.write_text(json.dumps(content), encoding="utf-8")
    return read_coco(annotations, folder / "images", check_headers=False)
