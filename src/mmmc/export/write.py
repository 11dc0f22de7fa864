"""From a predictor to a file."""

from __future__ import annotations

from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

from mmmc.errors import InputError, did_you_mean
from mmmc.predictor import Predictor
from mmmc.recipe import digest
from mmmc.runtime import Description

PACKAGES = {"onnx": ("onnx", "onnxscript", "onnxruntime")}
"""What each format needs, its extra's packages; the endings of files are those of the formats' names."""

OPSET = 20
OPSETS = range(19, 24)
"""Of ONNX. With 18 PyTorch writes a deformable convolution that the standard has only from 19 on, and says nothing."""


def export(
    predictor: Predictor, path: str | Path, *, format: str = "onnx", opset: int = OPSET, license: str = "other"
) -> Path:
    """Write a predictor's network with all that is before and after it, whole or not at all.

    Args:
        predictor: a trained detector.
        path: the file, with the format's ending.
        format: `onnx`.
        opset: version of ONNX's operators.
        license: of the weights, which the file then says.

    Returns:
        The file.

    Raises:
        InputError: an unknown format, a name with another ending, an opset that is not supported, a package that is
            missing, a file that cannot be written.
    """
    path = Path(path)
    if format not in PACKAGES:
        raise InputError(f"format is {format!r}.{did_you_mean(format, PACKAGES)}")
    if path.suffix != f".{format}":
        raise InputError(f"{path} cannot be the name of the file; allowed: one that ends with .{format}.")
    if opset not in OPSETS:
        raise InputError(f"opset is {opset}; allowed: {OPSETS[0]} to {OPSETS[-1]}.")
    missing = [package for package in PACKAGES[format] if find_spec(package) is None]
    if missing:
        raise InputError(f"format {format} needs {missing[0]}: pip install 'mmmc[{format}]'")
    from mmmc.export.onnx_graph import write_onnx

    write_onnx(predictor, describe(predictor, license), path, opset)
    return path


def describe(predictor: Predictor, license: str) -> Description:
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
        version=version("mmmc"),
    )
