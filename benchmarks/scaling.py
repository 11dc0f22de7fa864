"""What a training on COCO costs on paper, on 1, 8 and 64 GPUs: the tables of docs/scaling.md."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.report import between, put
from mmmc.model import Detector
from mmmc.recipe import load_recipe
from mmmc.study.on_paper import PEAK, SHARE

RECIPE, SIZE, CLASSES = "fcos_r50_1x", (800, 1344), 80
ITERATIONS, PICTURES = {"1x": 90_000, "2x": 180_000}, 16
GPUS = {1: 16, 8: 16, 64: 128}
"""Pictures of a step by the number of GPUs: the published 16, and where that leaves GPUs idle two for each."""

BANDWIDTH = 3.35e12
"""Bytes a second of its memory (data sheet)."""
LINK = {1: float("inf"), 8: 450e9, 64: 50e9}
"""Bytes a second that each GPU sends: NVLink in a machine of eight (data sheet), 400 Gbit/s each between machines."""
JPEG = 163e3
"""Bytes of a picture of train2017: 19.3 GB in 118,287 pictures."""
TOUCHES = 5
"""How often an element of a map is written or read: in the forward pass once each; in the backward pass it is read
again, and its gradient is written and read."""


@dataclass(frozen=True)
class Work:
    """What a picture and a step need.

    Attributes:
        forward: operations of a picture's forward pass, two for each multiply-add.
        backward: of its backward pass; frozen layers have less or none.
        moved: bytes of maps, written and read, for a picture in bfloat16.
        reduced: bytes of the gradients that a step averages, in float32.
    """

    forward: int
    backward: int
    moved: int
    reduced: int


def work() -> Work:
    """Counted on tensors that hold nothing."""
    elements = 0

    def count(module: nn.Module, _inputs: object, output: object) -> None:
        nonlocal elements
        if not list(module.children()) and isinstance(output, Tensor):
            elements += output.numel()

    counter = FlopCounterMode(display=False)
    with FakeTensorMode(), counter:
        detector = Detector(load_recipe(RECIPE).model, CLASSES, load_backbone=False)
        for module in detector.modules():
            module.register_forward_hook(count)
        _, prediction = detector(torch.zeros(1, 3, *SIZE, dtype=torch.uint8))
        forward = counter.get_total_flops()
        (prediction.logits.sum() + prediction.boxes.sum() + prediction.quality.sum()).backward()
    trained = sum(parameter.numel() for parameter in detector.parameters() if parameter.requires_grad)
    return Work(forward, counter.get_total_flops() - forward, 2 * TOUCHES * elements, 4 * trained)


@dataclass(frozen=True)
class Scale:
    """A step on some GPUs, in seconds, if nothing overlaps but operations with the memory's traffic.

    Attributes:
        operations: a GPU's share of the pictures at `SHARE` of the peak.
        memory: the same by the bytes of its maps.
        reduce: a ring's all-reduce of the gradients.
    """

    gpus: int
    operations: float
    memory: float
    reduce: float

    @property
    def step(self) -> float:
        """All of it."""
        return max(self.operations, self.memory) + self.reduce

    @property
    def rate(self) -> float:
        """Pictures a second of all GPUs."""
        return GPUS[self.gpus] / self.step

    def hours(self, schedule: str) -> float:
        """Of a training."""
        return ITERATIONS[schedule] * PICTURES / self.rate / 3600


def scale(need: Work, gpus: int) -> Scale:
    """What a step on so many GPUs takes."""
    pictures = GPUS[gpus] / gpus
    return Scale(
        gpus,
        operations=pictures * (need.forward + need.backward) / (SHARE * PEAK),
        memory=pictures * need.moved / BANDWIDTH,
        reduce=2 * (gpus - 1) / gpus * need.reduced / LINK[gpus],
    )


def table() -> str:
    """Both tables as Markdown."""
    need = work()
    scales = [scale(need, gpus) for gpus in GPUS]
    total = {name: count * PICTURES * (need.forward + need.backward) for name, count in ITERATIONS.items()}
    rows = [
        "| of a picture of 800 × 1344, R50, 80 classes | |",
        "|---|---:|",
        f"| operations, forward and backward | {need.forward / 1e12:.2f} + {need.backward / 1e12:.2f} TFLOP |",
        f"| maps written and read, bfloat16 | {need.moved / 1e9:.1f} GB |",
        f"| gradients that a step averages, float32 | {need.reduced / 1e6:.0f} MB |",
        f"| a 1x training, {PICTURES * ITERATIONS['1x'] / 1e6:.2f} million pictures | {total['1x'] / 1e18:.2f} EFLOP |",
        f"| a 2x training | {total['2x'] / 1e18:.2f} EFLOP |",
        f"| JPEG bytes that a 1x training reads | {PICTURES * ITERATIONS['1x'] * JPEG / 1e9:.0f} GB |",
        "",
        "| GPUs | pictures a step | operations | memory | all-reduce | a second | JPEG a second | 1x | 2x "
        "| efficiency |",
        "|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for one in scales:
        efficiency = one.rate / one.gpus / scales[0].rate
        rows.append(
            f"| {one.gpus} | {GPUS[one.gpus]} | {1e3 * one.operations:.1f} ms | {1e3 * one.memory:.1f} ms | "
            f"{1e3 * one.reduce:.1f} ms | {one.rate:.0f} pictures | {one.rate * JPEG / 1e6:.0f} MB | "
            f"{duration(one.hours('1x'))} | {duration(one.hours('2x'))} | {efficiency:.2f} |"
        )
    return "\n".join(rows)


def duration(hours: float) -> str:
    """Hours, or minutes where they are less than one."""
    return f"{hours:.1f} h" if hours >= 1 else f"{60 * hours:.0f} min"


def main(arguments: Sequence[str]) -> int:
    """Print the tables, or put them into a page."""
    parser = argparse.ArgumentParser("python -m benchmarks scaling", description=__doc__)
    parser.add_argument("--into", type=Path, metavar="PAGE", help="replace the tables of this page instead of printing")
    config = parser.parse_args(arguments)
    return put({"scaling": between("scaling", table(), "python -m benchmarks scaling")}, config.into)
