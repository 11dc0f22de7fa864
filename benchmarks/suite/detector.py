"""Pictures a second of MMMC against FCOS: ResNet-50, 800 × 1333 pixels, batch 1, post-processing included.

Random weights and 80 classes; RFA's offsets are random too. No class is likely, so there is next to nothing to
suppress.
"""

from __future__ import annotations

from benchmarks.detectors import PICTURE, PRECISIONS, Inference, built, methods, noise_samples
from benchmarks.result import Row
from benchmarks.setting import Setting
from benchmarks.timing import interleaved, timed


def run(setting: Setting) -> list[Row]:
    """Seconds of a picture, by method and precision."""
    samples = noise_samples(1, 0, (64, 96) if setting.tiny else PICTURE, 80)
    recipes = methods("r50", tiny=setting.tiny)
    detectors = {name: built(recipes[name], 80, setting.device) for name in ("FCOS", "MMMC")}
    rows = []
    for precision in PRECISIONS:
        clocks = {
            f"{name}, {precision}": timed(Inference(detector, samples, precision, setting.device), setting.device)
            for name, detector in detectors.items()
        }
        pairs = {f"MMMC, {precision}": f"FCOS, {precision}"}
        rows += interleaved(clocks, pairs, setting.effort(seconds=90))
    return rows
