"""A trained detector as one file that needs no PyTorch, with all that is before and after the network in its graph.

graph       what is computed, as modules that have a graph
onnx_graph  that graph as ONNX
write       from a predictor to a file
parity      whether the file says what PyTorch says
"""

from mmmc.export.parity import Call, Parity, compare
from mmmc.export.write import OPSET, PACKAGES, export

__all__ = ["OPSET", "PACKAGES", "Call", "Parity", "compare", "export"]
