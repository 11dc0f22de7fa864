"""Where a training step on a CPU spends its time: PyTorch's operators, as a table of docs/performance.md."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.detectors import methods, noise
from benchmarks.report import between, put
from benchmarks.result import machine
from benchmarks.steps import Step
from benchmarks.suite.step import BATCHES, OBJECTS

WARMUP, STEPS, SHOWN = 2, 4, 12


def main(arguments: Sequence[str]) -> int:
    """Print the table, or put it into a page."""
    parser = argparse.ArgumentParser("python -m benchmarks operators", description=__doc__)
    parser.add_argument("--kind", choices=tuple(BATCHES), default="small", help="of recipes and batch, as in `step`")
    parser.add_argument("--method", choices=("FCOS", "FCOS + RFA", "FCOS + APS", "MMMC"), default="MMMC")
    parser.add_argument("--tiny", action="store_true", help="small pictures, to see that it runs")
    parser.add_argument("--into", type=Path, metavar="PAGE", help="replace the table of this page instead of printing")
    config = parser.parse_args(arguments)
    torch.set_num_threads(1)
    text = table(config.kind, config.method, tiny=config.tiny)
    return put({"operators": between("operators", text, "python -m benchmarks operators")}, config.into)


def table(kind: str, method: str, *, tiny: bool = False) -> str:
    """The operators that take most of a step of this method, by time inside themselves."""
    pictures, size, classes = BATCHES[kind]
    batch = noise(pictures, OBJECTS, (64, 96) if tiny else size, classes)
    step = Step(methods(kind, tiny=tiny)[method], batch, classes, torch.device("cpu"))
    for _ in range(WARMUP):
        step()
    with profile(activities=[ProfilerActivity.CPU], acc_events=True) as seen:
        for _ in range(STEPS):
            step()
    events = sorted(seen.key_averages(), key=lambda event: -event.self_cpu_time_total)
    total = sum(event.self_cpu_time_total for event in events)
    lines = [f"| {method}, `{kind}`: operator | calls | ms | share |", "|---|---:|---:|---:|"]
    lines += [
        f"| `{event.key}` | {event.count / STEPS:.0f} | {event.self_cpu_time_total / STEPS / 1000:.0f} "
        f"| {100 * event.self_cpu_time_total / total:.0f} % |"
        for event in events[:SHOWN]
    ]
    others = sum(event.self_cpu_time_total for event in events[SHOWN:])
    lines.append(f"| all others | | {others / STEPS / 1000:.0f} | {100 * others / total:.0f} % |")
    lines.append(f"| **a step** | | **{total / STEPS / 1000:.0f}** | |")
    return "\n".join([*lines, "", f"One thread of an {machine()['cpu']}, torch {machine()['torch']}, profiled."])
