"""A trained detector as a file that needs no PyTorch, with all that is before and after the network in its graph.

graph       what is computed, as modules that have a graph
onnx_graph  that graph as ONNX
openvino_graph  the ONNX graph as OpenVINO's files
write       from a predictor to a file
parity      whether the file says what PyTorch says
"""

from mmmc.export.parity import Call, Parity, compare
from mmmc.export.write import FORMATS, OPSET, export, require_format

__all__ = ["FORMATS", "OPSET", "Call", "Parity", "compare", "export", "require_format"]
