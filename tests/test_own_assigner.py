"""A stranger's assigner, as its page says: checked, trained, shown, without a change to any file of the package."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml

from mmmc.recipe import load_recipe

PAGE = Path(__file__).parent.parent / "docs" / "your-own-assigner.md"


def block(language: str) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.DOTALL)[0]


def call(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True)


def mmmc(folder: Path, *arguments: str) -> None:
    """As the command that is installed: the folder is not on the path of itself."""
    start = "import sys; sys.path.remove(''); from mmmc.cli import main; sys.exit(main())"
    done = call(folder, "-c", start, *arguments)
    assert done.returncode == 0, done.stderr


def test_thirty_lines_are_checked_trained_and_shown(tiny_set: Path, tmp_path: Path) -> None:
    code = block("python")
    assert len(code.splitlines()) <= 33
    (tmp_path / "best_boxes.py").write_text(code, encoding="utf-8")
    done = call(tmp_path, "best_boxes.py")
    assert done.returncode == 0, done.stderr

    recipe = yaml.safe_load(block("yaml")) | {
        "model": {"backbone": "test_resnet", "weights": "none", "frozen_stages": 1, "channels": 16, "groups": 4},
        "augmentation": {"short": [64], "long": 96},
        "resize": {"short": 64, "long": 96},
        "train": {"iterations": 2, "batch_size": 4, "workers": 0, "loggers": []},
    }
    (tmp_path / "mine.yaml").write_text(yaml.safe_dump(recipe), encoding="utf-8")
    train = ("train", str(tiny_set), "--recipe", "mine.yaml", "--quiet", "true")
    mmmc(tmp_path, *train, "--out", "run")
    written = yaml.safe_load((tmp_path / "run" / "recipe.yaml").read_text())
    assert written["assigner"]["init_args"] == {"count": 9}
    mmmc(tmp_path, *train, "--assigner", "best_boxes:BestBoxes", "--assigner.count", "3", "--out", "again")
    mmmc(tmp_path, "show", "run", "--assigners", "run,fcos,best_boxes:BestBoxes", "--out", "shown")
    assert len(list((tmp_path / "shown").iterdir())) == 1


def test_the_message_on_the_page_is_the_one_that_comes(tmp_path: Path) -> None:
    wrong = block("python").replace("inside(points.xy, boxes) & within[:, None]", "inside(points.xy, boxes)")
    (tmp_path / "best_boxes.py").write_text(wrong, encoding="utf-8")
    done = call(tmp_path, "best_boxes.py")
    printed = re.sub(r"\s+", " ", PAGE.read_text(encoding="utf-8"))
    assert done.stderr.splitlines()[-1] in printed


def test_nothing_else_knows_of_it() -> None:
    """The package's own assigners are no more than the files in their folder; nobody else lists them."""
    root = PAGE.parent.parent / "src" / "mmmc"
    assert "best_boxes" not in os.listdir(root / "assign")
    for file in root.rglob("*.py"):
        assert "DynamicSoftLabel" not in file.read_text(encoding="utf-8") or file.stem == "dynamic_soft_label", file
    assert type(load_recipe("small_rtmdet").assigner).__name__ == "DynamicSoftLabel"
