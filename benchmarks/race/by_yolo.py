"""Ultralytics' smallest YOLO, by its command line alone: `yolo` in its own environment (AGPL-3.0).

Nothing of it is imported or linked: a data set goes in as files, `results.csv` and label files come out, as its
documentation describes them. Settings are its defaults, but for the size of pictures, random weights and what would
spend time on something else than training. It counts in epochs, so a budget is a number of epochs.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.race.schedule import unit_seconds, units_within
from benchmarks.race.task import Task, Trained
from mmmc.data.convert import convert
from mmmc.data.sets import CocoSet

SIDE = 320
BATCH = 16
"""Its default."""

TIMED_EPOCHS = 3
"""Of which the first does not count."""

VERSIONS = """
import json, importlib.metadata
print(json.dumps({name: importlib.metadata.version(name) for name in ("torch", "ultralytics")}))
"""


def train(variant: str, task: Task) -> Trained:
    """Time a few epochs, choose their number, train and predict."""
    assert task.environment is not None
    sets = task.sets()
    convert(task.data, task.out / "set", to="yolo")
    fixed = {
        "model": variant,
        "data": task.out / "set" / "data.yaml",
        "imgsz": SIDE,
        "batch": BATCH,
        "seed": task.seed,
        "pretrained": False,
        "device": "cpu",
        "workers": 0,
        "val": False,
        "plots": False,
        "project": task.out,
    }
    # Its last epochs go without mosaics, ten by default; a timing has no last epochs.
    _yolo(task, "detect", "train", fixed | {"name": "timing", "epochs": TIMED_EPOCHS, "close_mosaic": 0})
    epoch = unit_seconds(epoch_times(task.out / "timing" / "results.csv"), warm=1)
    epochs = units_within(task.seconds, epoch)
    _yolo(task, "detect", "train", fixed | {"name": "run", "epochs": epochs})
    source = {"model": task.out / "run" / "weights" / "last.pt", "source": task.out / "set" / "images" / "val"}
    asked = {"conf": 0.001, "max_det": 100, "imgsz": SIDE, "device": "cpu", "save": False}
    asked |= {"save_txt": True, "save_conf": True, "project": task.out, "name": "found"}
    _yolo(task, "detect", "predict", source | asked)
    steps = -(-len(sets[0]) // BATCH)
    shown = {key: value for key, value in fixed.items() if key not in ("data", "project")}
    return Trained(
        results=read_labels(task.out / "found" / "labels", sets[1]),
        iterations=epochs * steps,
        seconds=sum(epoch_times(task.out / "run" / "results.csv")),
        step_seconds=epoch / steps,
        settings={**shown, "epochs": epochs, "source": "docs.ultralytics.com/modes/train, defaults"},
        versions=json.loads(_call(task, [str(task.environment / "bin" / "python"), "-c", VERSIONS])),
    )


def epoch_times(file: Path) -> list[float]:
    """Seconds of each epoch, from the column of seconds since the start."""
    with file.open(encoding="utf-8", newline="") as lines:
        since = [float(row["time"]) for row in csv.DictReader(lines, skipinitialspace=True)]
    return [now - before for now, before in zip(since, [0.0, *since], strict=False)]


def read_labels(folder: Path, val: CocoSet) -> list[dict[str, Any]]:
    """COCO results from a label file for each picture in which something was found.

    A line is class index, middle, width and height as shares of the picture's, and score.
    """
    results = []
    for index, name in enumerate(val.names):
        file = folder / f"{Path(name).stem}.txt"
        height, width = val.size(index)
        for line in file.read_text(encoding="utf-8").splitlines() if file.is_file() else ():
            label, x, y, w, h, score = map(float, line.split())
            box = [(x - w / 2) * width, (y - h / 2) * height, w * width, h * height]
            category = val.categories.ids[int(label)]
            results.append({"image_id": val.image_id(index), "category_id": category, "bbox": box, "score": score})
    return results


def _yolo(task: Task, *words: str | Mapping[str, Any]) -> None:
    """Call `yolo` with words and `name=value`."""
    assert task.environment is not None
    given = [word if isinstance(word, str) else [f"{key}={value}" for key, value in word.items()] for word in words]
    flat = [part for word in given for part in ([word] if isinstance(word, str) else word)]
    _call(task, [str(task.environment / "bin" / "yolo"), *flat])


def _call(task: Task, command: list[str]) -> str:
    """What a command prints; what it says besides goes to the log of this process."""
    own = {"YOLO_CONFIG_DIR": str(task.out), "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
    # Whatever leads Python to our packages would mix them with those of the environment.
    around = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=around | own, cwd=task.out).stdout
