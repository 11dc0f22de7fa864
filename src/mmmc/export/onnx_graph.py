"""The graph as an ONNX file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from onnx import compose
from onnxscript import opset18
from torch import nn
from torch.export import Dim

from mmmc.export.graph import GONE, letterbox, network
from mmmc.files import write_atomically
from mmmc.predictor import DIVISOR, Predictor
from mmmc.runtime import Description
from mmmc.runtime.opening import NAMES

op: Any = opset18
"""That of PyTorch's own translations; what comes of them is brought to the opset asked for."""

BETWEEN = ("images", "size", "original")
"""What the first half of the graph gives the second."""

SAMPLE = (2, 3, 256, 384)
"""Padded pictures to trace with: no level's map has a side of one cell, which would be taken for fixed."""


def onnx_model(predictor: Predictor, description: Description, opset: int) -> onnx.ModelProto:
    """The predictor's network with all that is before and after it."""
    first, second = letterbox(predictor), network(predictor)
    batch = Dim("batch")
    # Two graphs, joined below. So the sides of all maps are multiples of a number of rows or columns; in one graph each
    # would be a formula of the picture's size, and PyTorch reasons about those for minutes.
    before = _graph(
        first,
        (torch.zeros(2, 300, 400, 3, dtype=torch.uint8),),
        ({0: batch, 1: Dim("height"), 2: Dim("width")},),
        ("pictures",),
        BETWEEN,
        opset,
    )
    after = _graph(
        second,
        # Two tensors: one that was given twice would be one input.
        (torch.zeros(SAMPLE, dtype=torch.uint8), torch.tensor([250, 380]), torch.tensor([500, 760])),
        ({0: batch, 2: DIVISOR * Dim("rows"), 3: DIVISOR * Dim("columns")}, None, None),
        BETWEEN,
        NAMES,
        opset,
    )
    before = compose.add_prefix(before, "letterbox_", rename_inputs=False, rename_outputs=False)
    model = compose.merge_models(
        before,
        after,
        io_map=[(name, name) for name in BETWEEN],
        name="mmmc",
        producer_name="mmmc",
        producer_version=description.version,
    )
    _plain(model)
    onnx.helper.set_model_props(model, description.to_strings())
    onnx.checker.check_model(model, full_check=True)
    return model


def write_onnx(model: onnx.ModelProto, path: Path) -> None:
    """Write the file whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    content = model.SerializeToString()
    write_atomically(path, lambda beside: beside.write_bytes(content))


def _graph(
    module: nn.Module,
    sample: tuple[torch.Tensor, ...],
    dynamic: tuple[dict[int, Any] | None, ...],
    inputs: Sequence[str],
    outputs: Sequence[str],
    opset: int,
) -> onnx.ModelProto:
    program = torch.onnx.export(
        module,
        sample,
        dynamo=True,
        opset_version=opset,
        dynamic_shapes=dynamic,
        input_names=inputs,
        output_names=outputs,
        custom_translation_table={torch.ops.mmmc.suppress.default: _suppress},
        verbose=False,
    )
    return program.model_proto  # type: ignore[union-attr]


def _suppress(boxes, scores, labels, classes: int, iou: float, most: int):  # type: ignore[no-untyped-def]
    """`graph.suppress` by ONNX's operator, which takes a row of scores for each class."""
    row = op.Unsqueeze(op.Constant(value_ints=list(range(classes))), op.Constant(value_ints=[0, 2]))
    own = op.Equal(op.Unsqueeze(labels, op.Constant(value_ints=[1])), row)
    by_class = op.Where(own, op.Unsqueeze(scores, op.Constant(value_ints=[1])), op.Constant(value_float=GONE))
    chosen = op.NonMaxSuppression(
        boxes,
        by_class,
        op.Constant(value_ints=[most]),
        op.Constant(value_floats=[iou]),
        op.Constant(value_floats=[GONE / 2]),
    )
    place = op.Gather(chosen, op.Constant(value_ints=[0, 2]), axis=1)  # picture and box, without the class
    none = op.Less(scores, scores)
    yes = op.Equal(
        op.Gather(place, op.Constant(value_int=0), axis=1), op.Gather(place, op.Constant(value_int=0), axis=1)
    )
    return op.ScatterND(none, place, yes)


def _plain(model: onnx.ModelProto) -> None:
    """Without what PyTorch notes down of the machine that exported: paths of source files, line by line."""
    graph = model.graph
    for part in (model, graph, *graph.node, *graph.initializer, *graph.input, *graph.output):
        del part.metadata_props[:]
        part.doc_string = ""
    # Formulas of sizes, which readers of the graph work out by themselves.
    del graph.value_info[:]
