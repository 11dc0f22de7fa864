"""Detections on a whole set, by all processes together."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import nn

from mmmc.evaluate import to_results
from mmmc.postprocess import Postprocess
from mmmc.predictor import detect
from mmmc.structures import Batch


def detect_set(
    fabric: Fabric, detector: nn.Module, batches: Iterable[Batch], postprocess: Postprocess, category_ids: Sequence[int]
) -> list[dict[str, Any]]:
    """COCO results of all processes, each of which has its own share of the pictures."""
    found = [
        detections
        for batch in batches
        for detections in detect(detector, batch, postprocess, fabric.device, fabric.autocast())
    ]
    results = to_results(found, category_ids)
    if fabric.world_size == 1:
        return results
    gathered: list[Any] = [None] * fabric.world_size
    torch.distributed.all_gather_object(gathered, results)
    # By picture, so that the order does not depend on the number of processes.
    return sorted((row for part in gathered for row in part), key=lambda row: row["image_id"])
