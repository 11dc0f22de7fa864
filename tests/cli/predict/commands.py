"""`mmmc predict` as tests call it, and what it leaves."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from mmmc.cli import main

Capture = pytest.CaptureFixture[str]
LOW = ("--threshold", "0.02")
RATE = Fraction(10)


def predict(run: Path, out: Path, *arguments: str, status: int = 0) -> None:
    assert main(["predict", str(run), *arguments, "--out", str(out)]) == status


def listed(out: Path) -> list[dict[str, Any]]:
    return json.loads((out / "detections.json").read_text())["pictures"]


def names(out: Path) -> list[str]:
    return sorted(path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file())
