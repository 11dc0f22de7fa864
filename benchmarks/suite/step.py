"""What RFA and APS cost in training: time and memory of steps against FCOS, and APS's share of them.

Recipes `small` (batch 8 of 192 × 320 pixels, 10 classes) and `fcos_r50_1x`/`mmmc_r50_1x` (batch 2 of 512 × 512, 80
classes), with random weights; noise pictures with 20 objects each.
"""

from __future__ import annotations

from benchmarks.detectors import methods, noise
from benchmarks.memory import apart
from benchmarks.result import Row, remembering
from benchmarks.setting import Setting
from benchmarks.steps import AssignersShare, Step, memory_of_steps
from benchmarks.timing import interleaved, timed
from mmmc.recipe import Recipe
from mmmc.structures import Batch

OBJECTS = 20

BATCHES = {"small": (8, (192, 320), 10), "r50": (2, (512, 512), 80)}
"""Pictures, their size, and classes."""

PARTS = tuple(BATCHES)


def run(setting: Setting) -> list[Row]:
    """Steps of four methods by each kind of recipe, and APS's share."""
    return [row for kind in PARTS if setting.wants(kind) for row in steps(kind, setting)]


def steps(kind: str, setting: Setting) -> list[Row]:
    """The rows of one kind of recipe."""
    pictures, size, classes = BATCHES[kind]
    batch = noise(pictures, OBJECTS, (64, 96) if setting.tiny else size, classes)
    recipes = methods(kind, tiny=setting.tiny)
    named = {f"{name}, {kind}": recipe for name, recipe in recipes.items()}
    memory = {
        name: None if setting.tiny else _memory(recipe, batch, classes, setting) for name, recipe in named.items()
    }
    clocks = {
        name: timed(Step(recipe, batch, classes, setting.device), setting.device) for name, recipe in named.items()
    }
    pairs = {name: f"FCOS, {kind}" for name in clocks if not name.startswith("FCOS, ")}
    rows = remembering(interleaved(clocks, pairs, setting.effort(seconds=60)), memory)
    share = {f"APS's share, {kind}": AssignersShare(recipes["MMMC"], batch, classes, setting.device)}
    return rows + interleaved(share, {}, setting.effort(most=9), unit="1")


def _memory(recipe: Recipe, batch: Batch, classes: int, setting: Setting) -> float | None:
    if setting.device.type == "cuda":
        return memory_of_steps(recipe, batch, classes, setting.device, "fp32")
    return apart(memory_of_steps, recipe, batch, classes, setting.device, "fp32", threads=setting.threads)
