"""What a record says of the agreement of both tasks, and of its set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from mmmc.data.formats import look, read
from mmmc.label_measures import AGREEMENT
from mmmc.training.record import agreement, set_name


def test_the_nearest_look_at_the_end_of_each_sixth() -> None:
    """Of 60 iterations sixths end at 10, 20 … 60; the looks at 32 and 48 are 8 away from 40, more than half a sixth."""
    rows = [
        {"kind": "assign", "step": step, **dict.fromkeys(AGREEMENT, step / 100)} for step in (8, 16, 32, 48, 60)
    ] + [{"kind": "train", "step": 20, **dict.fromkeys(AGREEMENT, 9.0)}, {"kind": "assign", "step": 20}]
    found = agreement(rows, 60)
    assert [look and look["step"] for look in found] == [8, 16, 32, None, 48, 60]
    assert found[0] == {"step": 8, **dict.fromkeys(AGREEMENT, 0.08)}
    assert agreement([], 60) == [None] * 6


@pytest.mark.parametrize(
    "annotations",
    [
        *("annotations/instances_train.json", "train/_annotations.coco.json", "cells.json"),  # COCO
        *("data.yaml", "classes.txt", "labels/classes.txt"),  # YOLO
        *("Annotations/", "valid/", ""),  # VOC: the folder of the XML files
    ],
)
def test_a_set_has_the_name_of_its_folder(annotations: str, tiny_set: Path, tmp_path: Path) -> None:
    place = tmp_path / "cells" / annotations
    (place if annotations.endswith("/") or not annotations else place.parent).mkdir(parents=True)
    pictures = read(look(tiny_set).parts[0])
    assert set_name(replace(pictures, annotations=place)) == "cells"
