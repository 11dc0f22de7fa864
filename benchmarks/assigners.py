"""What every assigner needs for crowded pictures: time and memory with 10, 100 and 1,000 objects in 800 × 1344 pixels.

    python -m benchmarks.assigners --out benchmarks/results/assigners_cpu.json

On a GPU, if there is one; else on a CPU with one thread. Assigners have their defaults; the prediction is a random one.
Each is measured in a process of its own, with all numbers of objects in turn in each round.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch

from mmmc.assign import ASSIGNERS
from mmmc.structures import Prediction
from mmmc.testing import Scene, make_scene
from mmmc.training.environment import environment

SIZE = (800, 1344)
COUNTS = (10, 100, 1000)


def crowd(objects: int, classes: int, device: torch.device) -> Scene:
    """One picture with random objects and a random prediction, on the device."""
    points, prediction, targets = make_scene(
        0, images=1, objects=objects, size=SIZE, strides=(8, 16, 32, 64, 128), classes=classes
    )
    moved = type(points)(
        points.xy.to(device), points.stride.to(device), points.level.to(device), points.shapes, points.strides
    )
    said = Prediction(*(getattr(prediction, name).to(device) for name in ("logits", "boxes", "quality")))
    return Scene(moved, said, [target.to(device) for target in targets])


class Peak:
    """Extra memory, in MB, while the block ran: of the process on a CPU, of its tensors on a GPU."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.extra = 0.0

    def __enter__(self) -> Peak:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()
            self._before = torch.cuda.memory_allocated()
        else:
            Path("/proc/self/clear_refs").write_text("5")  # the highest mark falls back to what is in use
            self._before = self._status("VmRSS")
        return self

    def __exit__(self, *_: object) -> None:
        after = torch.cuda.max_memory_allocated() if self.device.type == "cuda" else self._status("VmHWM")
        self.extra = (after - self._before) / 1e6

    @staticmethod
    def _status(name: str) -> int:
        lines = Path("/proc/self/status").read_text().splitlines()
        return 1024 * next(int(line.split()[1]) for line in lines if line.startswith(name))


def measure(name: str, rounds: int, classes: int) -> dict[str, dict[str, float]]:
    """Median milliseconds and megabytes of one assigner, by the number of objects."""
    torch.set_num_threads(1)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    assigner = ASSIGNERS[name]()
    scenes = {count: crowd(count, classes, device) for count in COUNTS}
    few = crowd(2, classes, device)
    assigner(*few)
    memory, times = {}, {count: [] for count in COUNTS}
    for count, scene in scenes.items():
        with Peak(device) as peak:
            assigner(*scene)
        memory[count] = peak.extra
    for _ in range(rounds):
        for count, scene in scenes.items():
            began = time.perf_counter()
            assigner(*scene)
            if device.type == "cuda":
                torch.cuda.synchronize()
            times[count].append(1000 * (time.perf_counter() - began))
    return {
        str(count): {"ms": round(statistics.median(times[count]), 1), "extra_mb": round(memory[count], 1)}
        for count in COUNTS
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--assigners", nargs="*", default=list(ASSIGNERS))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--classes", type=int, default=80)
    parser.add_argument("--alone", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path)
    config = parser.parse_args()
    if config.alone:
        print(json.dumps(measure(config.assigners[0], config.rounds, config.classes)))
        return
    rows = {}
    for name in config.assigners:
        command = [sys.executable, "-m", "benchmarks.assigners", "--alone", "--assigners", name]
        command += ["--rounds", str(config.rounds), "--classes", str(config.classes)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        rows[name] = json.loads(done.stdout)
        print(name, rows[name], flush=True)
    around = environment()
    result = {
        "command": "python -m benchmarks.assigners",
        "rounds": config.rounds,
        "classes": config.classes,
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
