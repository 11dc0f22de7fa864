"""Ultralytics' smallest YOLO, by its command line alone: `yolo` in its own environment (AGPL-3.0).

Nothing of it is imported or linked: a data set goes in as files, `results.csv` and label files come out, as its
documentation describes them. Settings are its defaults, but for the size of pictures, random weights and what would
spend time on something else than training. It counts in epochs, so a budget is a number of epochs; the last ones go
without mosaics, which makes them shorter, so both kinds are timed.
"""

from __future__ import annotations

import csv
import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.race import with_threads
from benchmarks.race.pictures import SIDE
from benchmarks.race.schedule import RESERVE, unit_seconds, units_within
from benchmarks.race.task import Task, Trained
from mmmc.data.convert import convert
from mmmc.data.sets import CocoSet

BATCH = 16
CLOSE_MOSAIC = 10
"""Last epochs without mosaics; this and the batch are its defaults."""

TIMED_OF_EACH = 3
"""Epochs with mosaics and without that are timed: of those the first, of these the last does not count."""

VERSIONS = """
import json, importlib.metadata
print(json.dumps({name: importlib.metadata.version(name) for name in ("torch", "ultralytics")}))
"""


def train(variant: str, task: Task) -> Trained:
    """Time a few epochs, choose their number, train and predict."""
    sets = task.sets()
    convert(task.data, task.out / "set", to="yolo")
    data = {"data": task.out / "set" / "data.yaml", "seed": task.seed, "project": task.out}
    fixed = {**settings(variant), **data}
    short = {"name": "timing", "epochs": 2 * TIMED_OF_EACH, "close_mosaic": TIMED_OF_EACH}
    _yolo(task, "detect", "train", fixed | short)
    mosaic, plain = timed_epochs(epoch_times(task.out / "timing" / "results.csv"))
    epochs = epochs_within(task.seconds, mosaic, plain)
    threads = _yolo(task, "detect", "train", fixed | {"name": "run", "epochs": epochs})
    source = {"model": task.out / "run" / "weights" / "last.pt", "source": task.out / "set" / "images" / "val"}
    asked = {"conf": 0.001, "max_det": 100, "imgsz": SIDE, "device": "cpu", "save": False}
    asked |= {"save_txt": True, "save_conf": True, "project": task.out, "name": "found"}
    _yolo(task, "detect", "predict", source | asked)
    steps = -(-len(sets[0]) // BATCH)
    return Trained(
        results=read_labels(task.out / "found" / "labels", sets[1]),
        iterations=epochs * steps,
        seconds=training_seconds(epoch_times(task.out / "run" / "results.csv")),
        unit_seconds=plain if epochs <= CLOSE_MOSAIC else mosaic,
        threads=threads,
        settings={**settings(variant), "epochs": epochs, "source": "docs.ultralytics.com/modes/train, defaults"},
        versions=json.loads(_call(task, [_program(task, "python"), "-c", VERSIONS])),
    )


def settings(variant: str) -> Mapping[str, Any]:
    """What decides a training, in the words of its command line."""
    return {
        "model": variant,
        "imgsz": SIDE,
        "batch": BATCH,
        "close_mosaic": CLOSE_MOSAIC,
        "pretrained": False,
        "device": "cpu",
        "workers": 0,
        "val": False,
        "plots": False,
    }


def timed_epochs(times: Sequence[float]) -> tuple[float, float]:
    """Seconds of an epoch with mosaics and of one without; the first warms up, and the last also validates."""
    return unit_seconds(times[:TIMED_OF_EACH], warm=1), unit_seconds(times[TIMED_OF_EACH:-1], warm=0)


def epochs_within(budget: float, mosaic: float, plain: float) -> int:
    """Epochs that fit into the planned share of a budget, of which the last ones are without mosaics."""
    last = min(units_within(budget, plain), CLOSE_MOSAIC)
    return last + max(0, int((RESERVE * budget - last * plain) / mosaic))


def training_seconds(times: Sequence[float]) -> float:
    """Seconds of all epochs. The last one's also hold a validation, so it counts for no more than the one before."""
    return sum(times[:-1]) + min(times[-2:])


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


def _yolo(task: Task, subject: str, verb: str, options: Mapping[str, Any]) -> int:
    """Call `yolo`, and say with how many threads it computed."""
    told = task.out / "threads.txt"
    command = [_program(task, "python"), with_threads.__file__, str(task.threads), str(told)]
    command += [_program(task, "yolo"), subject, verb]
    _call(task, command + [f"{key}={value}" for key, value in options.items()])
    return int(told.read_text())


def _program(task: Task, name: str) -> str:
    """A program of its environment."""
    assert task.environment is not None
    return str(task.environment / "bin" / name)


def _call(task: Task, command: list[str]) -> str:
    """What a command prints; what it says besides goes to the log of this process."""
    own = {"YOLO_CONFIG_DIR": str(task.out), "MALLOC_TRIM_THRESHOLD_": str(2**31 - 1)}
    # Whatever leads Python to our packages would mix them with those of the environment.
    around = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=around | own, cwd=task.out).stdout
