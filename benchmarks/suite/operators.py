"""Where a training step of MMMC on a CPU spends its time: PyTorch's operators, by the time inside themselves.

Recipe, batch and pictures are those of `small` in the benchmark `step`. A value is the mean of some steps under
PyTorch's profiler, which slows them down; so shares are what counts.
"""

from __future__ import annotations

from torch.profiler import ProfilerActivity, profile

from benchmarks.detectors import methods, noise
from benchmarks.result import Row
from benchmarks.setting import Setting
from benchmarks.steps import Step
from benchmarks.suite.step import BATCHES, OBJECTS

CPU_ONLY = True
WARMUP, STEPS, SHOWN = 2, 4, 12
OTHERS, ALL = "all others", "a step"


def run(setting: Setting) -> list[Row]:
    """The operators that take most, what is left, and all of it, in seconds of a step."""
    pictures, size, classes = BATCHES["small"]
    batch = noise(pictures, OBJECTS, (64, 96) if setting.tiny else size, classes)
    step = Step(methods("small", tiny=setting.tiny)["MMMC"], batch, classes, setting.device)
    for _ in range(WARMUP):
        step()
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as seen:
        for _ in range(STEPS):
            step()
    events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
    seconds = [event.self_cpu_time_total / STEPS / 1e6 for event in events]
    rows = [
        Row(event.key, (own,), note=f"{event.count / STEPS:.0f} calls")
        for event, own in zip(events[:SHOWN], seconds, strict=False)
    ]
    return [*rows, Row(OTHERS, (sum(seconds[SHOWN:]),)), Row(ALL, (sum(seconds),))]
