"""What RFA and APS cost in training: step time and peak memory of four methods, interleaved in one process.

    python -m benchmarks.step_cost --out benchmarks/results/step_cost_cpu.json

On a GPU, if there is one; else on a CPU with one thread. Noise pictures with random objects: what is measured depends
on sizes and counts only. Each round takes one step of every method in turn, so whatever else the machine does hits all
alike; what is reported is the median over rounds of the ratio to FCOS of the same round.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch
from lightning_fabric import Fabric

from mmmc.assign import APS
from mmmc.model import Detector, RFAConfig
from mmmc.recipe import Recipe, load_recipe
from mmmc.structures import Batch
from mmmc.testing import make_scene
from mmmc.training.environment import environment
from mmmc.training.optim import build_optimizer, take_step
from mmmc.training.step import backward_step

RFA = RFAConfig(class_position=1, box_position=1)


def methods(name: str) -> dict[str, Recipe]:
    """The four rows, all from one recipe."""
    base = load_recipe(name)
    base = replace(base, model=replace(base.model, weights="none"))
    with_rfa = replace(base, model=replace(base.model, rfa=RFA))
    return {
        "FCOS": base,
        "+ RFA": with_rfa,
        "+ APS": replace(base, assigner=APS()),
        "MMMC": replace(with_rfa, assigner=APS()),
    }


class Steps:
    """A detector that is trained step by step on the same pictures."""

    def __init__(self, recipe: Recipe, batch: Batch, classes: int) -> None:
        torch.manual_seed(0)
        self.recipe, self.batch = recipe, batch
        self.fabric = Fabric(accelerator="auto", devices=1, precision=recipe.train.precision)
        self.detector = Detector(recipe.model, classes).to(self.fabric.device, memory_format=torch.channels_last)
        self.detector.train()
        self.optimizer = build_optimizer(self.detector, recipe.optimizer, len(batch))
        self.batch = batch.to(self.fabric.device)

    def __call__(self) -> float:
        """Seconds of one step."""
        self._wait()
        began = time.perf_counter()
        self.optimizer.zero_grad()
        backward_step(self.fabric, self.detector, [self.batch], self.recipe)
        take_step(self.optimizer, self.detector.parameters(), self.recipe.optimizer.clip)
        self._wait()
        return time.perf_counter() - began

    def _wait(self) -> None:
        if self.fabric.device.type == "cuda":
            torch.cuda.synchronize()


def noise(pictures: int, objects: int, size: tuple[int, int], classes: int) -> Batch:
    """Pictures of noise with random objects of all sizes."""
    scene = make_scene(0, images=pictures, objects=objects, size=size, strides=(8, 16, 32, 64, 128), classes=classes)
    targets = [replace(target, size=size, original_size=size) for target in scene.targets]
    random = torch.Generator().manual_seed(0)
    return Batch(torch.randint(256, (pictures, 3, *size), dtype=torch.uint8, generator=random), targets)


def peak_memory(name: str, method: str, options: list[str]) -> float:
    """GiB that one method needs at most, in a process of its own: a CPU's memory is not told apart by owner."""
    command = [sys.executable, "-m", "benchmarks.step_cost", "--recipe", name, "--memory-of", method, *options]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", default="small")
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--objects", type=int, default=7)
    parser.add_argument("--size", default="192x320", help="HEIGHTxWIDTH")
    parser.add_argument("--classes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--memory-of", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    config = parser.parse_args()
    torch.set_num_threads(1)
    size = tuple(map(int, config.size.split("x")))
    batch = noise(config.pictures, config.objects, size, config.classes)  # type: ignore[arg-type]
    recipes = methods(config.recipe)
    if config.memory_of:
        step = Steps(recipes[config.memory_of], batch, config.classes)
        for _ in range(3):
            step()
        cuda = step.fabric.device.type == "cuda"
        peak = torch.cuda.max_memory_allocated() if cuda else 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(peak / 2**30)
        return
    options = ["--pictures", str(config.pictures), "--objects", str(config.objects), "--size", config.size]
    # First, for a process begins with the peak of the one that starts it.
    memory = {name: peak_memory(config.recipe, name, options) for name in recipes}
    steps = {name: Steps(recipe, batch, config.classes) for name, recipe in recipes.items()}
    times: dict[str, list[float]] = {name: [] for name in steps}
    for number in range(config.rounds + 3):
        for name, step in steps.items():
            seconds = step()
            if number >= 3:
                times[name].append(seconds)
    rows = {}
    for name, values in times.items():
        ratios = [value / base for value, base in zip(values, times["FCOS"], strict=True)]
        quartiles = statistics.quantiles(ratios, n=4)
        rows[name] = {
            "step_ms": round(1000 * statistics.median(values), 1),
            "ratio": round(statistics.median(ratios), 3),
            "ratio_quartiles": [round(quartiles[0], 3), round(quartiles[2], 3)],
            "peak_gib": round(memory[name], 2),
        }
        print(name, rows[name], flush=True)
    around = environment()
    result = {
        "command": f"python -m benchmarks.step_cost --recipe {config.recipe} " + " ".join(options),
        "rounds": config.rounds,
        "rows": rows,
        "machine": {
            "cpu": around["cpu"],
            "threads": 1,
            "devices": around["devices"],
            "torch": around["packages"]["torch"],
        },
    }
    if config.out:
        config.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
