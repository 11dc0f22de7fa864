"""The ONNX file: what it says, and that it finds what PyTorch finds, in pictures of any size and number."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the extra onnx")

import onnx

from mmmc import InputError, Predictor
from mmmc.data.synthetic import scene
from mmmc.export import export, onnx_graph
from mmmc.export.parity import compare
from mmmc.export.write import describe
from mmmc.runtime import load
from mmmc.training.sets import open_sets

if TYPE_CHECKING:
    from tiny_export import Exported


def pictures(count: int, height: int, width: int) -> list[np.ndarray]:
    """Parts of scenes of the embedded set."""
    size = (max(height, 64), max(width, 64))
    return [scene(1, "val", index, size).image[:height, :width] for index in range(count)]


def both(exported: Exported, shape: tuple[int, int, int]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Of each picture what the file and PyTorch find: rows of box, score times 100, class times 1000."""
    given = pictures(*shape)
    theirs, ours = load(exported.file)(given), Predictor.load(exported.weights)(given)
    return [
        (
            np.column_stack([one.boxes, 100 * one.scores, 1000 * one.labels]),
            np.column_stack([other.boxes.numpy(), 100 * other.scores.numpy(), 1000 * other.labels.numpy()]),
        )
        for one, other in zip(theirs, ours, strict=True)
    ]


def partners(rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How far the nearest of the others is from each row: pixels, hundredths of a score."""
    return np.abs(rows[:, None] - others).max(axis=2).min(axis=1)


@pytest.mark.parametrize("shape", [(1, 64, 64), (3, 64, 64), (2, 64, 96), (2, 90, 64)])
def test_a_file_finds_what_pytorch_finds(exported: Exported, shape: tuple[int, int, int]) -> None:
    for found, expected in both(exported, shape):
        assert len(found) == len(expected) > 10
        assert partners(found, expected).max() < 1e-3
        np.testing.assert_allclose(found[:, 4], expected[:, 4], rtol=0, atol=1e-3)


@pytest.mark.parametrize("shape", [(2, 70, 100), (2, 200, 90), (1, 33, 300), (1, 1, 5)])
def test_resized_pictures(exported: Exported, shape: tuple[int, int, int]) -> None:
    """They differ here and there by one of 256 levels, so near decisions may fall otherwise."""
    for found, expected in both(exported, shape):
        assert len(found) == len(expected) > 10
        assert (partners(found, expected) < 0.1).mean() >= 0.97


def test_a_file_says_what_it_is(exported: Exported, tiny_rfa: Path) -> None:
    model = onnx.load(exported.file)
    said = {entry.key: entry.value for entry in model.metadata_props}
    predictor = Predictor.load(tiny_rfa)
    assert json.loads(said["names"]) == list(predictor.categories.names)
    assert (said["license"], said["threshold"], said["nms"]) == ("mit", "0.001", "0.6")
    assert (said["short"], said["long"], said["score"]) == ("64", "96", "quality")
    description = load(exported.file).description
    assert description == describe(predictor, "mit", description.best)
    assert json.loads(said["best"]) == list(description.best)
    shapes = {
        value.name: [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]
        for value in (*model.graph.input, *model.graph.output)
    }
    assert shapes == {
        "pictures": ["batch", "height", "width", 3],
        "boxes": ["batch", 100, 4],
        "scores": ["batch", 100],
        "labels": ["batch", 100],
        "counts": ["batch"],
    }
    kinds = {node.op_type for node in model.graph.node}
    assert {"DeformConv", "NonMaxSuppression", "Resize", "Pad"} <= kinds


def test_a_file_says_nothing_of_the_machine(exported: Exported) -> None:
    content = exported.file.read_bytes()
    for word in (str(Path(__file__).parent.parent), "site-packages", "stack_trace", str(Path.home())):
        assert word.encode() not in content
    assert re.search(rb"\w\.py\W", content) is None


@pytest.mark.full
@pytest.mark.parametrize("opset", [19, 23])
def test_the_first_and_the_last_opset(exported: Exported, tmp_path: Path, opset: int) -> None:
    from tiny_export import export_tiny

    out = tmp_path / "a.onnx"
    said = export_tiny(exported.weights, out, "--opset", str(opset))
    assert {entry.version for entry in onnx.load(out).opset_import if entry.domain == ""} == {opset}
    assert "resized beforehand   400 of 400 boxes of both, 0 close calls" in said


def test_a_file_of_other_weights_is_found_out(exported: Exported, tiny_run: Path) -> None:
    plain = Predictor.load(tiny_run)
    found = compare(plain, load(exported.file), open_sets(plain.recipe.data)[1])
    assert len(found.faults) > 0


def test_a_full_disk_leaves_the_older_file(exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    halves: list[Any] = []

    def half(*arguments: Any) -> Any:
        """Graphs that do nothing, with the names of ours."""
        *_, inputs, outputs, opset = arguments
        value = onnx.helper.make_tensor_value_info
        nodes = [onnx.helper.make_node("Identity", [inputs[0]], [name]) for name in outputs]
        graph = onnx.helper.make_graph(
            nodes,
            "half",
            [value(name, onnx.TensorProto.UINT8, None) for name in inputs],
            [value(name, onnx.TensorProto.UINT8, None) for name in outputs],
        )
        halves.append(graph)
        return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=10)

    def full(path: Path, content: bytes) -> int:
        with path.open("wb") as file:
            file.write(content[:10])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(onnx_graph, "_graph", half)
    monkeypatch.setattr(onnx.checker, "check_model", lambda *_, **__: None)
    monkeypatch.setattr(Path, "write_bytes", full)
    out = tmp_path / "a.onnx"
    out.write_text("older")
    with pytest.raises(InputError, match=r"a\.onnx could not be written: .*No space left.*The older file is untouched"):
        export(Predictor.load(exported.weights), out)
    assert len(halves) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.onnx"]
    assert out.read_text() == "older"
