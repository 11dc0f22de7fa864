"""Seconds and memory of `mmmc diagnose` on COCO files: 5,000 pictures with 100 detections, 300 boxes before NMS each.

The pictures are those of the benchmark `evaluation`; files are read and written in the time.
"""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.memory import fresh
from benchmarks.result import Row
from benchmarks.setting import Setting
from benchmarks.suite.evaluation import PICTURES, scene

CPU_ONLY = True
BEFORE_NMS = 300
ROUNDS = 3
"""Each takes about a minute, less than half of its goal: no more are needed to know whether it is met."""


def run(setting: Setting) -> list[Row]:
    """Seconds after the import of the command line, and the most that the whole process holds."""
    pictures = 20 if setting.tiny else PICTURES
    truth, results = scene(pictures)
    _, before = scene(pictures, BEFORE_NMS)
    with TemporaryDirectory() as folder:
        at = Path(folder)
        arguments: list[str | Path] = ["diagnose"]
        for flag, content in (("annotations", truth), ("detections", results), ("before-nms", before)):
            (at / f"{flag}.json").write_text(json.dumps(content))
            arguments += [f"--{flag}", at / f"{flag}.json"]
        arguments += ["--out", at / "found"]
        found = [
            fresh("import sys; from mmmc.cli import main", "assert main(sys.argv[1:]) == 0", *arguments)
            for _ in range(setting.effort(most=ROUNDS).most)
        ]
    seconds, memory = zip(*found, strict=True)
    return [Row("seconds", seconds), Row("memory of the process", memory, unit="MB")]
