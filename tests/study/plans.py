"""A plan of a few seconds, and what its records have to have in common."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from mmmc.study import records

PLAN = """
data: {data}
recipe: small
records: found.jsonl
seeds: [0, 1]
common:
  model: {{backbone: test_resnet, weights: none, frozen_stages: 1, channels: 16, groups: 4, depth: 1}}
  augmentation: {{short: [64], long: 96}}
  resize: {{short: 64, long: 96}}
  train: {{iterations: 2, batch_size: 4, loggers: []}}
variants:
  "FCOS": {{}}
  "FCOS, IoU":
    criterion: {{init_args: {{quality_target: iou}}}}
"""


def write(path: Path, data: Path | str, text: str = PLAN) -> Path:
    path.write_text(text.format(data=data))
    return path


def twins(folder: Path, data: Path, iterations: int) -> tuple[Path, Path]:
    """The same plan in two folders, to be trained whole and to be cut: two runs of so many iterations, each logged."""
    plans = folder / "whole" / "plan.yaml", folder / "cut" / "plan.yaml"
    for plan in plans:
        plan.parent.mkdir()
        content = yaml.safe_load(PLAN.format(data=data))
        content["seeds"] = [0]
        content["common"]["train"] |= {"iterations": iterations, "log_every": 1}
        plan.write_text(yaml.safe_dump(content))
    return plans


def trained_steps(folder: Path) -> int:
    """Steps that a run has logged."""
    metrics = folder / "metrics.jsonl"
    return metrics.read_text().count('"kind": "train"') if metrics.exists() else 0


def comparable(path: Path) -> list[dict[str, Any]]:
    """Records by name and seed, without what differs from one training of the same run to the next."""
    return [
        {key: value for key, value in record.items() if key not in ("seconds", "machine")}
        for record in sorted(records.load(path), key=lambda record: (record["name"], record["seed"]))
    ]
