"""How each kind of file is opened: what it says of itself, and what computes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mmmc.errors import InputError

Run = Callable[[np.ndarray], Sequence[np.ndarray]]
"""Pictures `N H W 3` of one size, uint8, to boxes `N D 4`, scores `N D`, labels `N D` and counts `N`."""

NAMES = ("boxes", "scores", "labels", "counts")
"""Of what a file gives."""

SECTION = "mmmc"
"""Of an OpenVINO file, in which it says what it is."""


def open_onnx(path: Path, threads: int | None) -> tuple[Mapping[str, str], Run]:
    """An ONNX file by ONNX Runtime, on the CPU.

    Raises:
        InputError: it cannot be read, or ONNX Runtime is missing.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise InputError(f"{path} needs {error.name} to run: pip install 'onnxruntime>=1.25'") from error
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3  # errors
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # it has a class of its own for each way to be no model
        raise InputError(f"{path} is no ONNX file that can be run: {error}") from error
    said = session.get_modelmeta().custom_metadata_map
    return said, lambda pictures: session.run(NAMES, {"pictures": pictures})


def open_openvino(path: Path, threads: int | None) -> tuple[Mapping[str, str], Run]:
    """An OpenVINO file, beside which lies the one with its numbers, on the CPU.

    Raises:
        InputError: one of them cannot be read, or OpenVINO is missing.
    """
    try:
        import openvino
    except ImportError as error:
        raise InputError(f"{path} needs {error.name} to run: pip install 'openvino>=2025.4'") from error
    # On CPUs that can it would compute in bfloat16 unless told otherwise.
    options = {"INFERENCE_PRECISION_HINT": "f32"} | ({} if threads is None else {"INFERENCE_NUM_THREADS": threads})
    try:
        model = openvino.Core().read_model(path)
        compiled = openvino.Core().compile_model(model, "CPU", options)
    except RuntimeError as error:
        raise InputError(f"{path} is no OpenVINO file that can be run: {error}") from error
    about = model.get_rt_info()
    said = {name: value.astype(str) for name, value in about[SECTION].items()} if SECTION in about else {}

    def run(pictures: np.ndarray) -> list[np.ndarray]:
        found = compiled(pictures)
        return [found[name] for name in NAMES]

    return said, run


OPENERS = {".onnx": open_onnx, ".xml": open_openvino}
"""By the ending of a file."""
