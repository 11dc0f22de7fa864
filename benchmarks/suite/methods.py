"""What a training step of each method of the harness costs, next to that of FCOS with the same head and trunk.

Every recipe `small*`, batches of 8 pictures of 192 × 320 pixels with 20 objects each, random weights. RFA has offsets
that are not zero. Parts of a method that are trained beside the detector are in its step.
"""

from __future__ import annotations

from benchmarks.detectors import methods, noise, without_weights
from benchmarks.result import Row
from benchmarks.setting import Setting
from benchmarks.steps import Step
from benchmarks.suite.step import BATCHES, OBJECTS
from benchmarks.timing import interleaved, timed
from mmmc.recipe import Recipe, load_recipe, recipe_names

BASE = "small"

PARTS = tuple(name for name in recipe_names() if name.split("_")[0] == BASE)


def run(setting: Setting) -> list[Row]:
    """A row for each recipe; all are compared with `small`, which is always measured."""
    pictures, size, classes = BATCHES["small"]
    batch = noise(pictures, OBJECTS, (64, 96) if setting.tiny else size, classes)
    wanted = [name for name in PARTS if name == BASE or setting.wants(name)]
    clocks = {
        name: timed(Step(_recipe(name, setting.tiny), batch, classes, setting.device), setting.device)
        for name in wanted
    }
    against = {name: BASE for name in clocks if name != BASE}
    return interleaved(clocks, against, setting.effort(seconds=80))


def _recipe(name: str, tiny: bool) -> Recipe:
    return methods("small", tiny=tiny)["MMMC"] if name == "small_mmmc" else without_weights(load_recipe(name), tiny)
