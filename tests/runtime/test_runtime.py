"""Files without PyTorch: every form of a picture, batches, and what is missing or is no file of ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnxruntime", reason="needs the extra onnx")

from mmmc import InputError
from mmmc.rgb import read_rgb
from mmmc.runtime import Description, Detections, FileDetector, load

if TYPE_CHECKING:
    from tiny_export import Exported

SOURCES = Path(__file__).parent.parent.parent / "src"


@pytest.fixture(scope="module")
def detector(exported: Exported) -> FileDetector:
    return load(exported.file, threads=1)


@pytest.fixture
def files(tiny_set: Path) -> list[Path]:
    return sorted((tiny_set / "images").glob("val_*.png"))


def assert_equal(one: list[Detections], other: list[Detections]) -> None:
    for left, right in zip(one, other, strict=True):
        for name in ("boxes", "scores", "labels"):
            np.testing.assert_allclose(getattr(left, name), getattr(right, name), rtol=0, atol=1e-3)


def test_every_form_of_a_picture_gives_the_same(detector: FileDetector, files: list[Path]) -> None:
    found = detector(files)
    assert min(map(len, found)) > 10
    forms: list[list[Any]] = [
        [str(file) for file in files],
        [Image.open(file) for file in files],
        [read_rgb(file) for file in files],
    ]
    for form in forms:
        assert_equal(detector(form), found)
    assert_equal(detector(iter(files)), found)
    grey = read_rgb(files[0])[..., 0]
    assert_equal(detector([grey]), detector([np.stack([grey] * 3, axis=2)]))


def test_pictures_of_one_size_share_a_batch(detector: FileDetector, files: list[Path]) -> None:
    pictures = [read_rgb(file) for file in files]
    mixed = [pictures[0], pictures[1], pictures[2][:40], pictures[3]]
    sizes: list[tuple[int, ...]] = []

    def spy(batch: np.ndarray) -> Any:
        sizes.append(batch.shape)
        return detector._run(batch)

    spied = FileDetector(detector.description, spy)
    assert_equal(spied(mixed), [found for picture in mixed for found in detector([picture])])
    assert sizes == [(2, 64, 64, 3), (1, 40, 64, 3), (1, 64, 64, 3)]
    sizes.clear()
    spied(pictures, batch_size=3)
    assert [size[0] for size in sizes] == [3, 1]
    assert detector([]) == []


def test_what_is_found_is_as_long_as_its_count() -> None:
    said = Description(("a", "b"), (1, 2), 1, 1, "class", 0, 1, 1, 1, "", "", "")
    whole = np.arange(8.0).reshape(2, 1, 4), np.ones((2, 1)), np.ones((2, 1), np.int64), np.array([1, 0])
    found = FileDetector(said, lambda _: whole)([np.zeros((2, 2), np.uint8)] * 2)
    assert [len(one) for one in found] == [1, 0]
    assert found[0].boxes.tolist() == [[0, 1, 2, 3]]
    assert found[1].boxes.shape == (0, 4)


def found_twice(**said: Any) -> FileDetector:
    """Two classes, each found with scores 0.5 and 0.25."""
    whole = np.zeros((1, 4, 4)), np.array([[0.5, 0.5, 0.25, 0.25]]), np.array([[0, 1, 0, 1]]), np.array([4])
    return FileDetector(Description(("a", "b"), (1, 2), 1, 1, "class", 0, 1, 1, 1, "", "", "", **said), lambda _: whole)


def test_thresholds_leave_what_is_surer() -> None:
    picture = [np.zeros((2, 2), np.uint8)]
    detector = found_twice(best=(0.3, 0.25))
    assert len(detector(picture)[0]) == 4
    (found,) = detector(picture, threshold=0.3)
    assert (found.scores.tolist(), found.labels.tolist(), found.boxes.shape) == ([0.5, 0.5], [0, 1], (2, 4))
    (found,) = detector(picture, threshold="f1")
    assert (found.scores.tolist(), found.labels.tolist()) == ([0.5, 0.5, 0.25], [0, 1, 1])


def test_thresholds_that_cannot_be_used() -> None:
    picture = [np.zeros((2, 2), np.uint8)]
    with pytest.raises(InputError, match="says no thresholds of best F1"):
        found_twice()(picture, threshold="f1")
    for wrong in (1.5, -0.1, float("nan")):
        with pytest.raises(InputError, match="allowed: 0 to 1, or f1"):
            found_twice()(picture, threshold=wrong)


def test_a_file_that_says_no_thresholds_is_read() -> None:
    said = found_twice(best=(0.3, 0.25)).description
    written = said.to_strings()
    assert Description.from_strings(written, "a") == said
    del written["best"]
    assert Description.from_strings(written, "a").best == ()


PROGRAM = """
import json, sys
for name in sys.argv.pop(1).split():
    sys.modules[name] = None  # importing it raises
from mmmc.runtime import load
found = load(sys.argv[1])(sys.argv[2:])
print(json.dumps([[one.boxes.tolist(), one.scores.tolist(), one.labels.tolist()] for one in found]))
"""
ABSENT = "torch torchvision jaxtyping timm scipy matplotlib yaml rich onnx faster_coco_eval safetensors"


def by_program(python: str | Path, absent: str, file: Path, pictures: list[Path]) -> list[Detections]:
    """What another Python finds."""
    done = subprocess.run(
        [python, "-c", PROGRAM, absent, file, *pictures],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(SOURCES)},
    )
    assert done.returncode == 0, done.stderr
    return [Detections(*map(np.array, found)) for found in json.loads(done.stdout)]


def test_it_needs_no_pytorch(exported: Exported, detector: FileDetector, files: list[Path]) -> None:
    assert_equal(by_program(sys.executable, ABSENT, exported.file, files), detector(files))


@pytest.mark.full
def test_it_runs_where_nothing_else_is_installed(
    exported: Exported, detector: FileDetector, files: list[Path], tmp_path: Path
) -> None:
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    python = tmp_path / "venv/bin/python"
    pip = [python, "-m", "pip", "install", "--quiet", "numpy", "pillow", "onnxruntime>=1.25"]
    if subprocess.run(pip, capture_output=True).returncode:
        pytest.skip("the packages cannot be installed here")
    assert subprocess.run([python, "-c", "import torch"], capture_output=True).returncode
    assert_equal(by_program(python, "", exported.file, files), detector(files))


def test_a_description_comes_back(detector: FileDetector) -> None:
    assert Description.from_strings(detector.description.to_strings(), "a.onnx") == detector.description
    assert detector.names[0] == "red-white"


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        load(path)
    return str(error.value)


def test_what_is_no_file_of_ours(exported: Exported, tmp_path: Path) -> None:
    assert refused(tmp_path / "no.onnx") == f"There is no file {tmp_path}/no.onnx."
    (tmp_path / "text.onnx").write_text("hello")
    assert f"{tmp_path}/text.onnx is no ONNX file that can be run" in refused(tmp_path / "text.onnx")
    (tmp_path / "cut.onnx").write_bytes(exported.file.read_bytes()[:100_000])
    assert "cut.onnx is no ONNX file that can be run" in refused(tmp_path / "cut.onnx")
    onnx = pytest.importorskip("onnx")
    model = onnx.load(exported.file)
    for entry in model.metadata_props:
        entry.value = "mmmc export 0" if entry.key == "format" else entry.value
    onnx.save(model, tmp_path / "old.onnx")
    assert "its format is 'mmmc export 0'; allowed: 'mmmc export 1'" in refused(tmp_path / "old.onnx")
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    assert "other.onnx was not written by mmmc export: its format is 'no mark'" in refused(tmp_path / "other.onnx")


def test_without_onnx_runtime(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert f"{exported.file} needs onnxruntime to run: pip install 'onnxruntime>=1.25'" in refused(exported.file)


def test_bad_pictures(exported: Exported, detector: FileDetector, files: list[Path]) -> None:
    for single in (str(files[0]), read_rgb(files[0])):
        with pytest.raises(InputError, match="pictures is a single picture; allowed: several"):
            detector(single)
    with pytest.raises(InputError, match="A picture of type int cannot be used"):
        detector([3])
    with pytest.raises(InputError, match="batch_size is 0; allowed: at least 1"):
        detector(files, batch_size=0)
    with pytest.raises(InputError, match="threads is 0; allowed: at least 1"):
        load(exported.file, threads=0)
