"""A plan of a few seconds."""

from __future__ import annotations

from pathlib import Path

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
