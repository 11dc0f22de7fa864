"""Python environments of contestants that do not belong into that of this package."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from benchmarks.race.contestants import ENVIRONMENTS, ROOT
from mmmc.errors import InputError

HERE = Path(__file__).parent


def names() -> list[str]:
    """Of all environments: one for each file of requirements."""
    return sorted(file.stem.removeprefix("requirements-") for file in HERE.glob("requirements-*.txt"))


def install(name: str) -> None:
    """Make an environment with its pinned packages; where it is there, bring it up to them.

    Raises:
        InputError: pip did not succeed.
    """
    folder = ENVIRONMENTS / name
    if not (folder / "bin" / "python").is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # `-e .` of a file of requirements means the folder that pip is started in.
    if subprocess.run([*pip, "-r", str(HERE / f"requirements-{name}.txt")], cwd=ROOT).returncode:
        raise InputError(f"The environment {name!r} could not be made in {folder}; pip says why. It needs PyPI.")
