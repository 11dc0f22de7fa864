"""What is built and published: extras, files of the package, and commands that others call."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest
import yaml
from installed import TRIALS, extras

ROOT = Path(__file__).parent.parent
APART = {"all", "dev", "docs", "lightning", "mlflow", "wandb"}
"""Extras that `all` leaves out."""

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_all_is_every_extra_that_verbs_ask_for() -> None:
    (whole,) = extras()["all"]
    assert set(re.findall(r"\w+", whole)) - {"mmmc"} == set(extras()) - APART
    assert set(TRIALS) - {""} == set(extras()) - APART, "tests/installed.py tries each"


def test_extras_that_people_are_told_to_install_exist() -> None:
    told = [*(ROOT / "src").rglob("*.py"), *(ROOT / "docs").rglob("*.md"), ROOT / "README.md"]
    named = {
        extra
        for file in told
        for some in re.findall(r"install '?(?:mmmc|\.)\[([a-z,]+)\]", file.read_text(encoding="utf-8"))
        for extra in some.split(",")
    }
    assert {"weights", "serve", "video", "pandas"} <= named <= set(extras())


def test_every_dependency_says_its_lowest_version() -> None:
    """`make lowest` tries them."""
    stated = [
        *PROJECT["project"]["dependencies"],
        *(one for name, some in extras().items() for one in some if name != "all"),
    ]
    assert [one for one in stated if not re.search(r"(>=|==)\d", one)] == []


def test_every_file_of_the_package_is_built_in() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]["mmmc"]
    package = ROOT / "src" / "mmmc"
    others = [file.relative_to(package).as_posix() for file in package.rglob("*") if file.is_file()]
    others = [name for name in others if not name.endswith((".py", ".pyc"))]
    assert "py.typed" in others
    assert [name for name in others if not any(fnmatch(name, pattern) for pattern in patterns)] == []


@pytest.mark.parametrize("file", sorted((ROOT / ".github").rglob("*.yml")), ids=lambda file: file.stem)
def test_workflows_call_what_there_is(file: Path) -> None:
    content = yaml.safe_load(file.read_text(encoding="utf-8"))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), flags=re.MULTILINE))
    for job in content.get("jobs", {}).values():
        called = [word for step in job["steps"] for word in re.findall(r"make ([\w-]+)", step.get("run", ""))]
        assert set(called) <= targets
        assert all("uses" in step or "run" in step for step in job["steps"])


def test_only_what_publishes_may_ask_for_a_token() -> None:
    content = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text(encoding="utf-8"))
    asking = [name for name, job in content["jobs"].items() if "id-token" in job.get("permissions", {})]
    assert (content["permissions"], asking) == ({"contents": "read"}, ["publish"])
    assert content["jobs"]["publish"]["needs"] == "build"
