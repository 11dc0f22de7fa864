"""The ONNX graph as OpenVINO's own files.

OpenVINO reads ONNX, all but two things, which are said here: it has no rule for ONNX's `DeformConv`, though an operator
that does the same; and what it makes of an antialiased resize looks at fewer pixels than PyTorch does.
"""

from __future__ import annotations

from pathlib import Path
from shutil import copyfile
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx
import openvino
from openvino import opset8, opset13
from openvino.frontend.onnx import ConversionExtension

from mmmc.files import write_atomically
from mmmc.runtime import Description
from mmmc.runtime.opening import SECTION

HEIGHT, WIDTH = 2, 3
"""Axes of the resized pictures, `N 3 H W`."""


def openvino_model(model: onnx.ModelProto, description: Description) -> openvino.Model:
    """An ONNX graph of ours as a model of OpenVINO's, which says the same of itself."""
    core = openvino.Core()
    core.add_extension(ConversionExtension("DeformConv", _deformable))
    converted = core.read_model(model.SerializeToString())
    for node in converted.get_ordered_ops():
        if node.get_type_name() == "Interpolate" and node.get_attributes()["antialias"]:
            node.output(0).replace(_resized(node).output(0))
    converted.validate_nodes_and_infer_types()
    for name, value in description.to_strings().items():
        converted.set_rt_info(value, [SECTION, name])
    return converted


def write_openvino(model: openvino.Model, path: Path) -> None:
    """Write the graph to `path`, and beside it the numbers to a file that ends with .bin, each whole or not at all.

    Raises:
        InputError: one of them cannot be written.
    """
    with TemporaryDirectory() as folder:
        graph = Path(folder, "whole.xml")
        openvino.save_model(model, graph, compress_to_fp16=False)

        def both(numbers: Path) -> None:
            # The numbers come last into their place, so that a full disk leaves both older files.
            copyfile(graph.with_suffix(".bin"), numbers)
            write_atomically(path, lambda beside: copyfile(graph, beside))

        write_atomically(path.with_suffix(".bin"), both)


def _deformable(node: Any) -> Any:
    """ONNX's operator by OpenVINO's, whose offsets and masks have the same order."""
    inputs = [node.get_input(index) for index in range(node.get_input_size())]
    pictures, weight, offset = inputs[:3]
    pads = node.get_attribute("pads", [0, 0, 0, 0])
    columns = opset8.deformable_convolution(
        pictures,
        offset,
        weight,
        node.get_attribute("strides", [1, 1]),
        pads[:2],
        pads[2:],
        node.get_attribute("dilations", [1, 1]),
        inputs[4] if len(inputs) > 4 else None,
        group=node.get_attribute("group", 1),
        deformable_group=node.get_attribute("offset_group", 1),
        bilinear_interpolation_pad=True,  # what lies outside the map is 0, cell by cell
    )
    bias = opset13.unsqueeze(inputs[3], np.array([0, 2, 3]))
    return opset13.add(columns, bias).outputs()


def _resized(node: Any) -> Any:
    """The resize of `Letterbox` as PyTorch does it in whole numbers: rows, then columns, each rounded."""
    pictures = opset13.convert(node.input_value(0), "f32")
    for axis in (WIDTH, HEIGHT):
        side = opset13.gather(node.input_value(1), np.array([axis]), np.array(0))
        pictures = opset13.interpolate(pictures, side, "bilinear_pillow", "sizes", axes=np.array([axis]))
        pictures = opset13.round(pictures, "half_away_from_zero")
    return opset13.convert(pictures, node.get_output_element_type(0).to_string())
