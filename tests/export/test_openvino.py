"""OpenVINO's files: that they find what PyTorch finds, say what they are, and are written whole."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch

pytest.importorskip("onnx", reason="needs the extra openvino")
pytest.importorskip("openvino", reason="needs the extra openvino")

import onnx
import openvino
from onnx import TensorProto, helper, numpy_helper
from torchvision.ops import deform_conv2d
from torchvision.transforms.v2.functional import resize

from mmmc import InputError, Predictor
from mmmc.data.synthetic import scene
from mmmc.export import compare, export, onnx_graph
from mmmc.export.openvino_graph import openvino_model
from mmmc.export.write import describe
from mmmc.runtime import Description, FileDetector, load
from mmmc.training.sets import open_sets

if TYPE_CHECKING:
    from tiny_export import Exported


FLOAT = {"INFERENCE_PRECISION_HINT": "f32"}
NOTHING = Description((), (), 1, 1, "class", 0, 1, 1, 1, "", "", "")


@pytest.fixture
def known(exported: Exported, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ONNX graph of the run is there already."""
    monkeypatch.setattr(onnx_graph, "onnx_model", lambda *_: onnx.load(exported.file))


@pytest.fixture
def written(exported: Exported, tmp_path: Path, known: None) -> Path:  # noqa: ARG001
    return export(Predictor.load(exported.weights), tmp_path / "a.xml", format="openvino", license="mit")


def refused(path: Path) -> str:
    with pytest.raises(InputError) as error:
        load(path)
    return str(error.value)


def test_a_file_finds_what_pytorch_finds(exported: Exported, written: Path) -> None:
    assert sorted(path.name for path in written.parent.iterdir()) == ["a.bin", "a.xml"]
    predictor = Predictor.load(exported.weights)
    found = compare(predictor, load(written, threads=1), open_sets(predictor.recipe.data)[1])
    assert (found.faults, found.close) == ((), ())
    assert found.matched > 40
    assert found.scores_apart < 1e-5


def test_a_batch_of_any_size(exported: Exported, written: Path) -> None:
    images = [scene(1, "val", index, (90, 130)).image for index in range(3)]
    for one, other in zip(load(written)(images), load(exported.file)(images), strict=True):
        assert len(one) == len(other) > 10
        np.testing.assert_allclose(one.scores, other.scores, rtol=0, atol=0.02)


@pytest.mark.parametrize(("old", "new"), [((90, 130), (64, 92)), ((200, 70), (96, 34)), ((64, 70), (96, 105))])
def test_pictures_are_resized_as_by_pytorch(old: tuple[int, int], new: tuple[int, int]) -> None:
    """Few values differ, by the last level of an axis; by its own reading of the resize a third would."""
    sizes = helper.make_tensor("sizes", TensorProto.INT64, [4], [1, 3, *new])
    node = helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode="linear", antialias=1)
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "resize",
        [value("x", TensorProto.UINT8, [1, 3, *old])],
        [value("y", TensorProto.UINT8, [1, 3, *new])],
        [sizes],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    compiled = openvino.Core().compile_model(openvino_model(model, NOTHING), "CPU", FLOAT)
    image = scene(1, "val", 0, old).image
    (found,) = compiled(np.ascontiguousarray(image.transpose(2, 0, 1))[None]).values()
    expected = resize(torch.from_numpy(image).permute(2, 0, 1), list(new), antialias=True).numpy()
    apart = np.abs(found[0].astype(int) - expected)
    assert apart.max() <= 2
    assert (apart > 0).mean() < 0.05


@pytest.mark.parametrize("masked", [False, True])
def test_deformable_convolutions(masked: bool) -> None:
    """Two groups of offsets, stride and dilation, columns outside the map; against torchvision."""
    random = np.random.default_rng(0)
    shapes = {"x": (1, 4, 9, 8), "w": (6, 2, 3, 3), "offset": (1, 36, 5, 3), "b": (6,), "mask": (1, 18, 5, 3)}
    given = {name: random.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    given["offset"] *= 3
    inputs = ["x", "w", "offset", "b", *(["mask"] if masked else [])]
    node = helper.make_node(
        "DeformConv", inputs, ["y"], strides=[2, 2], pads=[1, 1, 1, 1], dilations=[1, 2], group=2, offset_group=2
    )
    fixed = [numpy_helper.from_array(given[name], name) for name in inputs if name != "x"]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        [node],
        "deformable",
        [value("x", TensorProto.FLOAT, shapes["x"])],
        [value("y", TensorProto.FLOAT, None)],
        fixed,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    compiled = openvino.Core().compile_model(openvino_model(model, NOTHING), "CPU", FLOAT)
    (found,) = compiled(given["x"]).values()
    values = {name: torch.from_numpy(array) for name, array in given.items()}
    expected = deform_conv2d(
        values["x"],
        values["offset"],
        values["w"],
        values["b"],
        stride=2,
        padding=1,
        dilation=(1, 2),
        mask=values["mask"] if masked else None,
    )
    np.testing.assert_allclose(found, expected.numpy(), rtol=0, atol=1e-4)


def test_a_file_says_what_it_is(exported: Exported, written: Path) -> None:
    assert load(written).description == describe(Predictor.load(exported.weights), "mit")
    content = written.read_bytes()
    for word in (str(Path(__file__).parent.parent), "site-packages", str(Path.home())):
        assert word.encode() not in content


def test_what_is_no_file_of_ours(written: Path, tmp_path: Path) -> None:
    (tmp_path / "text.xml").write_text("hello")
    assert f"{tmp_path}/text.xml is no OpenVINO file that can be run" in refused(tmp_path / "text.xml")
    shutil.copy(written, tmp_path / "alone.xml")
    assert f"{tmp_path}/alone.xml is no OpenVINO file that can be run" in refused(tmp_path / "alone.xml")
    point = openvino.opset13.parameter([1], np.float32)
    openvino.save_model(openvino.Model([openvino.opset13.relu(point)], [point]), tmp_path / "other.xml")
    assert "other.xml was not written by mmmc export: its format is 'no mark'" in refused(tmp_path / "other.xml")


def test_what_cannot_be_asked_for(exported: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    predictor = Predictor.load(exported.weights)
    with pytest.raises(InputError, match=r"a\.onnx cannot be the name of the file; allowed: one that ends with \.xml"):
        export(predictor, tmp_path / "a.onnx", format="openvino")
    with pytest.raises(InputError, match="opset is 20, and files of format openvino have none"):
        export(predictor, tmp_path / "a.xml", format="openvino", opset=20)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(InputError, match=r"format openvino needs openvino: pip install 'mmmc\[openvino\]'"):
        export(predictor, tmp_path / "a.xml", format="openvino")
    (tmp_path / "a.xml").touch()
    assert f"{tmp_path}/a.xml needs openvino to run: pip install 'openvino>=2025.4'" in refused(tmp_path / "a.xml")


def test_a_full_disk_leaves_the_older_files(
    exported: Exported, written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    for ending in (".bin", ".xml"):

        def full(source: Path, target: Path, ending: str = ending) -> Any:
            target.write_bytes(source.read_bytes()[:10])
            if source.suffix == ending:
                raise OSError(28, "No space left on device")

        monkeypatch.setattr("mmmc.export.openvino_graph.copyfile", full)
        with pytest.raises(InputError, match=rf"a\{ending} could not be written: .*No space left"):
            export(Predictor.load(exported.weights), written, format="openvino")
        assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_threads_are_as_many_as_were_asked_for(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[Any] = []
    compile_model = openvino.Core.compile_model

    def spy(core: openvino.Core, model: Any, device: str, options: dict[str, Any]) -> Any:
        given.append(options)
        return compile_model(core, model, device, options)

    monkeypatch.setattr(openvino.Core, "compile_model", spy)
    assert isinstance(load(written, threads=1), FileDetector)
    load(written)
    assert given == [{**FLOAT, "INFERENCE_NUM_THREADS": 1}, FLOAT]
