"""The two backends of the deformable convolution on a CPU, beside a plain convolution, interleaved in one process.

    python -m benchmarks.deformable --out benchmarks/results/deformable.json

One thread. Forward without gradient, and forward with backward; the least of the rounds in milliseconds.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torchvision.ops import deform_conv2d

from mmmc.model.rfa import deform_rows
from mmmc.training.environment import environment

SIZES = {"8 × 64 × 24 × 40": (8, 64, 24, 40), "1 × 256 × 100 × 168": (1, 256, 100, 168)}
"""Pictures, channels, height and width: P3 of `small` at 192 × 320, and of a ResNet-50 at 800 × 1344."""


def measure(batch: int, channels: int, height: int, width: int, rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each backend."""
    random = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=random)

    x = draw(batch, channels, height, width).contiguous(memory_format=torch.channels_last).requires_grad_()
    weight, bias = (0.02 * draw(channels, channels, 3, 3)).requires_grad_(), torch.zeros(channels, requires_grad=True)
    offsets = (0.5 * draw(batch, 18, height, width)).requires_grad_()
    mask = draw(batch, 9, height, width).sigmoid().requires_grad_()
    backends: dict[str, Callable[[], Tensor]] = {
        "plain": lambda: torch.nn.functional.conv2d(x, weight, bias, padding=1),
        "rows": lambda: deform_rows(x, offsets, weight, bias, mask),
        "torchvision": lambda: deform_conv2d(x, offsets, weight, bias, padding=1, mask=mask),
    }
    times: dict[str, dict[str, list[float]]] = {name: {"forward": [], "training": []} for name in backends}
    for _ in range(rounds):
        for name, run in backends.items():
            with torch.no_grad():
                began = time.perf_counter()
                run()
                times[name]["forward"].append(time.perf_counter() - began)
            began = time.perf_counter()
            run().sum().backward()
            times[name]["training"].append(time.perf_counter() - began)
    return {name: {kind: round(1000 * min(all_), 1) for kind, all_ in each.items()} for name, each in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--out", type=Path)
    config = parser.parse_args()
    torch.set_num_threads(1)
    around = environment()
    result = {
        "milliseconds": {name: measure(*size, config.rounds) for name, size in SIZES.items()},
        "machine": {"cpu": around["cpu"], "threads": 1, "torch": around["packages"]["torch"]},
    }
    print(json.dumps(result, indent=2))
    if config.out:
        config.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
