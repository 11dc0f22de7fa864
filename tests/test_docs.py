"""What the documents say exists: their Python runs, their commands parse, their links lead somewhere."""

from __future__ import annotations

import re
import shlex
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
import yaml
from result_tables import PAGES, TABLE, anew

from mmmc.assign import APS, FCOS
from mmmc.cli import VERBS
from mmmc.criterion import DenseCriterion
from mmmc.data.synthetic import make_synthetic
from mmmc.recipe import recipe_names
from mmmc.recipe.reading import recipe_parser

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")])
OWN_FLAGS = {
    "metrics",
    "against",
    "resolution",
    "speeds",
    "recipe",
    "out",
    "resume",
    "init",
    "time",
    "devices",
    "nodes",
    "accelerator",
    "results",
    "annotations",
} | {
    *("threshold", "kinds", "weights", "device", "images", "records", "name", "quiet", "version", "help", "batch_size"),
    *(
        "figure",
        "object",
        "picture",
        "run",
        "record",
        "table",
        "size",
        "classes",
        "jobs",
        "threads",
        "data",
        "seeds",
        "against",
        "short",
        "long",
        "quality",
        "assigners",
        "per-level",
        "detections",
        "before-nms",
        "to",
        "val",
        "seed",
        "group-by",
        "format",
        "minutes",
        "retry",
        "only",
        "shard",
        "plan",
        "resamples",
        "json",
        "report",
        "pictures",
        "license",
        "fix",
        "draw",
        "batch",
        "tile",
        "overlap",
        "keep",
        "rest",
        "empty",
        "whole",
        "every",
        "limit",
        "confidence",
        "frames",
        "cluster",
        "address",
        "gpus",
        "opset",
    ),
}


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", document.read_text(encoding="utf-8"), flags=re.DOTALL)


PYTHON = [(document, code) for document in DOCUMENTS for code in blocks(document, "python")]


def cases() -> list[Any]:
    """Each block under its document's name; what needs Lightning is a long form, for it is slow to import."""
    return [
        pytest.param(
            *(document, code),
            id=f"{document.stem}-{index}",
            marks=[pytest.mark.full] if "pytorch_lightning" in code else [],
        )
        for index, (document, code) in enumerate(PYTHON)
    ]


# Of Lightning: it asks PyTorch in a way that is old by now, and wants loader processes, too dear to start here.
@pytest.mark.filterwarnings("ignore:.isinstance.treespec, LeafSpec:FutureWarning")
@pytest.mark.filterwarnings("ignore:The 'train_dataloader' does not have many workers")
@pytest.mark.parametrize(("document", "code"), cases())
def test_python_runs(
    document: Path,
    code: str,
    tiny_run: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    """In a folder that holds what the documents name: a set `cells`, a run, two pictures."""
    make_synthetic(tmp_path / "cells", train=8, val=2, size=(64, 64))
    pictures = sorted((tmp_path / "cells" / "images").iterdir())
    for name, picture in zip(("a.jpg", "b.png"), pictures, strict=False):
        shutil.copy(picture, tmp_path / name)
    run = shutil.copytree(tiny_run, tmp_path / "runs" / "small-cells-0")
    if 'load("runs/cells")' in code and "train(" not in code:
        run.rename(run := run.with_name("cells"))
    if ".onnx" in code:
        shutil.copy(request.getfixturevalue("exported").file, run / "best.onnx")
    monkeypatch.chdir(tmp_path)
    # The same code, for a moment instead of for minutes.
    short = code.replace('"train": {"epochs": 30}', '"train": {"epochs": 1, "batch_size": 4}')
    exec(compile(short, str(document), "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_commands_exist(document: Path) -> None:
    options = {f"--{action.dest}" for action in recipe_parser()._actions} | {f"--{flag}" for flag in OWN_FLAGS}
    init_args = {
        f"--{section}.{option.name}"
        for section, kinds in {
            "assigner": (FCOS, APS),
            "warm_start.assigner": (FCOS, APS),
            "criterion": (DenseCriterion,),
        }.items()
        for kind in kinds
        for option in fields(kind)
    }
    lines = [
        line.split("#")[0].strip()
        for line in re.findall(r"(?m)^(?:\s{4})?(mmmc \w+.*)$|`(mmmc \w[^`]*)`", document.read_text(encoding="utf-8"))
        for line in line
        if line
    ]
    for line in lines:
        words = shlex.split(line.rstrip("\\"))
        assert words[1] in VERBS or words[1].isupper(), line
        for word in words:
            if word.startswith("--assigner.") and re.search(r"--assigner \w+:\w+", line):
                continue  # an option of a class that the page itself defines
            if word.startswith("--"):
                assert word in options | init_args, f"{document.name}: {word} in {line!r}"
        if "--recipe" in words:
            assert words[words.index("--recipe") + 1] in recipe_names(), line


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.stem)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)", document.read_text(encoding="utf-8")):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


def test_every_page_is_in_the_menu_of_the_site() -> None:
    """`make docs` would refuse the site otherwise, but needs packages that tests do without."""
    menu = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[2]
    pages = sorted(re.findall(r": (\S+\.md)$", menu, flags=re.MULTILINE))
    assert pages == sorted(page.relative_to(ROOT / "docs").as_posix() for page in (ROOT / "docs").rglob("*.md"))


def test_tables_are_what_their_commands_print() -> None:
    commands = []
    for path in PAGES:
        page = path.read_text(encoding="utf-8")
        assert page == anew(page), f"{path.name}: make tables"
        commands += [command for command, _ in TABLE.findall(page)]
    shown = {word for command in commands for word in command.split()}
    plans = [ROOT / word for word in shown if word.endswith(".yaml")]
    shown |= {yaml.safe_load(plan.read_text(encoding="utf-8"))["records"].removeprefix("../") for plan in plans}
    # Those of the race are shown by docs/performance.md; what is measured beside a plan's records, by the claims.
    elsewhere = {ROOT / "results" / "race.jsonl", *(ROOT / "results").glob("*.overlap.jsonl")}
    for records in {*(ROOT / "results").glob("*.jsonl")} - elsewhere:
        assert f"results/{records.name}" in shown, f"no page shows {records.name}"


def test_every_recipe_is_described() -> None:
    described = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
    assert [name for name in recipe_names() if f"`{name}`" not in described] == []
