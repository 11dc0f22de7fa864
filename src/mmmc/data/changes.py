"""What is not in a set as it is in its files: told in sentences, and listed box by box."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from mmmc.data.sets import CocoSet, Repair
from mmmc.files import write_text

_BEYOND = {
    name: re.compile(rf'"{name}"\s*:\s*(?!\[\s*\]|\{{\s*\}}|null)[\[{{"\d]'.encode())
    for name in ("segmentation", "keypoints", "attributes", "caption")
}
"""Fields of annotations that copies are without, as they stand in a file where they are not empty."""

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
    if beyond := left_out_of(pictures.annotations):
        said.append(f"{' and '.join(beyond)} of annotations are not copied: boxes, classes, areas and crowds are")
    return said


def left_out_of(file: Path) -> list[str]:
    """Names of what a COCO file holds of its annotations and no set of ours does: what every copy is without."""
    if file.suffix.lower() != ".json":
        return []
    content = file.read_bytes()
    return [name for name, filled in _BEYOND.items() if filled.search(content)]


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
