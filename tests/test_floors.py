"""Who may import whom: the floors of `pyproject.toml`, and what the lower ones need from outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_nothing_imports_from_a_floor_above() -> None:
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run([*command, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 kept, 0 broken" in done.stdout


HEAVY = {
    "timm",
    "lightning_fabric",
    "matplotlib",
    "tensorboard",
    "jsonargparse",
    "faster_coco_eval",
    "huggingface_hub",
    "rich",
}


@pytest.mark.parametrize(
    ("imported", "absent"),
    [
        ("mmmc, mmmc.errors", HEAVY | {"torch", "torchvision", "numpy", "PIL"}),
        ("mmmc.rgb, mmmc.runtime", HEAVY | {"torch", "torchvision", "jaxtyping", "scipy", "onnxruntime"}),
        ("mmmc.assign, mmmc.criterion, mmmc.postprocess, mmmc.testing", HEAVY),
    ],
)
def test_the_lower_floors_need_little(imported: str, absent: set[str]) -> None:
    program = f"import sys, {imported}\nprint(*sorted({absent!r} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
