"""Pictures a second of MMMC against FCOS, batch 1, post-processing included.

ResNet-50 with pictures of 800 × 1333 pixels and 80 classes, and the backbone of `small` with 192 × 320 and 10. Random
weights; RFA's offsets are random too. No class is likely, so there is next to nothing to suppress.
"""

from __future__ import annotations

from benchmarks.detectors import PICTURE, PRECISIONS, Inference, built, methods, noise_samples
from benchmarks.result import Row
from benchmarks.setting import Setting
from benchmarks.timing import interleaved, timed

PICTURES = {"resnet50": ("r50", PICTURE, 80), "efficientnet_lite0": ("small", (192, 320), 10)}
"""By backbone the kind of recipe, the size of pictures, and classes."""

PARTS = tuple(PICTURES)


def run(setting: Setting) -> list[Row]:
    """Seconds of a picture, by method, backbone and precision."""
    return [row for backbone in PARTS if setting.wants(backbone) for row in rows_of(backbone, setting)]


def rows_of(backbone: str, setting: Setting) -> list[Row]:
    """The rows of one backbone."""
    kind, size, classes = PICTURES[backbone]
    samples = noise_samples(1, 0, (64, 96) if setting.tiny else size, classes)
    recipes = methods(kind, tiny=setting.tiny)
    detectors = {name: built(recipes[name], classes, setting.device) for name in ("FCOS", "MMMC")}
    rows = []
    for precision in PRECISIONS:
        clocks = {
            f"{name}, {backbone}, {precision}": timed(
                Inference(detector, samples, precision, setting.device), setting.device
            )
            for name, detector in detectors.items()
        }
        fcos, mmmc = clocks
        rows += interleaved(clocks, {mmmc: fcos}, setting.effort(seconds=40))
    return rows
