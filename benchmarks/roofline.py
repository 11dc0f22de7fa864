"""What bounds a training step on a CPU: its convolutions at the rate of a large one; a table of docs/performance.md.

Operations and bytes are counted on tensors that hold nothing; times are those of the committed results.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode

from benchmarks.detectors import methods
from benchmarks.intervals import median
from benchmarks.report import between, put_of_results, results
from benchmarks.result import Result, quantity
from benchmarks.scaling import TOUCHES
from benchmarks.suite.deformable import MAPS
from benchmarks.suite.step import BATCHES
from mmmc.model import Detector

STEPS = (
    ("FCOS, `small`, batch 8", "small", "FCOS", "step", "FCOS, small"),
    ("MMMC, `small`, batch 8", "small", "MMMC", "step", "MMMC, small"),
    ("FCOS R50, 512 px, batch 2", "r50", "FCOS", "torchvision", "training step, mmmc, fp32"),
    ("torchvision's FCOS R50, the same convolutions", "r50", "FCOS", "torchvision", "training step, torchvision, fp32"),
)
"""A step in words, the kind of recipe and the method that it is counted of, and the benchmark and row of its time."""


@dataclass
class Work:
    """What a step does, filled by the hooks of `watch`.

    Attributes:
        operations: of convolutions, two for each multiply-add.
        elements: of the maps that layers write.
    """

    operations: int = 0
    elements: int = 0

    def watch(self, module: nn.Module) -> None:
        """Count what the module, and what it is made of, does from now on."""
        for layer in module.modules():
            # RFA's deformable convolution is one, and holds another that says where it looks.
            if isinstance(layer, nn.Conv2d) or not list(layer.children()):
                layer.register_forward_hook(self._count)

    def _count(self, layer: nn.Module, inputs: tuple[object, ...], output: object) -> None:
        if not isinstance(output, Tensor):
            return
        self.elements += output.numel()
        if isinstance(layer, nn.Conv2d):
            # A product forward, and one for each gradient that is asked for: of the weight, of the input.
            (given,) = inputs
            assert isinstance(given, Tensor)
            products = 1 + layer.weight.requires_grad + given.requires_grad
            self.operations += products * 2 * output.numel() * layer.weight[0].numel()


def work(kind: str, method: str) -> Work:
    """Of a step of the benchmark `step`."""
    pictures, size, classes = BATCHES[kind]
    counted = Work()
    with FakeTensorMode():
        detector = Detector(methods(kind)[method].model, classes, load_backbone=False).train()
        counted.watch(detector)
        detector(torch.zeros(pictures, 3, *size, dtype=torch.uint8))
    return counted


def reached(result: Result) -> float:
    """Operations a second of one large convolution, forward and backward, in float32."""
    name, (pictures, channels, height, width) = next(iter(MAPS.items()))
    row = result.row(f"plain, forward and backward, fp32, {name}")
    assert row is not None
    return 3 * 2 * pictures * height * width * channels * channels * 9 / median(row.values).median


def table(folder: Path) -> str:
    """A line for each step."""
    found = results(folder)
    rate = reached(found["deformable"])
    counted = {(kind, method): work(kind, method) for _, kind, method, *_ in STEPS}
    lines = [
        "| training step, fp32 | operations | at the rate of one large convolution | measured | share | maps |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for text, kind, method, benchmark, name in STEPS:
        one, row = counted[kind, method], found[benchmark].row(name)
        assert row is not None
        bound, seconds = one.operations / rate, median(row.values).median
        cells = [text, f"{one.operations / 1e9:,.0f} GFLOP", quantity(bound, "s"), quantity(seconds, "s")]
        cells += [f"{100 * bound / seconds:.0f} %", f"{4 * TOUCHES * one.elements / 1e9:.1f} GB"]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(
        [*lines, "", f"The large convolution, forward and backward: {rate / 1e9:.0f} GFLOP/s with two threads."]
    )


def main(arguments: Sequence[str]) -> int:
    """Print the table, or put it into a page."""
    command = "python -m benchmarks roofline"
    return put_of_results(
        "roofline", __doc__, lambda folder: {"roofline": between("roofline", table(folder), command)}, arguments
    )
