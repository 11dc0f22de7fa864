"""`mmmc info`: a table, and clear words about sizes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mmmc.checkpoint import load_weights
from mmmc.cli import main
from mmmc.recipe import load_recipe, to_yaml


def test_a_table_of_parts(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["info", "mmmc_r50_1x"]) == 0
    printed = capsys.readouterr().out
    for expected in ("32,421,840", "217.52", "124,470", "22,400 points", "bilinear sampling"):
        assert expected in printed
    # A run folder by its recipe.
    (tmp_path / "recipe.yaml").write_text(to_yaml(load_recipe("small")))
    assert main(["info", str(tmp_path), "--size", "256x320", "--classes", "3"]) == 0
    assert "256×320 px, 3 classes" in capsys.readouterr().out
    # A name with brackets is a name, not markup.
    named = tmp_path / "small[red].yaml"
    named.write_text(to_yaml(load_recipe("small")))
    monkeypatch.chdir(tmp_path)
    assert main(["info", named.name, "--size", "256x320"]) == 0
    assert "small[red]" in capsys.readouterr().out


def test_a_run_says_its_own_size_and_classes(tiny_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    resize = load_recipe(tiny_run / "recipe.yaml").resize
    height, width = (math.ceil(side / 32) * 32 for side in (resize.short, resize.long))
    assert main(["info", str(tiny_run)]) == 0
    classes = len(load_weights(tiny_run / "last.safetensors").categories)
    assert f"{height}×{width} px, {classes} classes" in capsys.readouterr().out
    assert main(["info", "small"]) == 0
    assert "256×320 px, 80 classes" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (
            ["--size", "800x1333"],
            "--size is '800x1333'; allowed: HEIGHTxWIDTH, both divisible by 32, such as 800x1344.",
        ),
        (["--size", "0x32"], "such as 32x32."),
        (["--size", "big"], "such as 800x1344."),
        (["--classes", "0"], "--classes is 0; allowed: at least 1."),
    ],
)
def test_what_is_not_allowed(flags: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "small", *flags]) == 2
    assert message in capsys.readouterr().err
