"""Time and memory of every assigner with 10, 100 and 1,000 objects in a picture of 800 × 1344 pixels.

Assigners have their defaults; predictions are random, of 80 classes. Each is measured in a process of its own, with all
numbers of objects in turn in each round; memory is what the first call needs beyond what the process held before, jumps
of the allocator included.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from benchmarks.detectors import STRIDES
from benchmarks.memory import Peak, apart
from benchmarks.result import Row, remembering
from benchmarks.setting import Setting
from benchmarks.timing import interleaved, timed
from mmmc.assign import ASSIGNERS
from mmmc.structures import Prediction
from mmmc.testing import Scene, make_scene

SIZE, CLASSES = (800, 1344), 80
COUNTS, TINY = (10, 100, 1000), (2, 4, 8)
PARTS = tuple(ASSIGNERS)


def run(setting: Setting) -> list[Row]:
    """Rows of each assigner by the number of objects."""
    names = [name for name in PARTS if setting.wants(name)]
    return [row for name in names for row in apart(measure, name, setting, threads=setting.threads)]


def measure(name: str, setting: Setting) -> list[Row]:
    """The rows of one assigner."""
    assigner = ASSIGNERS[name]()
    scenes = {row_name(name, count): crowd(count, setting) for count in (TINY if setting.tiny else COUNTS)}
    assigner(*crowd(2, setting))
    memory = {}
    for row, scene in scenes.items():
        with Peak(setting.device) as peak:
            assigner(*scene)
        memory[row] = peak.extra
    clocks = {row: timed(partial(assigner, *scene), setting.device) for row, scene in scenes.items()}
    few, *more = scenes
    effort = setting.effort(warmup=0, least=3, most=15, seconds=15, within=0.03)
    return remembering(interleaved(clocks, dict.fromkeys(more, few), effort), memory)


def row_name(assigner: str, objects: int) -> str:
    """The name of the row of an assigner with so many objects."""
    return f"{assigner}, {objects} objects"


def crowd(objects: int, setting: Setting) -> Scene:
    """One picture with random objects and a random prediction, on the device."""
    size = (64, 96) if setting.tiny else SIZE
    points, said, targets = make_scene(0, images=1, objects=objects, size=size, strides=STRIDES, classes=CLASSES)
    on = setting.device
    points = replace(points, xy=points.xy.to(on), stride=points.stride.to(on), level=points.level.to(on))
    prediction = Prediction(said.logits.to(on), said.boxes.to(on), said.quality.to(on))
    return Scene(points, prediction, [target.to(on) for target in targets])
