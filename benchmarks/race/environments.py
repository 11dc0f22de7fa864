"""Python environments of contestants that do not belong into that of this package."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from mmmc.errors import InputError

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
ENVIRONMENTS = ROOT / ".race"
"""Where `install` makes one environment for each file of requirements."""

MADE_OF = "made_of.txt"
"""In the folder of a finished environment: what it was made of."""


def names() -> list[str]:
    """Of all environments: one for each file of requirements."""
    return sorted(file.stem.removeprefix("requirements-") for file in HERE.glob("requirements-*.txt"))


def requirements(name: str) -> Path:
    """The file of an environment's packages, with their versions."""
    return HERE / f"requirements-{name}.txt"


def is_ready(name: str) -> bool:
    """Whether an environment is there, whole, and made of the requirements as they are now."""
    made_of = ENVIRONMENTS / name / MADE_OF
    return made_of.is_file() and made_of.read_text(encoding="utf-8") == _made_of(name)


def require(wanted: Iterable[str]) -> None:
    """Raise `InputError` if one of these environments is not ready; the empty name is that of this package."""
    missing = [name for name in dict.fromkeys(wanted) if name and not is_ready(name)]
    if missing:
        raise InputError(
            f"{ENVIRONMENTS} lacks {', '.join(missing)}, or has it from other requirements. "
            f"`make race-env` or `python -m benchmarks race install` makes it."
        )


def install(name: str) -> None:
    """Make an environment with its pinned packages, or bring it up to them; one that is ready stays as it is.

    Raises:
        InputError: pip did not succeed.
    """
    if is_ready(name):
        return
    folder = ENVIRONMENTS / name
    if not (folder / "bin" / "python").is_file():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    # `-e .` of a file of requirements means the folder that pip is started in.
    if subprocess.run([*pip, "-r", str(requirements(name))], cwd=ROOT).returncode:
        raise InputError(f"The environment {name!r} could not be made in {folder}; pip says why. It needs PyPI.")
    (folder / MADE_OF).write_text(_made_of(name), encoding="utf-8")


def _made_of(name: str) -> str:
    """A digest of its requirements and of this package's, which may be among them."""
    files = (requirements(name), ROOT / "pyproject.toml")
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()
