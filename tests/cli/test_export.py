"""`mmmc export`: a file, a report, and an exit status that says whether both agree."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mmmc.cli import export as verb
from mmmc.cli import main
from mmmc.errors import InputError
from mmmc.export import export
from mmmc.predictor import Predictor
from mmmc.runtime import load

if TYPE_CHECKING:
    from tiny_export import Exported

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def copying(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is exported is there already."""

    def copy(_: Any, path: Path, **__: Any) -> Path:
        return Path(shutil.copy(exported.file, path))

    monkeypatch.setattr(verb, "export", copy)


def test_a_file_and_how_it_differs(exported: Exported) -> None:
    assert exported.file.is_file()
    said = exported.said.splitlines()
    assert re.fullmatch(rf"{exported.file}: \d\.\d MB", said[0])
    assert said[1] == "PyTorch and the file on 4 pictures:"
    found = re.fullmatch(r"  resized beforehand +(\d+) of (\d+) boxes of both, \d close calls", said[2])
    matched, boxes = map(int, found.groups())
    assert 40 < matched <= boxes <= 400
    assert re.fullmatch(r"  largest differences  \S+ px, score \S+", said[3])
    matched, boxes = map(int, re.fullmatch(r"  as they are +(\d+) of (\d+) boxes of both", said[4]).groups())
    assert 40 < matched <= boxes <= 800
    first, second = re.fullmatch(r"  AP +(\S+) by PyTorch, (\S+) by the file", said[5]).groups()
    assert float(first) == pytest.approx(float(second), abs=0.05)


def test_the_file_says_the_thresholds_that_predict_takes(
    exported: Exported, tiny_set: Path, tmp_path: Path, capsys: Capture
) -> None:
    weights, picture = str(exported.weights), str(next((tiny_set / "images").glob("val_*.png")))
    assert main(["predict", weights, picture, "--threshold", "f1", "--out", str(tmp_path / "out")]) == 0
    told = re.findall(r"score ≥ (\S+) gives F1", capsys.readouterr().err)
    best = load(exported.file).description.best
    assert [f"{value:.3f}" for value in best] == told
    assert 0 < min(best) < max(best) < 1


@pytest.mark.parametrize("count", [1, 4])
def test_thresholds_of_other_classes_are_refused(tiny_run: Path, tmp_path: Path, count: int) -> None:
    with pytest.raises(InputError, match=f"best has {count} thresholds; allowed: 5, one for each class"):
        export(Predictor.load(tiny_run), tmp_path / "a.onnx", best=[0.5] * count)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("copying")
def test_other_weights_end_with_status_1(tiny_run: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "a.onnx"
    assert main(["export", str(tiny_run), "--out", str(out)]) == 1
    assert out.is_file()
    said = capsys.readouterr()
    assert f"mmmc: {out} does not say what PyTorch says: " in said.err
    assert re.search(r"by the side of (file|PyTorch) alone: no reason", said.out)
    assert "  … and " in said.out


@pytest.mark.usefixtures("copying")
def test_pictures_and_places(tiny_rfa: Path, tiny_set: Path, tmp_path: Path, capsys: Capture) -> None:
    weights = Path(shutil.copy(tiny_rfa, tmp_path / "w.safetensors"))
    assert main(["export", str(weights), "--pictures", "2", "--data", str(tiny_set)]) == 0
    assert (tmp_path / "w.onnx").is_file()
    assert "PyTorch and the file on 2 pictures:" in capsys.readouterr().out
    (tmp_path / "run").mkdir()
    shutil.copy(tiny_rfa, tmp_path / "run/last.safetensors")
    assert main(["export", f"{tmp_path}/run", "--weights", "last", "--pictures", "0"]) == 0
    said = capsys.readouterr()
    assert (tmp_path / "run/last.onnx").is_file()
    assert said.out.startswith(f"{tmp_path}/run/last.onnx: ")
    assert "on 2 pictures" not in said.out
    assert said.err == f"{tmp_path}/run/last.onnx was not compared with PyTorch.\n"


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_without_a_package(
    tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture, package: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    assert main(["export", str(tiny_run), "--out", f"{tmp_path}/a.onnx"]) == 2
    assert capsys.readouterr().err == f"mmmc: format onnx needs {package}: pip install 'mmmc[onnx]'\n"
    assert not list(tmp_path.iterdir())
