"""One picture through PyTorch and through exported files: ONNX Runtime and OpenVINO.

From 8-bit pixels to detections: resizing, padding, network, suppression. A `small` gets a picture of 480 × 640 pixels,
a ResNet-50 one of 800 × 1333, which keeps its size. Random weights, float32, batch 1; RFA's offsets are random too. No
class is likely, so there is next to nothing to suppress.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.detectors import PICTURE, built, methods, noise_samples
from benchmarks.result import Row
from benchmarks.setting import Setting
from benchmarks.timing import interleaved, timed
from mmmc.data.sets import Categories
from mmmc.predictor import Predictor

CPU_ONLY = True
PARTS = ("small", "r50")
SIZES = {"small": (480, 640), "r50": PICTURE}
CLASSES = {"small": 3, "r50": 80}
BASE = "PyTorch"


def run(setting: Setting) -> list[Row]:
    """Seconds of a picture, by method and what runs it."""
    rows = []
    for kind in filter(setting.wants, PARTS):
        size = (64, 96) if setting.tiny else SIZES[kind]
        picture = noise_samples(1, 0, size, CLASSES[kind])[0].image.permute(1, 2, 0).contiguous().numpy()
        ways: dict[str, Callable[[], object]] = {}
        for method in ("MMMC",) if setting.tiny else ("FCOS", "MMMC"):
            predictor = random_predictor(kind, method, setting)
            for way, detect in {BASE: predictor, **by_files(predictor, setting.threads)}.items():
                ways[f"{method}, {kind}, {way}"] = lambda detect=detect, given=picture: detect([given])  # type: ignore[misc]
        pairs = {name: f"{name.rpartition(', ')[0]}, {BASE}" for name in ways if not name.endswith(BASE)}
        clocks = {name: timed(way, setting.device) for name, way in ways.items()}
        rows += interleaved(clocks, pairs, setting.effort(seconds=40))
    return rows


def random_predictor(kind: str, method: str, setting: Setting) -> Predictor:
    """A detector with random weights as it would be served."""
    recipe, classes = methods(kind, tiny=setting.tiny)[method], CLASSES[kind]
    detector = built(recipe, classes, setting.device)
    names = tuple(map(str, range(classes)))
    return Predictor(detector, recipe, Categories(names, tuple(range(1, classes + 1))))


def by_files(predictor: Predictor, threads: int) -> dict[str, Callable[[list[object]], object]]:
    """The same detector as files of each format, written and opened."""
    # Not among the other imports, so that the list of benchmarks needs none of these packages.
    from mmmc.export.onnx_graph import onnx_model, write_onnx
    from mmmc.export.openvino_graph import openvino_model, write_openvino
    from mmmc.export.write import OPSET, describe
    from mmmc.runtime import load

    description = describe(predictor, "other")
    model = onnx_model(predictor, description, OPSET)
    with TemporaryDirectory() as folder:
        onnx, openvino = Path(folder, "a.onnx"), Path(folder, "a.xml")
        write_onnx(model, onnx)
        write_openvino(openvino_model(model, description), openvino)
        return {"ONNX Runtime": load(onnx, threads=threads), "OpenVINO": load(openvino, threads=threads)}
