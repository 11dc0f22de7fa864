"""What is not in a set as it is in its files: told in sentences, and listed box by box."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmmc.data.sets import CocoSet, Repair
from mmmc.files import write_text

REPAIRS = "repairs.jsonl"
"""The list in the folder of a set whose boxes are not all as they were read."""


def changes(pictures: CocoSet) -> list[str]:
    """A sentence about each thing that was taken otherwise than it is written."""
    said = list(pictures.notes)
    actions = [repair.action for repair in pictures.repairs]
    for action in ("dropped", "clipped"):
        if action in actions:
            said.append(f"{actions.count(action)} bad boxes were {action}")
    if pictures.trimmed:
        said.append(f"{pictures.trimmed} boxes that reached out by up to one pixel were cut to their picture")
    return said


def list_repairs(sets: Iterable[CocoSet], folder: Path) -> None:
    """Write `repairs.jsonl` into the folder of a new set if boxes were dropped or clipped for it."""
    repairs = [repair for pictures in sets for repair in pictures.repairs]
    if repairs:
        write_repairs(folder / REPAIRS, repairs)


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
    write_text(path, "".join(f"{line}\n" for line in lines))
