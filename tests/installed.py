"""The built wheel in an empty environment, alone and with each extra: `python tests/installed.py WHEEL [EXTRA …]`.

Each environment makes the embedded set, trains for a moment, predicts, and then tries what its extra is for. Without
`uv` the environments are made by pip, which takes minutes for each.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from tiny_run import TINY

ROOT = Path(__file__).parent.parent

PREDICTOR = """
import mmmc
predictor = mmmc.load("run")
found = predictor(["set/images/val_00000.png"])
assert len(found[0]) > 0
"""

EXPORTED = """
import subprocess, sys
line = ["export", "run", "--format", "{format}", "--out", "run.{ending}", "--pictures", "0"]
subprocess.run([sys.executable, "-m", "mmmc", *line], check=True)
import mmmc.runtime
(found,) = mmmc.runtime.load("run.{ending}")(["set/images/val_00000.png"])
assert len(found) > 0
"""

TRIALS = {
    "": PREDICTOR
    + """
import importlib.util, subprocess, sys
if importlib.util.find_spec("fastapi") is None:
    done = subprocess.run([sys.executable, "-m", "mmmc", "serve", "run"], capture_output=True, text=True)
    assert done.returncode == 2 and "pip install 'mmmc[serve]'" in done.stderr, done
""",
    "weights": """
import subprocess, sys
subprocess.run([sys.executable, "-m", "mmmc", "info", "small"], check=True)
from mmmc.model import Detector
from mmmc.recipe import load_recipe
Detector(load_recipe("small").model, 3)
""",
    "serve": """
import json, re, signal, subprocess, sys, urllib.request
with subprocess.Popen(
    [sys.executable, "-m", "mmmc", "serve", "run", "--port", "0"], stdout=subprocess.PIPE, text=True
) as server:
    address = re.match(r"http://127[.]0[.]0[.]1:[0-9]+", server.stdout.readline()).group()
    picture = open("set/images/val_00000.png", "rb").read()
    asked = urllib.request.Request(f"{address}/predict", picture, {"content-type": "image/png"})
    assert json.load(urllib.request.urlopen(asked))["objects"]
    server.send_signal(signal.SIGINT)
""",
    "onnx": EXPORTED.format(format="onnx", ending="onnx"),
    "openvino": EXPORTED.format(format="openvino", ending="xml"),
    "video": """
import subprocess, sys
from fractions import Fraction
from pathlib import Path
import torch
from mmmc.predicting.video import write_video
write_video(Path("clip.mp4"), (torch.full((3, 48, 64), 20 * k, dtype=torch.uint8) for k in range(5)), Fraction(10))
subprocess.run([sys.executable, "-m", "mmmc", "predict", "run", "clip.mp4", "--out", "clip"], check=True)
""",
    "cluster": """
import json, subprocess, sys
plan = {
    "data": "set", "recipe": "run/recipe.yaml", "records": "found.jsonl", "seeds": [0],
    "common": {"train": {"iterations": 1}}, "variants": {"FCOS": {}},
}
open("plan.yaml", "w").write(json.dumps(plan))
line = ["study", "run", "plan.yaml", "--cluster", "ray", "--out", "runs"]
subprocess.run([sys.executable, "-m", "mmmc", *line], check=True)
assert len(open("found.jsonl").readlines()) == 1
""",
    "supervision": PREDICTOR + "assert len(mmmc.to_supervision(found[0], predictor.categories.names))\n",
    "pandas": PREDICTOR + "assert len(mmmc.to_pandas(found, predictor.categories.names))\n",
}
"""Programs by extra, in a folder with `set` and `run`."""


def extras() -> dict[str, list[str]]:
    """What `pyproject.toml` offers."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        found: dict[str, list[str]] = tomllib.load(file)["project"]["optional-dependencies"]
    return found


def try_out(wheel: Path, extra: str) -> None:
    """Install into a new environment, try, and remove it."""
    with tempfile.TemporaryDirectory(prefix=f"mmmc-{extra or 'alone'}-") as folder:
        home = Path(folder)
        python = install(wheel, extra, home)
        mmmc = str(python.with_name("mmmc"))
        call([mmmc, "data", "make", "set", "--train", "8", "--val", "2"], home)
        call([mmmc, "train", "set", "--recipe", "small", "--out", "run", *TINY], home)
        call([mmmc, "predict", "run", "set/images", "--out", "found"], home)
        for name in TRIALS if extra == "all" else ("", extra):
            if name in TRIALS:
                call([str(python), "-c", TRIALS[name]], home)


def install(wheel: Path, extra: str, home: Path) -> Path:
    """The Python of a new environment in a folder, with the wheel and what its extras ask for."""
    python = home / "venv" / "bin" / "python"
    wanted = f"mmmc[{extra}] @ {wheel.resolve().as_uri()}" if extra else str(wheel.resolve())
    if uv := shutil.which("uv"):
        call([uv, "venv", "--quiet", "--python", sys.executable, str(home / "venv")], home)
        call([uv, "pip", "install", "--quiet", "--python", str(python), wanted], home)
    else:
        call([sys.executable, "-m", "venv", str(home / "venv")], home)
        call([str(python), "-m", "pip", "install", "--quiet", wanted], home)
    return python


def call(command: list[str], folder: Path) -> None:
    """Run a program that must succeed, away from the checkout and its packages."""
    around = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(command, cwd=folder, env=around, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode:
        sys.exit(f"{done.stdout}\nThis did not work: {' '.join(command)[:500]}")


def main(arguments: list[str]) -> None:
    """Try the extras that are named, or all that users are offered."""
    wheel = Path(arguments[0])
    wanted = arguments[1:] or ["", *(extra for extra in extras() if extra not in ("dev", "docs"))]
    for extra in wanted:
        try_out(wheel, extra)
        print(f"mmmc[{extra}]: works" if extra else "mmmc alone: works", flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
