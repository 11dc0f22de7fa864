"""From a predictor to a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from mmmc.environment import own_version
from mmmc.errors import InputError, did_you_mean
from mmmc.files import require_writable
from mmmc.predictor import Predictor
from mmmc.recipe import digest
from mmmc.runtime import Description


@dataclass(frozen=True)
class Format:
    """A kind of file.

    Attributes:
        suffix: its ending.
        packages: that write and run it; those of the extra of the same name.
        beside: endings of further files that belong to it.
    """

    suffix: str
    packages: tuple[str, ...]
    beside: tuple[str, ...] = ()

    def files(self, path: Path) -> list[Path]:
        """All that is written with `path`."""
        return [path, *map(path.with_suffix, self.beside)]


FORMATS = {
    "onnx": Format(".onnx", ("onnx", "onnxscript", "onnxruntime")),
    "openvino": Format(".xml", ("openvino", "onnx", "onnxscript"), (".bin",)),
}

OPSET = 20
OPSETS = range(19, 24)
"""Of ONNX. With 18 PyTorch writes a deformable convolution that the standard has only from 19 on, and says nothing."""


def require_format(path: Path, format: str, opset: int | None) -> None:
    """Refuse what cannot be written, before anything is done for it.

    Raises:
        InputError: an unknown format, a name with another ending, an opset that is not supported or where the format
            has none, a package that is missing, or a place where nothing can be written.
    """
    if format not in FORMATS:
        raise InputError(f"format is {format!r}.{did_you_mean(format, FORMATS)}")
    kind = FORMATS[format]
    if path.suffix != kind.suffix:
        raise InputError(f"{path} cannot be the name of the file; allowed: one that ends with {kind.suffix}.")
    if opset is not None and format != "onnx":
        raise InputError(f"opset is {opset}, and files of format {format} have none; allowed: not to give it.")
    if opset is not None and opset not in OPSETS:
        raise InputError(f"opset is {opset}; allowed: {OPSETS[0]} to {OPSETS[-1]}.")
    missing = [package for package in kind.packages if find_spec(package) is None]
    if missing:
        raise InputError(f"format {format} needs {missing[0]}: pip install 'mmmc[{format}]'")
    for file in kind.files(path):
        require_writable(file)


def export(
    predictor: Predictor,
    path: str | Path,
    *,
    format: str = "onnx",
    opset: int | None = None,
    license: str = "other",
    best: Sequence[float] = (),
) -> Path:
    """Write a predictor's network with all that is before and after it, whole or not at all.

    Args:
        predictor: a trained detector.
        path: the file, with the format's ending; OpenVINO's has a second one beside it, which ends with .bin.
        format: `onnx` or `openvino`.
        opset: version of ONNX's operators, 20 if not given; for `onnx` only.
        license: of the weights, which the file then says.
        best: by class index a score threshold for who uses the file (`mmmc.thresholds`), which it then says too.

    Returns:
        The file.

    Raises:
        InputError: as `require_format`; not a threshold for each class; a file that cannot be written.
    """
    path = Path(path)
    require_format(path, format, opset)
    classes = len(predictor.categories)
    if best and len(best) != classes:
        raise InputError(f"best has {len(best)} thresholds; allowed: {classes}, one for each class, or none.")
    from mmmc.export.onnx_graph import onnx_model, write_onnx

    description = describe(predictor, license, best)
    model = onnx_model(predictor, description, OPSET if opset is None else opset)
    if format == "onnx":
        write_onnx(model, path)
    else:
        from mmmc.export.openvino_graph import openvino_model, write_openvino

        write_openvino(openvino_model(model, description), path)
    return path


def describe(predictor: Predictor, license: str, best: Sequence[float] = ()) -> Description:
    """What a file of this predictor says of itself."""
    recipe, categories = predictor.recipe, predictor.categories
    rule = recipe.postprocess
    return Description(
        names=categories.names,
        ids=categories.ids,
        short=recipe.resize.short,
        long=recipe.resize.long,
        score=rule.score,
        threshold=rule.threshold,
        per_level=rule.per_level,
        nms=rule.nms,
        detections=rule.detections,
        license=license,
        recipe=digest(recipe),
        version=own_version(),
        best=tuple(best),
    )
