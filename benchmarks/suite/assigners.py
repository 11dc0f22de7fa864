"""Time and memory of every assigner with 10, 100 and 1,000 objects in a picture of 800 × 1344 pixels.

Assigners have their defaults; predictions are random, of 80 classes. Time is measured in a process for each assigner,
with all numbers of objects in turn in each round. Memory is what a call needs beyond what the process held before, in
another process whose allocator keeps nothing back.
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
from mmmc.assign.protocol import Assigner
from mmmc.structures import Prediction
from mmmc.testing import Scene, make_scene

SIZE, CLASSES = (800, 1344), 80
COUNTS, TINY = (10, 100, 1000), (2, 4, 8)
PARTS = tuple(ASSIGNERS)


def run(setting: Setting) -> list[Row]:
    """Rows of each assigner by the number of objects."""
    rows = []
    for name in filter(setting.wants, PARTS):
        memory = apart(needs, name, setting, threads=setting.threads, keeping=False)
        rows += remembering(apart(times, name, setting, threads=setting.threads), memory)
    return rows


def measure(name: str, setting: Setting) -> list[Row]:
    """The rows of one assigner, all of it in this process: a GPU tells memory apart by itself."""
    return remembering(times(name, setting), needs(name, setting))


def times(name: str, setting: Setting) -> list[Row]:
    """Seconds of a call."""
    assigner, scenes = prepared(name, setting)
    clocks = {row: timed(partial(assigner, *scene), setting.device) for row, scene in scenes.items()}
    few, *more = scenes
    effort = setting.effort(warmup=0, most=15, seconds=4, within=0.03)
    return interleaved(clocks, dict.fromkeys(more, few), effort)


def needs(name: str, setting: Setting) -> dict[str, float | None]:
    """Extra memory of a call, in MB."""
    assigner, scenes = prepared(name, setting)
    memory = {}
    for row, scene in scenes.items():
        with Peak(setting.device) as peak:
            assigner(*scene)
        memory[row] = peak.extra
    return memory


def prepared(name: str, setting: Setting) -> tuple[Assigner, dict[str, Scene]]:
    """An assigner that was called before, and its scenes by the names of their rows."""
    assigner = ASSIGNERS[name]()
    assigner(*crowd(2, setting))
    return assigner, {row_name(name, count): crowd(count, setting) for count in (TINY if setting.tiny else COUNTS)}


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
