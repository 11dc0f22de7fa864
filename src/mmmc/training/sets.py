"""The sets of a recipe, read and checked."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path

from mmmc.data.coco import CocoSet, Repair, check_agreement, read_coco
from mmmc.data.find import find_sets
from mmmc.errors import InputError
from mmmc.files import write_atomically
from mmmc.recipe import DataConfig


def open_sets(config: DataConfig) -> tuple[CocoSet, CocoSet]:
    """The pictures to train on and those to score.

    With `holdout` both are parts of the training pictures. Without validation pictures and without `holdout` there is
    nothing to score, which is an error.

    Raises:
        InputError: files or folders are missing, cannot be used, or disagree.
    """
    train_annotations, train_images = config.train_annotations, config.train_images
    val_annotations, val_images = config.val_annotations, config.val_images
    if config.path is not None:
        found = find_sets(config.path)
        train_annotations = train_annotations or str(found.train_annotations)
        train_images = train_images or str(found.train_images)
        val_annotations = val_annotations or (str(found.val_annotations) if found.val_annotations else None)
        val_images = val_images or (str(found.val_images) if found.val_images else None)
    if train_annotations is None or train_images is None:
        raise InputError(
            "There is nothing to train on: name a folder of data, or both data.train_annotations and data.train_images."
        )
    train = read_coco(train_annotations, train_images, bad_boxes=config.bad_boxes, crowd=config.crowd)
    if config.holdout:
        return train.holdout(config.holdout)
    if val_annotations is None or val_images is None:
        raise InputError(
            f"{config.path or train_annotations} has no pictures to score. Name data.val_annotations and "
            "data.val_images, or score a part of the training pictures by --data.holdout 0.2."
        )
    val = read_coco(val_annotations, val_images, bad_boxes=config.bad_boxes, crowd=config.crowd)
    return train, check_agreement(train, val)


def write_repairs(path: Path, repairs: Sequence[Repair]) -> None:
    """List what was dropped or clipped, one JSON object a line."""
    lines = [
        json.dumps(
            {
                "file": str(repair.file),
                "annotation": repair.annotation_id,
                "image": repair.image_id,
                # JSON has no word for what is not finite; null stands for it.
                "box": [value if math.isfinite(value) else None for value in repair.box],
                "fault": repair.fault,
                "action": repair.action,
            }
        )
        for repair in repairs
    ]
    write_atomically(path, lambda temporary: temporary.write_text("".join(line + "\n" for line in lines)))
